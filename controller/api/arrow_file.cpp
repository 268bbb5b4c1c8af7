#include "controller/api/arrow_file.h"

#include <bit>
#include <string>
#include <vector>

#include "controller/api/arrow_ipc_generated.h"

namespace proteus::api {
namespace {

static_assert(std::endian::native == std::endian::little, "columns are written as the machine holds them");

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

constexpr std::string_view kMagic = "ARROW1";
constexpr std::size_t kAlignment = 8;
constexpr std::int32_t kContinuation = -1;
constexpr std::array<const char*, kArrowTexts> kTextNames = {"host", "vm", "uuid", "kind", "entity", "kpi"};

std::size_t padded(std::size_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

template <typename T>
std::string_view bytes_of(const std::vector<T>& column) {
  return {reinterpret_cast<const char*>(column.data()), column.size() * sizeof(T)};
}
std::string_view bytes_of(const std::int32_t& number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}
std::string_view bytes_of(const FlatBufferBuilder& builder) {
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

Offset<arrow::Schema> put_schema(FlatBufferBuilder& out) {
  std::vector<Offset<arrow::Field>> fields;
  const auto add = [&](const char* name, bool nullable, arrow::Type type, Offset<void> of_type) {
    const auto children = out.CreateVector(std::vector<Offset<arrow::Field>>());
    fields.push_back(arrow::CreateField(out, out.CreateString(name), nullable, type, of_type, 0, children));
  };
  const auto time = arrow::CreateTimestamp(out, arrow::TimeUnit_MICROSECOND, out.CreateString("UTC"));
  add("time", false, arrow::Type_Timestamp, time.Union());
  for (const char* name : kTextNames) add(name, false, arrow::Type_Utf8, arrow::CreateUtf8(out).Union());
  add("bucket", true, arrow::Type_Int, arrow::CreateInt(out, 8, false).Union());
  add("value", false, arrow::Type_Int, arrow::CreateInt(out, 64, true).Union());
  return arrow::CreateSchema(out, arrow::Endianness_LITTLE, out.CreateVector(fields));
}

/// Variable-length texts as the format lays them out: where each ends, and all of them behind each other.
struct Texts {
  std::vector<std::int32_t> ends{0};
  std::string bytes;

  void add(std::string_view text) {
    bytes += text;
    ends.push_back(static_cast<std::int32_t>(bytes.size()));
  }
  void clear() {
    ends.assign(1, 0);
    bytes.clear();
  }
};

}  // namespace

struct ArrowFile::Impl {
  std::function<bool(std::string_view)> write;
  bool wanted = true;
  std::int64_t position = 0;
  std::vector<arrow::Block> blocks;

  std::vector<std::int64_t> times_us;
  std::array<Texts, kArrowTexts> texts;
  std::vector<std::uint8_t> buckets;
  std::vector<std::uint8_t> bucket_present;  // a bit for each row
  std::int64_t bucket_nulls = 0;
  std::vector<std::int64_t> values;

  void put(std::string_view bytes) {
    wanted = wanted && (bytes.empty() || write(bytes));
    position += static_cast<std::int64_t>(bytes.size());
  }
  void pad(std::size_t size) { put(std::string_view("\0\0\0\0\0\0\0\0", kAlignment).substr(0, padded(size) - size)); }

  /// A message: how long its metadata are, these, padded, and its body.
  void put_message(FlatBufferBuilder& out, arrow::MessageHeader kind, Offset<void> header, std::string_view body) {
    out.Finish(
        arrow::CreateMessage(out, arrow::MetadataVersion_V5, kind, header, static_cast<std::int64_t>(body.size())));
    const auto metadata = static_cast<std::int32_t>(padded(out.GetSize()));
    if (kind == arrow::MessageHeader_RecordBatch) {
      blocks.emplace_back(position, metadata + 8, static_cast<std::int64_t>(body.size()));
    }
    put(bytes_of(kContinuation));
    put(bytes_of(metadata));
    put(bytes_of(out));
    pad(out.GetSize());
    put(body);
  }

  void flush() {
    if (values.empty()) return;
    const auto rows = static_cast<std::int64_t>(values.size());
    std::vector<arrow::FieldNode> nodes;
    std::vector<arrow::Buffer> buffers;
    std::string body;
    const auto add_buffer = [&](std::string_view bytes) {
      buffers.emplace_back(static_cast<std::int64_t>(body.size()), static_cast<std::int64_t>(bytes.size()));
      body += bytes;
      body.resize(padded(body.size()));
    };
    // Validity first, which is left out where no row is null.
    const auto begin_column = [&](std::int64_t nulls, std::string_view validity) {
      nodes.emplace_back(rows, nulls);
      add_buffer(nulls == 0 ? std::string_view() : validity);
    };
    begin_column(0, {});
    add_buffer(bytes_of(times_us));
    for (const Texts& column : texts) {
      begin_column(0, {});
      add_buffer(bytes_of(column.ends));
      add_buffer(column.bytes);
    }
    begin_column(bucket_nulls, bytes_of(bucket_present));
    add_buffer(bytes_of(buckets));
    begin_column(0, {});
    add_buffer(bytes_of(values));

    FlatBufferBuilder out;
    const auto batch =
        arrow::CreateRecordBatch(out, rows, out.CreateVectorOfStructs(nodes), out.CreateVectorOfStructs(buffers));
    put_message(out, arrow::MessageHeader_RecordBatch, batch.Union(), body);

    times_us.clear();
    for (Texts& column : texts) column.clear();
    buckets.clear();
    bucket_present.clear();
    bucket_nulls = 0;
    values.clear();
  }
};

ArrowFile::ArrowFile(std::function<bool(std::string_view)> write) : impl_(std::make_unique<Impl>()) {
  impl_->write = std::move(write);
  impl_->put(kMagic);
  impl_->pad(kMagic.size());
  FlatBufferBuilder out;
  impl_->put_message(out, arrow::MessageHeader_Schema, put_schema(out).Union(), {});
}

ArrowFile::~ArrowFile() = default;

bool ArrowFile::wanted() const {
  return impl_->wanted;
}

void ArrowFile::add(const std::array<std::string_view, kArrowTexts>& texts, std::optional<std::uint8_t> bucket,
                    std::int64_t time_us, std::int64_t value) {
  const std::size_t row = impl_->values.size();
  impl_->times_us.push_back(time_us);
  for (std::size_t i = 0; i < kArrowTexts; ++i) impl_->texts[i].add(texts[i]);
  if (row % 8 == 0) impl_->bucket_present.push_back(0);
  if (bucket) impl_->bucket_present.back() |= static_cast<std::uint8_t>(1u << row % 8);
  impl_->bucket_nulls += bucket ? 0 : 1;
  impl_->buckets.push_back(bucket.value_or(0));
  impl_->values.push_back(value);
  if (row + 1 == kArrowBatchRows) impl_->flush();
}

void ArrowFile::finish() {
  impl_->flush();
  impl_->put(bytes_of(kContinuation));
  impl_->put(bytes_of(std::int32_t{0}));  // the stream of messages ends
  FlatBufferBuilder out;
  const auto schema = put_schema(out);
  const auto dictionaries = out.CreateVectorOfStructs(std::vector<arrow::Block>());
  const auto batches = out.CreateVectorOfStructs(impl_->blocks);
  out.Finish(arrow::CreateFooter(out, arrow::MetadataVersion_V5, schema, dictionaries, batches));
  impl_->put(bytes_of(out));
  impl_->put(bytes_of(static_cast<std::int32_t>(out.GetSize())));
  impl_->put(kMagic);
}

}  // namespace proteus::api
