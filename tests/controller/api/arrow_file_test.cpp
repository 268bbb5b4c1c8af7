// Reads an Arrow IPC file back by the rules of the format's specification ("Serialization and Interprocess
// Communication", "IPC File Format"), with FlatBuffers' verifier and nothing of the writer's.
#include "controller/api/arrow_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "controller/api/arrow_ipc_generated.h"

namespace proteus::api {
namespace {

struct Row {
  std::array<std::string, kArrowTexts> texts;
  std::optional<std::uint8_t> bucket;
  std::int64_t time_us = 0;
  std::int64_t value = 0;
  bool operator==(const Row&) const = default;
};

std::string written(const std::vector<Row>& rows) {
  std::string bytes;
  ArrowFile file([&](std::string_view piece) {
    bytes += piece;
    return true;
  });
  for (const Row& row : rows) {
    std::array<std::string_view, kArrowTexts> texts;
    std::copy(row.texts.begin(), row.texts.end(), texts.begin());
    file.add(texts, row.bucket, row.time_us, row.value);
  }
  file.finish();
  return bytes;
}

template <typename T>
T number_at(std::string_view bytes, std::size_t at) {
  T value{};
  EXPECT_LE(at + sizeof(T), bytes.size());
  if (at + sizeof(T) <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

/// FlatBuffers wants its bytes aligned; a string's own may not be.
class Metadata {
 public:
  explicit Metadata(std::string_view bytes) : words_(bytes.size() / 8 + 1), size_(bytes.size()) {
    std::memcpy(words_.data(), bytes.data(), bytes.size());
  }
  template <typename Table>
  const Table* root() const {
    const auto* data = reinterpret_cast<const std::uint8_t*>(words_.data());
    flatbuffers::Verifier verifier(data, size_);
    return verifier.VerifyBuffer<Table>(nullptr) ? flatbuffers::GetRoot<Table>(data) : nullptr;
  }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_;
};

/// "<continuation: 0xFFFFFFFF> <metadata_size: int32> <metadata> <padding> <body>"; the size counts the padding.
struct Encapsulated {
  std::size_t at = 0;
  std::size_t metadata_bytes = 0;  // with its prefix
  Metadata metadata;
  std::string_view body;
  const arrow::Message* message() const { return metadata.root<arrow::Message>(); }
};

Encapsulated message_at(std::string_view file, std::size_t at) {
  EXPECT_EQ(at % 8, 0u);
  EXPECT_EQ(number_at<std::uint32_t>(file, at), 0xffffffffu);
  const auto size = number_at<std::int32_t>(file, at + 4);
  EXPECT_GT(size, 0);
  EXPECT_EQ(size % 8, 0);
  Encapsulated found{
      at, 8 + static_cast<std::size_t>(size), Metadata(file.substr(at + 8, static_cast<std::size_t>(size))), {}};
  const arrow::Message* message = found.message();
  EXPECT_NE(message, nullptr);
  if (message == nullptr) return found;
  EXPECT_EQ(message->version(), arrow::MetadataVersion_V5);
  EXPECT_EQ(message->body_length() % 8, 0);
  found.body = file.substr(at + found.metadata_bytes, static_cast<std::size_t>(message->body_length()));
  EXPECT_EQ(found.body.size(), static_cast<std::size_t>(message->body_length()));
  return found;
}

void expect_schema(const arrow::Schema* schema) {
  ASSERT_NE(schema, nullptr);
  EXPECT_EQ(schema->endianness(), arrow::Endianness_LITTLE);
  const char* names[] = {"time", "host", "vm", "uuid", "kind", "entity", "kpi", "bucket", "value"};
  ASSERT_EQ(schema->fields()->size(), std::size(names));
  for (unsigned i = 0; i < schema->fields()->size(); ++i) {
    const arrow::Field* field = schema->fields()->Get(i);
    EXPECT_EQ(field->name()->str(), names[i]);
    EXPECT_EQ(field->nullable(), field->name()->str() == "bucket");
    EXPECT_EQ(field->children()->size(), 0u);
    EXPECT_EQ(field->dictionary(), nullptr);
    if (i >= 1 && i <= kArrowTexts) {
      EXPECT_EQ(field->type_type(), arrow::Type_Utf8);
    }
  }
  const auto* time = schema->fields()->Get(0)->type_as_Timestamp();
  ASSERT_NE(time, nullptr);
  EXPECT_EQ(time->unit(), arrow::TimeUnit_MICROSECOND);
  EXPECT_EQ(time->timezone()->str(), "UTC");
  const auto* bucket = schema->fields()->Get(kArrowTexts + 1)->type_as_Int();
  const auto* value = schema->fields()->Get(kArrowTexts + 2)->type_as_Int();
  ASSERT_TRUE(bucket != nullptr && value != nullptr);
  EXPECT_EQ(std::tuple(bucket->bit_width(), bucket->is_signed()), std::tuple(8, false));
  EXPECT_EQ(std::tuple(value->bit_width(), value->is_signed()), std::tuple(64, true));
}

/// The buffers of a record batch, one after the other as the schema's columns want them.
class Batch {
 public:
  explicit Batch(const Encapsulated& message)
      : body_(message.body), batch_(message.message()->header_as_RecordBatch()) {}
  bool good() const { return batch_ != nullptr; }
  std::size_t rows() const { return static_cast<std::size_t>(batch_->length()); }

  std::string_view next_buffer() {
    const arrow::Buffer* buffer = batch_->buffers()->Get(at_++);
    EXPECT_EQ(buffer->offset() % 8, 0);
    EXPECT_GE(buffer->offset(), end_);  // they do not overlap
    end_ = buffer->offset() + buffer->length();
    EXPECT_LE(static_cast<std::size_t>(end_), body_.size());
    return body_.substr(static_cast<std::size_t>(buffer->offset()), static_cast<std::size_t>(buffer->length()));
  }
  /// The validity bitmap of the next column; empty only if nothing in it is null.
  std::string_view next_column() {
    const arrow::FieldNode* node = batch_->nodes()->Get(column_++);
    EXPECT_EQ(static_cast<std::size_t>(node->length()), rows());
    const std::string_view validity = next_buffer();
    if (validity.empty()) {
      EXPECT_EQ(node->null_count(), 0);
      return validity;
    }
    EXPECT_GE(validity.size(), (rows() + 7) / 8);
    std::int64_t nulls = 0;
    for (std::size_t i = 0; i < rows(); ++i) nulls += (validity[i / 8] >> i % 8 & 1) == 0;
    EXPECT_EQ(node->null_count(), nulls);
    return validity;
  }
  bool at_end() const { return column_ == batch_->nodes()->size() && at_ == batch_->buffers()->size(); }

 private:
  std::string_view body_;
  const arrow::RecordBatch* batch_;
  unsigned at_ = 0;
  unsigned column_ = 0;
  std::int64_t end_ = 0;
};

void read_batch(const Encapsulated& message, std::vector<Row>& rows) {
  Batch batch(message);
  ASSERT_TRUE(batch.good());
  const std::size_t begin = rows.size();
  rows.resize(begin + batch.rows());
  EXPECT_TRUE(batch.next_column().empty());
  const std::string_view times = batch.next_buffer();
  for (std::size_t i = 0; i < batch.rows(); ++i) rows[begin + i].time_us = number_at<std::int64_t>(times, 8 * i);
  for (std::size_t text = 0; text < kArrowTexts; ++text) {
    EXPECT_TRUE(batch.next_column().empty());
    const std::string_view offsets = batch.next_buffer();
    const std::string_view bytes = batch.next_buffer();
    ASSERT_EQ(offsets.size(), 4 * (batch.rows() + 1));
    EXPECT_EQ(number_at<std::int32_t>(offsets, 0), 0);
    for (std::size_t i = 0; i < batch.rows(); ++i) {
      const auto from = number_at<std::int32_t>(offsets, 4 * i);
      const auto to = number_at<std::int32_t>(offsets, 4 * i + 4);
      ASSERT_LE(from, to);
      ASSERT_LE(static_cast<std::size_t>(to), bytes.size());
      rows[begin + i].texts[text] = bytes.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from));
    }
  }
  const std::string_view valid = batch.next_column();
  const std::string_view buckets = batch.next_buffer();
  ASSERT_EQ(buckets.size(), batch.rows());
  for (std::size_t i = 0; i < batch.rows(); ++i) {
    const bool there = valid.empty() || (valid[i / 8] >> i % 8 & 1) != 0;
    if (there) rows[begin + i].bucket = static_cast<std::uint8_t>(buckets[i]);
  }
  EXPECT_TRUE(batch.next_column().empty());
  const std::string_view values = batch.next_buffer();
  for (std::size_t i = 0; i < batch.rows(); ++i) rows[begin + i].value = number_at<std::int64_t>(values, 8 * i);
  EXPECT_TRUE(batch.at_end());
}

/// Reads the file twice, as a stream from the front and by the footer's blocks; both must say the same.
std::vector<Row> read_back(const std::string& file) {
  std::vector<Row> rows;
  EXPECT_EQ(file.substr(0, 8), std::string("ARROW1\0\0", 8));
  EXPECT_EQ(file.substr(file.size() - 6), "ARROW1");
  const auto footer_bytes = number_at<std::int32_t>(file, file.size() - 10);
  const std::size_t footer_at = file.size() - 10 - static_cast<std::size_t>(footer_bytes);
  const Metadata footer_metadata(std::string_view(file).substr(footer_at, static_cast<std::size_t>(footer_bytes)));
  const auto* footer = footer_metadata.root<arrow::Footer>();
  if (footer == nullptr) {
    ADD_FAILURE() << "the footer does not verify";
    return rows;
  }
  EXPECT_EQ(footer->version(), arrow::MetadataVersion_V5);
  EXPECT_EQ(footer->dictionaries()->size(), 0u);
  expect_schema(footer->schema());

  const Encapsulated first = message_at(file, 8);
  EXPECT_TRUE(first.body.empty());
  expect_schema(first.message()->header_as_Schema());
  std::size_t at = 8 + first.metadata_bytes;
  for (const arrow::Block* block : *footer->record_batches()) {
    const Encapsulated message = message_at(file, at);
    EXPECT_EQ(block->offset(), static_cast<std::int64_t>(at));
    EXPECT_EQ(block->metadata_length(), static_cast<std::int32_t>(message.metadata_bytes));
    EXPECT_EQ(block->body_length(), static_cast<std::int64_t>(message.body.size()));
    read_batch(message, rows);
    at += message.metadata_bytes + message.body.size();
  }
  // End of stream, and then the footer.
  EXPECT_EQ(number_at<std::uint32_t>(file, at), 0xffffffffu);
  EXPECT_EQ(number_at<std::int32_t>(file, at + 4), 0);
  EXPECT_EQ(at + 8, footer_at);
  return rows;
}

std::vector<Row> some_rows(std::size_t count) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < count; ++i) {
    Row row;
    row.texts = {"h" + std::to_string(i % 3), i % 5 == 0 ? "" : "wëb", "", "vm", std::string(i % 11, 'x'), "kpi"};
    if (i % 7 != 0) row.bucket = static_cast<std::uint8_t>(i % 256);
    row.time_us = 1'700'000'000'000'000 + static_cast<std::int64_t>(i);
    row.value = i % 2 == 0 ? INT64_MIN + static_cast<std::int64_t>(i) : INT64_MAX;
    rows.push_back(row);
  }
  return rows;
}

TEST(ArrowFile, HoldsWhatWasAdded) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{9}, kArrowBatchRows, 2 * kArrowBatchRows + 13}) {
    const std::vector<Row> rows = some_rows(count);
    EXPECT_TRUE(read_back(written(rows)) == rows) << count;
  }
}

TEST(ArrowFile, WithoutRowsItIsStillATable) {
  EXPECT_TRUE(read_back(written({})).empty());
}

TEST(ArrowFile, ABatchWithoutNullsHasNoBitmap) {
  std::vector<Row> rows = some_rows(20);
  for (Row& row : rows) row.bucket = 3;
  EXPECT_TRUE(read_back(written(rows)) == rows);
  for (Row& row : rows) row.bucket.reset();
  EXPECT_TRUE(read_back(written(rows)) == rows);
}

TEST(ArrowFile, EndsWhenNobodyTakesItAnyMore) {
  int pieces = 0;
  ArrowFile file([&](std::string_view) { return ++pieces < 3; });
  EXPECT_FALSE(file.wanted());
  const int before = pieces;
  file.add({"h", "", "", "", "", ""}, {}, 1, 2);
  file.finish();
  EXPECT_EQ(pieces, before);
}

}  // namespace
}  // namespace proteus::api
