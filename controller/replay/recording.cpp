#include "controller/replay/recording.h"

#include <fmt/core.h>
#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <set>
#include <utility>

#include "controller/api/json_view.h"
#include "controller/store/journal.h"

namespace proteus::replay {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is written as the machine holds it");

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kChunkTarget = 128 << 10;  // what damage in it makes unreadable
constexpr std::uint32_t kChunkMax = 80u << 20;   // the largest telemetry message, with what came before it
constexpr std::uint32_t kDescriptionMax = 1u << 20;
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
  std::string_view take_text() { return take_bytes(take<std::uint16_t>()); }
  std::string_view rest() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  bool good() const { return good_; }

 private:
  std::string_view bytes_;
  bool good_ = true;
};

void put_text(std::string& out, std::string_view text) {
  text = text.substr(0, 0xffff);
  put(out, static_cast<std::uint16_t>(text.size()));
  out.append(text);
}

std::string telemetry_body(const store::RawMessage& message) {
  std::string body;
  put(body, to_unix_ns(message.received));
  put(body, message.boot_id);
  put(body, message.sequence);
  put(body, message.catalog_version);
  put(body, message.base_sequence);
  put_text(body, message.host.value);
  body += message.bytes;
  return body;
}

/// Makes a recording of entries.
class Writer {
 public:
  Writer(const RecordingSink& sink, Timestamp from, Timestamp to) : sink_(sink) {
    summary_.version = PROTEUS_VERSION;
    summary_.from = from;
    summary_.to = to;
  }
  Status begin() {
    std::string description;
    put(description, to_unix_ns(summary_.from));
    put(description, to_unix_ns(summary_.to));
    put_text(description, summary_.version);
    std::string head(kRecordingMagic);
    put(head, kVersion);
    put(head, static_cast<std::uint32_t>(description.size()));
    head += description;
    put(head, XXH64(description.data(), description.size(), 0));
    return sink_(head);
  }
  Status add(const store::RawMessage& message) {
    hosts_.insert(message.host);
    return add(kTelemetry, message.lsn, telemetry_body(message));
  }
  Status add(const store::JournalEntry& entry) { return add(kJournal, entry.lsn, store::encode(entry)); }

  Result<RecordingSummary> finish() {
    if (Status flushed = flush(); !flushed) return flushed.error();
    summary_.hosts.assign(hosts_.begin(), hosts_.end());
    std::string totals;
    put(totals, summary_.raw_messages);
    put(totals, summary_.journal_entries);
    for (const HostId& host : summary_.hosts) put_text(totals, host.value);
    std::string trailer;
    put(trailer, std::uint32_t{0});
    put(trailer, static_cast<std::uint32_t>(totals.size()));
    trailer += totals;
    put(trailer, XXH64(totals.data(), totals.size(), 0));
    if (Status written = sink_(trailer); !written) return written.error();
    return summary_;
  }

 private:
  Status add(std::uint8_t kind, std::uint64_t lsn, std::string_view body) {
    if (chunk_.size() + body.size() > kChunkTarget) {
      if (Status flushed = flush(); !flushed) return flushed;
    }
    put(chunk_, kind);
    put(chunk_, lsn);
    put(chunk_, static_cast<std::uint32_t>(body.size()));
    chunk_.append(body);
    ++(kind == kTelemetry ? summary_.raw_messages : summary_.journal_entries);
    return {};
  }
  Status flush() {
    if (chunk_.empty()) return {};
    std::string packed(ZSTD_compressBound(chunk_.size()), '\0');
    packed.resize(ZSTD_compress(packed.data(), packed.size(), chunk_.data(), chunk_.size(), kCompressionLevel));
    std::string head;
    put(head, static_cast<std::uint32_t>(packed.size()));
    put(head, static_cast<std::uint32_t>(chunk_.size()));
    put(head, XXH64(packed.data(), packed.size(), 0));
    chunk_.clear();
    if (Status written = sink_(head); !written) return written;
    return sink_(packed);
  }

  const RecordingSink& sink_;
  std::string chunk_;
  std::set<HostId> hosts_;
  RecordingSummary summary_;
};

/// A file that gets its name when it is whole, and goes if it never is.
class WholeFile {
 public:
  explicit WholeFile(const std::string& path)
      : path_(path), part_(path + ".part"), file_(part_, std::ios::binary | std::ios::trunc) {
    if (!file_) why_ = errno;
  }
  ~WholeFile() {
    if (!done_) std::remove(part_.c_str());
  }
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;

