#include "controller/replay/recording.h"

#include <fmt/core.h>
#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "controller/store/journal.h"

namespace proteus::replay {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is written as the machine holds it");

constexpr std::string_view kMagic = "PROTEUSR";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kChunkTarget = 1 << 20;
constexpr std::uint32_t kChunkMax = 16 << 20;
constexpr std::uint8_t kTelemetry = 1;
constexpr std::uint8_t kJournal = 2;
constexpr int kCompressionLevel = 3;

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

/// Takes numbers and bytes off the front of a buffer; `good` turns false at its end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  template <typename T>
  T take() {
    T value{};
    const std::string_view part = take_bytes(sizeof(value));
    if (good_) std::memcpy(&value, part.data(), sizeof(value));
    return value;
  }
  std::string_view take_bytes(std::size_t size) {
    if (size > bytes_.size()) good_ = false;
    if (!good_) return {};
    const std::string_view part = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return part;
  }
  std::string_view rest() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  bool good() const { return good_; }

 private:
  std::string_view bytes_;
  bool good_ = true;
};

class Writer {
 public:
  explicit Writer(const std::string& path) : path_(path), part_(path + ".part"), file_(part_, std::ios::binary | std::ios::trunc) {
    file_ << kMagic;
    std::string head;
    put(head, kVersion);
    put(head, std::uint32_t{0});
    file_ << head;
  }
  ~Writer() {
    if (!done_) std::remove(part_.c_str());
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  bool add(std::uint8_t kind, std::uint64_t lsn, std::string_view body) {
    put(chunk_, kind);
    put(chunk_, lsn);
    put(chunk_, static_cast<std::uint32_t>(body.size()));
    chunk_.append(body);
    ++(kind == kTelemetry ? summary_.raw_messages : summary_.journal_entries);
    return chunk_.size() < kChunkTarget || flush();
  }

  Result<RecordingSummary> finish() {
    std::string trailer;
    put(trailer, summary_.raw_messages);
    put(trailer, summary_.journal_entries);
    put(trailer, XXH64(trailer.data(), trailer.size(), 0));
    if (flush()) file_ << std::string(8, '\0') << trailer;
    file_.close();
    if (!file_ || std::rename(part_.c_str(), path_.c_str()) != 0) {
      return Error{ErrorCode::kUnavailable, fmt::format("cannot write {}: {}", path_, std::strerror(errno))};
    }
    done_ = true;
    return summary_;
  }

 private:
  bool flush() {
    if (chunk_.empty()) return file_.good();
    std::string packed(ZSTD_compressBound(chunk_.size()), '\0');
    packed.resize(ZSTD_compress(packed.data(), packed.size(), chunk_.data(), chunk_.size(), kCompressionLevel));
    std::string head;
    put(head, static_cast<std::uint32_t>(packed.size()));
    put(head, static_cast<std::uint32_t>(chunk_.size()));
    put(head, XXH64(packed.data(), packed.size(), 0));
    file_ << head << packed;
    chunk_.clear();
    return file_.good();
  }

  std::string path_;
  std::string part_;
  std::ofstream file_;
  std::string chunk_;
  RecordingSummary summary_;
  bool done_ = false;
};

std::string telemetry_body(const store::RawMessage& message) {
  std::string body;
  put(body, to_unix_ns(message.received));
  put(body, message.boot_id);
  put(body, message.sequence);
  put(body, message.catalog_version);
  put(body, message.base_sequence);
  put(body, static_cast<std::uint16_t>(message.host.value.size()));
  body += message.host.value;
  body += message.bytes;
  return body;
}

/// One entry to the visitor. nullopt: it does not decode; else what the callback returned.
std::optional<bool> visit(std::uint8_t kind, std::uint64_t lsn, std::string_view body, const store::Store::Visitor& visitor) {
  if (kind == kJournal) {
    Result<store::JournalEntry> entry = store::decode_journal_entry(body);
    if (!entry) return std::nullopt;
    entry->lsn = lsn;
    return visitor.journal(*entry);
  }
  if (kind != kTelemetry) return std::nullopt;
  Reader reader(body);
  store::RawMessage message;
  message.lsn = lsn;
  message.received = from_unix_ns(reader.take<std::int64_t>());
  message.boot_id = reader.take<std::uint64_t>();
  message.sequence = reader.take<std::uint64_t>();
  message.catalog_version = reader.take<std::uint32_t>();
  message.base_sequence = reader.take<std::uint64_t>();
  const auto name_size = reader.take<std::uint16_t>();
  message.host = HostId(std::string(reader.take_bytes(name_size)));
  if (!reader.good()) return std::nullopt;
  message.bytes = reader.rest();
  return visitor.raw(message);
}

}  // namespace

