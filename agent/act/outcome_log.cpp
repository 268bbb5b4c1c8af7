#include "agent/act/outcome_log.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

#include "agent/act/durable_file.h"
#include "common/log.h"
#include "common/wire/command_codec.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace proteus::act {
namespace {

constexpr std::string_view kMagic = "PRTSACT1";
constexpr std::size_t kRecordHeaderBytes = 8;
/// A command or update is bounded by the wire; anything longer is damage.
constexpr std::size_t kPayloadBytesMax = 1 << 20;

void put_u32(std::string& to, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) to.push_back(static_cast<char>(value >> shift & 0xff));
}
void put_u64(std::string& to, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) to.push_back(static_cast<char>(value >> shift & 0xff));
}
std::uint64_t get(std::string_view from, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(from[i]);
  return value;
}

std::string record(char kind, const std::string& bytes) {
  const std::string payload = kind + bytes;
  std::string made;
  put_u32(made, static_cast<std::uint32_t>(payload.size()));
  put_u32(made, XXH32(payload.data(), payload.size(), 0));
  return made + payload;
}

std::string id_bytes(std::uint64_t id) {
  std::string bytes;
  put_u64(bytes, id);
  return bytes;
}

Error system_error(const std::string& what, const std::string& path) {
  return {ErrorCode::kUnavailable, what + " " + path + ": " + std::generic_category().message(errno)};
}

}  // namespace

OutcomeLog::~OutcomeLog() {
  ::close(descriptor_);
}

Result<std::unique_ptr<OutcomeLog>> OutcomeLog::open(const std::string& directory, Options options) {
  const std::string path = directory + "/outcomes";
  auto content = read_file_if_exists(path);
  if (!content) return content.error();
  if (!*content) {
    if (auto status = replace_file(path, std::string(kMagic)); !status) return status.error();
    *content = std::string(kMagic);
  }
  if (!(*content)->starts_with(kMagic)) return Error{ErrorCode::kCorrupt, path + " is not an outcome log"};
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (descriptor < 0) return system_error("cannot open", path);
  std::unique_ptr<OutcomeLog> log(new OutcomeLog(path, descriptor, options));
  log->bytes_ = log->load(**content);
  if (log->bytes_ < (*content)->size()) {
    log::warning("act: {}: {} bytes at the end are not whole and are cut off", path, (*content)->size() - log->bytes_);
    if (::ftruncate(descriptor, static_cast<off_t>(log->bytes_)) != 0 || ::fsync(descriptor) != 0) {
      return system_error("cannot cut", path);
    }
  }
  return log;
}

std::size_t OutcomeLog::load(const std::string& content) {
  const std::string_view all = content;
  std::size_t at = kMagic.size();
  while (all.size() - at >= kRecordHeaderBytes) {
    const std::size_t size = get(all.substr(at), 4);
    const auto sum = static_cast<std::uint32_t>(get(all.substr(at + 4), 4));
    if (size == 0 || size > kPayloadBytesMax || all.size() - at - kRecordHeaderBytes < size) break;
    const std::string_view payload = all.substr(at + kRecordHeaderBytes, size);
    if (XXH32(payload.data(), payload.size(), 0) != sum || !take_in(payload[0], payload.substr(1))) break;
    at += kRecordHeaderBytes + size;
  }
  return at;
}

bool OutcomeLog::take_in(char kind, std::string_view bytes) {
  if (kind == 'C') {
    auto message = wire::decode_from_controller(bytes);
    if (!message || !std::holds_alternative<Command>(*message)) return false;
    Entry entry;
    entry.command = std::get<Command>(std::move(*message));
    entry.order = next_order_++;
    const std::uint64_t id = entry.command.id;
    entries_[id] = std::move(entry);
    return true;
  }
  if (kind == 'U') {
    auto message = wire::decode_from_agent(bytes);
    if (!message || !std::holds_alternative<Update>(*message)) return false;
    Update& update = std::get<Update>(*message);
    const auto found = entries_.find(update.command);
    if (found != entries_.end()) found->second.final_update = std::move(update);
    return true;
  }
  if (kind == 'A' && bytes.size() == 8) {
    const auto found = entries_.find(get(bytes, 8));
    if (found != entries_.end()) found->second.acknowledged = true;
    return true;
  }
  return false;
}