  Status write(std::string_view bytes) {
    if (!file_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()))) return failure();
    return {};
  }
  Status keep() {
    file_.close();
    if (!file_ || std::rename(part_.c_str(), path_.c_str()) != 0) return failure();
    done_ = true;
    return {};
  }

 private:
  Error failure() const {
    return {ErrorCode::kUnavailable,
            fmt::format("cannot write {}: {}", path_, std::strerror(why_ != 0 ? why_ : errno))};
  }

  std::string path_;
  std::string part_;
  std::ofstream file_;
  int why_ = 0;  // it could not be opened
  bool done_ = false;
};

/// One entry to the visitor. nullopt: it does not decode; else what the callback returned.
std::optional<bool> visit(std::uint8_t kind, std::uint64_t lsn, std::string_view body,
                          const store::Store::Visitor& visitor) {
  if (kind == kJournal) {
    Result<store::JournalEntry> entry = store::decode_journal_entry(body);
    if (!entry) return std::nullopt;
    entry->lsn = lsn;
    return !visitor.journal || visitor.journal(*entry);
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
  message.host = HostId(std::string(reader.take_text()));
  if (!reader.good()) return std::nullopt;
  message.bytes = reader.rest();
  return !visitor.raw || visitor.raw(message);
}

/// Notices cycles that had taken in telemetry which is not there. Fed in the order of lsns.
class Completeness {
 public:
  void on_raw(std::uint64_t lsn) {
    newest_raw_lsn_ = lsn;
    if (runs_.empty() || runs_.back().second + 1 != lsn) runs_.emplace_back(lsn, lsn);
    runs_.back().second = lsn;
  }
  void on_journal(const store::JournalEntry& entry) {
    if (const auto* cycle = std::get_if<store::Cycle>(&entry.payload)) {
      if (cycle->frames_through_lsn > newest_raw_lsn_) missing_until_ = entry.time;
    } else if (const auto* started = std::get_if<store::Started>(&entry.payload)) {
      if (started->warm_from_lsn != 0 && !has(started->warm_from_lsn)) missing_until_ = entry.time;
    }
  }
  std::optional<Timestamp> missing_until() const { return missing_until_; }

 private:
  bool has(std::uint64_t lsn) const {
    return std::any_of(runs_.begin(), runs_.end(),
                       [lsn](const auto& run) { return run.first <= lsn && lsn <= run.second; });
  }

  std::uint64_t newest_raw_lsn_ = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> runs_;  // of raw messages, first and last
  std::optional<Timestamp> missing_until_;
};

/// Tells, of a run's entries in the order of lsns, when none that is older than `to` follows. A clock may have been set
/// back, or have been ahead for a while: it is so once they have all been of `to` and later for two hours. What is
/// dated later than `now` says nothing, and a leap counts as a minute.
class End {
 public:
  End(Timestamp to, Timestamp now) : to_(to), now_(now) {}
  /// Whether `time` lies past the end.
  bool pass(Timestamp time) {
    if (time < to_) {
      last_.reset();
      passed_ = {};
      return false;
    }
    if (time < now_) {
      if (last_) passed_ += std::clamp<Nanoseconds>(time - *last_, Nanoseconds(0), kStepMax);
      last_ = time;
    }
    return true;
  }
  bool reached() const { return passed_ >= kMargin; }

 private:
  static constexpr Nanoseconds kMargin = std::chrono::hours(2);
  static constexpr Nanoseconds kStepMax = std::chrono::minutes(1);
  const Timestamp to_;
  const Timestamp now_;
  std::optional<Timestamp> last_;
  Nanoseconds passed_{};
};

/// The run that a recording begins with. Errors: the store's, kNotFound.
Result<store::JournalEntry> beginning_of(const store::Store& store, const RecordOptions& options) {
  const Result<std::optional<store::JournalEntry>> before = store.last_started(options.from.value_or(options.to));
  if (!before) return before.error();
  if (*before) return **before;
  const Result<std::optional<store::JournalEntry>> first = store.first_started();
  if (!first) return first.error();
  if (!*first) return Error{ErrorCode::kNotFound, "no controller has begun: there is nothing to replay from"};
  if ((*first)->time < options.to) return **first;
  return Error{ErrorCode::kNotFound, fmt::format("the controller first began at {}: there is nothing to replay before",
                                                 api::to_rfc3339((*first)->time))};
}

}  // namespace