Result<RecordingSummary> write_recording(const store::Store& store, const RecordOptions& options, const std::string& path) {
  const Timestamp at = options.from == Timestamp{} ? options.to : options.from;
  const Result<std::optional<store::JournalEntry>> beginning = store.last_started(at);
  if (!beginning) return beginning.error();
  if (!*beginning) return Error{ErrorCode::kNotFound, "no controller had begun by then: there is nothing to replay from"};
  const auto& started = std::get<store::Started>((*beginning)->payload);
  const std::uint64_t first = started.warm_from_lsn != 0 ? started.warm_from_lsn : (*beginning)->lsn;

  Writer writer(path);
  bool written = true;
  const auto wanted = [&](const HostId& host) {
    return options.hosts.empty() || std::find(options.hosts.begin(), options.hosts.end(), host) != options.hosts.end();
  };
  store::Store::Visitor visitor;
  visitor.raw = [&](const store::RawMessage& message) {
    if (message.received >= options.to || !wanted(message.host)) return true;
    return written = writer.add(kTelemetry, message.lsn, telemetry_body(message));
  };
  visitor.journal = [&](const store::JournalEntry& entry) {
    if (entry.time >= options.to || entry.lsn < (*beginning)->lsn) return true;
    return written = writer.add(kJournal, entry.lsn, store::encode(entry));
  };
  if (Status read = store.scan_lsn(first, UINT64_MAX, visitor); !read) return read.error();
  if (!written) return Error{ErrorCode::kUnavailable, fmt::format("cannot write {}: {}", path, std::strerror(errno))};
  return writer.finish();
}

Result<RecordingSummary> read_recording(const std::string& path, const store::Store::Visitor& visitor) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{ErrorCode::kNotFound, fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  RecordingSummary summary;
  const auto corrupt = [&](const char* what) {
    return Error{ErrorCode::kCorrupt, fmt::format("{}: {} after {} telemetry messages and {} journal entries", path, what,
                                                  summary.raw_messages, summary.journal_entries)};
  };
  const auto take = [&](std::size_t size, std::string& out) {
    out.resize(size);
    file.read(out.data(), static_cast<std::streamsize>(size));
    return static_cast<std::size_t>(file.gcount()) == size;
  };
  std::string bytes;
  if (!take(16, bytes) || !bytes.starts_with(kMagic)) return Error{ErrorCode::kCorrupt, path + " is not a recording"};
  Reader head(std::string_view(bytes).substr(kMagic.size()));
  if (const auto version = head.take<std::uint32_t>(); version != kVersion) {
    return Error{ErrorCode::kUnsupported, fmt::format("{} has version {}; this program reads version {}", path, version, kVersion)};
  }
  std::string chunk;
  while (take(8, bytes)) {
    Reader sizes(bytes);
    const auto packed_size = sizes.take<std::uint32_t>();
    const auto size = sizes.take<std::uint32_t>();
    if (packed_size == 0) {
      if (!take(24, bytes)) return corrupt("cut off");
      Reader trailer(bytes);
      const auto raw_messages = trailer.take<std::uint64_t>();
      const auto journal_entries = trailer.take<std::uint64_t>();
      if (trailer.take<std::uint64_t>() != XXH64(bytes.data(), 16, 0)) return corrupt("wrong checksum");
      if (raw_messages != summary.raw_messages || journal_entries != summary.journal_entries) return corrupt("entries are missing");
      return summary;
    }
    if (size == 0 || size > kChunkMax || packed_size > ZSTD_compressBound(kChunkMax)) return corrupt("impossible size");
    if (!take(8, bytes)) return corrupt("cut off");
    const auto checksum = Reader(bytes).take<std::uint64_t>();
    if (!take(packed_size, bytes)) return corrupt("cut off");
    if (XXH64(bytes.data(), bytes.size(), 0) != checksum) return corrupt("wrong checksum");
    chunk.resize(size);
    if (ZSTD_decompress(chunk.data(), chunk.size(), bytes.data(), bytes.size()) != size) return corrupt("does not decompress");
    Reader entries(chunk);
    while (!entries.empty()) {
      const auto kind = entries.take<std::uint8_t>();
      const auto lsn = entries.take<std::uint64_t>();
      const std::string_view body = entries.take_bytes(entries.take<std::uint32_t>());
      if (!entries.good()) return corrupt("broken entry");
      const std::optional<bool> go_on = visit(kind, lsn, body, visitor);
      if (!go_on) return corrupt("an entry that does not decode");
      ++(kind == kTelemetry ? summary.raw_messages : summary.journal_entries);
      if (!*go_on) return summary;
    }
  }
  return corrupt("cut off");
}

}  // namespace proteus::replay