Status OutcomeLog::append(char kind, const std::string& bytes, bool sync, Timestamp now) {
  const std::string made = record(kind, bytes);
  // Grown to twice its size since the last rewrite as well, so that a log of live entries is not rewritten each time.
  if (bytes_ + made.size() > options_.bytes_max && bytes_ > 2 * bytes_after_rewrite_) {
    if (auto status = rewrite(now); !status) return status;
  }
  Status written = write_all(descriptor_, made, path_);
  if (written && sync && ::fdatasync(descriptor_) != 0) written = system_error("cannot sync", path_);
  if (!written) {
    // Half a record would hide all that follow it.
    if (::ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0) {
      log::error("act: {}: cannot take back a partial record", path_);
    }
    return written;
  }
  bytes_ += made.size();
  return {};
}

Status OutcomeLog::begin(const Command& command, Timestamp now) {
  if (auto status = append('C', wire::encode(command), true, now); !status) return status;
  entries_[command.id] = Entry{command, next_order_++, std::nullopt, false};
  return {};
}

Status OutcomeLog::finish(const Update& update, Timestamp now) {
  const auto found = entries_.find(update.command);
  if (found == entries_.end())
    return Error{ErrorCode::kNotFound, fmt::format("command {} was not begun", update.command)};
  found->second.final_update = update;  // kept even if the disk refuses: this run, at least, answers with it
  return append('U', wire::encode(update), true, now);
}

Status OutcomeLog::acknowledge(std::uint64_t command, Timestamp now) {
  const auto found = entries_.find(command);
  if (found == entries_.end() || !found->second.final_update || found->second.acknowledged) return {};
  found->second.acknowledged = true;
  return append('A', id_bytes(command), false, now);
}

const OutcomeLog::Entry* OutcomeLog::find(std::uint64_t command) const {
  const auto found = entries_.find(command);
  return found == entries_.end() ? nullptr : &found->second;
}

Status OutcomeLog::rewrite(Timestamp now) {
  std::vector<const Entry*> live;
  std::vector<const Entry*> settled;
  for (const auto& [id, entry] : entries_) {
    const bool done = entry.final_update && entry.acknowledged && entry.command.deadline < now;
    (done ? settled : live).push_back(&entry);
  }
  const auto by_order = [](const Entry* a, const Entry* b) { return a->order < b->order; };
  std::sort(settled.begin(), settled.end(), by_order);
  const std::size_t forgotten_count = settled.size() - std::min(settled.size(), options_.settled_entries_kept);
  std::vector<const Entry*> kept = std::move(live);
  kept.insert(kept.end(), settled.begin() + static_cast<std::ptrdiff_t>(forgotten_count), settled.end());
  std::sort(kept.begin(), kept.end(), by_order);

  std::string content(kMagic);
  for (const Entry* entry : kept) {
    content += record('C', wire::encode(entry->command));
    if (entry->final_update) content += record('U', wire::encode(*entry->final_update));
    if (entry->acknowledged) content += record('A', id_bytes(entry->command.id));
  }
  if (auto status = replace_file(path_, content); !status) return status;
  const int descriptor = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (descriptor < 0) return system_error("cannot open", path_);
  ::close(descriptor_);
  descriptor_ = descriptor;
  bytes_ = bytes_after_rewrite_ = content.size();
  for (std::size_t i = 0; i < forgotten_count; ++i) entries_.erase(settled[i]->command.id);
  return {};
}

}  // namespace proteus::act