Result<RecordingSummary> write_recording(const store::Store& store, const RecordOptions& options,
                                         store::Allowance& allowance, const RecordingSink& sink) {
  const Result<store::JournalEntry> beginning = beginning_of(store, options);
  if (!beginning) return beginning.error();
  const bool later = options.from && beginning->time > *options.from;
  const auto& started = std::get<store::Started>(beginning->payload);
  std::uint64_t first = started.warm_from_lsn != 0 ? started.warm_from_lsn : beginning->lsn;
  if (started.restored_from_lsn != 0) first = std::min(first, started.restored_from_lsn);

  Writer writer(sink, beginning->time, options.to);
  Status written = writer.begin();
  if (!written) return written.error();
  const auto wanted = [&](const HostId& host) {
    return options.hosts.empty() || std::find(options.hosts.begin(), options.hosts.end(), host) != options.hosts.end();
  };
  Completeness completeness;
  End end(options.to, options.now);
  const auto is_past = [&](std::uint64_t lsn, Timestamp time) {
    return lsn < beginning->lsn ? time >= options.to : end.pass(time);
  };
  store::Store::Visitor visitor;
  visitor.raw = [&](const store::RawMessage& message) {
    if (written = allowance.go_on(); !written) return false;
    completeness.on_raw(message.lsn);
    if (is_past(message.lsn, message.received)) return !end.reached();
    if (!wanted(message.host)) return true;
    written = writer.add(message);
    return written.has_value();
  };
  visitor.journal = [&](const store::JournalEntry& entry) {
    if (written = allowance.go_on(); !written) return false;
    if (is_past(entry.lsn, entry.time)) return !end.reached();
    if (entry.lsn < beginning->lsn) {
      // Of what stands in front of a renewal, what it rests on.
      const bool rests = store::is_state(entry.payload) || std::holds_alternative<store::SignalInput>(entry.payload);
      if (!rests || started.restored_from_lsn == 0 || entry.lsn < started.restored_from_lsn) return true;
    }
    completeness.on_journal(entry);
    written = writer.add(entry);
    return written.has_value();
  };
  if (Status read = store.scan_lsn(first, UINT64_MAX, visitor); !read) return read.error();
  if (!written) return written.error();
  Result<RecordingSummary> summary = writer.finish();
  if (!summary) return summary;
  summary->begins_later = later;
  summary->missing_until = completeness.missing_until();
  for (const HostId& host : options.hosts) {
    if (std::find(summary->hosts.begin(), summary->hosts.end(), host) != summary->hosts.end()) continue;
    return Error{ErrorCode::kNotFound, fmt::format("host {} sent no telemetry in that time", host.value)};
  }
  return summary;
}

Result<RecordingSummary> write_recording(const store::Store& store, const RecordOptions& options,
                                         const std::string& path) {
  WholeFile file(path);
  store::Allowance unlimited;
  Result<RecordingSummary> summary =
      write_recording(store, options, unlimited, [&](std::string_view bytes) { return file.write(bytes); });
  if (!summary) return summary;
  if (const Status kept = file.keep(); !kept) return kept.error();
  return summary;
}

Result<RecordingSummary> read_recording(const std::string& path, const store::Store::Visitor& visitor,
                                        const std::function<void(double)>& progress) {
  // Standard input is read where it is: opened anew it may be refused, and a socket always is.
  std::error_code has_no_size;
  if (path != kStandardInput && std::filesystem::is_directory(path, has_no_size)) {
    return Error{ErrorCode::kPermissionDenied, path + " is a directory, and no recording"};
  }
  std::ifstream opened;
  if (path != kStandardInput) opened.open(path, std::ios::binary);
  if (!opened) {
    return Error{errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kPermissionDenied,
                 fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  }
  std::istream& file = path == kStandardInput ? std::cin : opened;
  const std::uintmax_t whole = path == kStandardInput ? 0 : std::filesystem::file_size(path, has_no_size);
  std::uintmax_t read = 0;
  RecordingSummary summary;
  Completeness completeness;
  store::Store::Visitor watching;
  std::optional<Timestamp> newest;
  watching.raw = [&](const store::RawMessage& message) {
    completeness.on_raw(message.lsn);
    newest = newest ? std::max(*newest, message.received) : message.received;
    return !visitor.raw || visitor.raw(message);
  };
  watching.journal = [&](const store::JournalEntry& entry) {
    completeness.on_journal(entry);
    newest = newest ? std::max(*newest, entry.time) : entry.time;
    return !visitor.journal || visitor.journal(entry);
  };
  const std::string name = path == kStandardInput ? "standard input" : path;
  const auto corrupt = [&](const char* what) {
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: {} after {} telemetry messages and {} journal entries{}", name, what,
                             summary.raw_messages, summary.journal_entries,
                             newest ? fmt::format(", the newest of {}", api::to_rfc3339(*newest)) : "")};
  };
  const auto take = [&](std::size_t size, std::string& out) {
    out.resize(size);
    file.read(out.data(), static_cast<std::streamsize>(size));
    read += static_cast<std::uintmax_t>(file.gcount());
    return static_cast<std::size_t>(file.gcount()) == size;
  };
  // Bytes with their checksum behind them; what is wrong, or nullptr.
  const auto take_checked = [&](std::uint32_t size, std::string& out) -> const char* {
    std::string checksum;
    if (size > kDescriptionMax) return "impossible size";
    if (!take(size, out) || !take(8, checksum)) return "cut off";
    return Reader(checksum).take<std::uint64_t>() == XXH64(out.data(), out.size(), 0) ? nullptr : "wrong checksum";
  };
  std::string bytes;
  if (!take(16, bytes) || !bytes.starts_with(kRecordingMagic))
    return Error{ErrorCode::kCorrupt, name + " is not a recording"};
  Reader head(std::string_view(bytes).substr(kRecordingMagic.size()));
  if (const auto version = head.take<std::uint32_t>(); version != kVersion) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{} has version {}; this program reads version {}", name, version, kVersion)};
  }
  if (const char* trouble = take_checked(head.take<std::uint32_t>(), bytes)) return corrupt(trouble);
  Reader description(bytes);
  summary.from = from_unix_ns(description.take<std::int64_t>());
  summary.to = from_unix_ns(description.take<std::int64_t>());
  summary.version = description.take_text();
  if (!description.good()) return corrupt("broken description");
  std::string chunk;
  while (take(8, bytes)) {
    Reader sizes(bytes);
    const auto packed_size = sizes.take<std::uint32_t>();
    const auto size = sizes.take<std::uint32_t>();
    if (packed_size == 0) {
      if (const char* trouble = take_checked(size, bytes)) return corrupt(trouble);
      Reader trailer(bytes);
      const auto raw_messages = trailer.take<std::uint64_t>();
      const auto journal_entries = trailer.take<std::uint64_t>();
      while (trailer.good() && !trailer.empty()) summary.hosts.emplace_back(std::string(trailer.take_text()));
      if (!trailer.good()) return corrupt("broken trailer");
      if (raw_messages != summary.raw_messages || journal_entries != summary.journal_entries)
        return corrupt("entries are missing");
      if (take(1, bytes)) return corrupt("something follows its end");
      summary.missing_until = completeness.missing_until();
      return summary;
    }
    if (size == 0 || size > kChunkMax || packed_size > ZSTD_compressBound(kChunkMax)) return corrupt("impossible size");
    if (!take(8, bytes)) return corrupt("cut off");
    const auto checksum = Reader(bytes).take<std::uint64_t>();
    if (!take(packed_size, bytes)) return corrupt("cut off");
    if (XXH64(bytes.data(), bytes.size(), 0) != checksum) return corrupt("wrong checksum");
    chunk.resize(size);
    if (ZSTD_decompress(chunk.data(), chunk.size(), bytes.data(), bytes.size()) != size)
      return corrupt("does not decompress");
    Reader entries(chunk);
    while (!entries.empty()) {
      const auto kind = entries.take<std::uint8_t>();
      const auto lsn = entries.take<std::uint64_t>();
      const std::string_view body = entries.take_bytes(entries.take<std::uint32_t>());
      if (!entries.good()) return corrupt("broken entry");
      const std::optional<bool> go_on = visit(kind, lsn, body, watching);
      if (!go_on) return corrupt("an entry that does not decode");
      ++(kind == kTelemetry ? summary.raw_messages : summary.journal_entries);
      if (!*go_on) return summary;
    }
    if (progress && !has_no_size && whole > 0) progress(static_cast<double>(read) / static_cast<double>(whole));
  }
  return corrupt("cut off");
}

}  // namespace proteus::replay
