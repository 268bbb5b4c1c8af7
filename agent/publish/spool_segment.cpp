#include "agent/publish/spool_segment.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "common/wire/socket.h"
#include "common/wire/telemetry_codec.h"

namespace proteus::publish {
namespace {

static_assert(std::endian::native == std::endian::little, "records are written as they lie in memory");

constexpr std::string_view kMagic = "PRTSPL01";
static_assert(kMagic.size() == SpoolSegment::kHeadBytes);
constexpr std::size_t kRecordHeadBytes = sizeof(std::uint32_t) + sizeof(std::uint64_t);

Error from_errno(int number, const std::string& context) {
  const bool denied = number == EACCES || number == EPERM || number == EROFS;
  return {denied ? ErrorCode::kPermissionDenied : ErrorCode::kUnavailable,
          fmt::format("{}: {}", context, std::strerror(number))};
}

/// Of making or writing a file. A limit on the size of files is one of room, too.
Error from_write_errno(int number, const std::string& context) {
  Error error = from_errno(number, context);
  const bool lacks_room = number == ENOSPC || number == EDQUOT || number == EFBIG;
  if (error.code == ErrorCode::kUnavailable && !lacks_room) error.code = ErrorCode::kInternal;
  return error;
}

bool write_all(int descriptor, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return true;
}

/// False: it ends before. Errors: the disk's.
Result<bool> read_all(int descriptor, char* to, std::size_t length, std::uint64_t offset) {
  while (length > 0) {
    const ssize_t count = ::pread(descriptor, to, length, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return from_errno(errno, "read");
    if (count == 0) return false;
    to += count;
    length -= static_cast<std::size_t>(count);
    offset += static_cast<std::uint64_t>(count);
  }
  return true;
}

std::uint64_t hash_of(std::string_view bytes) {
  return XXH64(bytes.data(), bytes.size(), 0);
}

void put_record(std::string& out, std::string_view message) {
  const auto length = static_cast<std::uint32_t>(message.size());
  const std::uint64_t hash = hash_of(message);
  out.append(reinterpret_cast<const char*>(&length), sizeof length);
  out.append(reinterpret_cast<const char*>(&hash), sizeof hash);
  out.append(message);
}

/// Of the record at `offset`; nullopt if none is there. Errors: the disk's.
Result<std::optional<std::uint32_t>> read_length(int descriptor, std::uint64_t offset) {
  char head[kRecordHeadBytes];
  const Result<bool> has_head = read_all(descriptor, head, sizeof head, offset);
  if (!has_head) return has_head.error();
  std::uint32_t length = 0;
  std::memcpy(&length, head, sizeof length);
  const bool is_one = *has_head && length > 0 && length <= wire::kTelemetryMessageBytesMax;
  return is_one ? std::optional(length) : std::nullopt;
}

/// The record at `offset`, or nullopt if it is cut off or damaged. Errors: the disk's; it may be whole.
Result<std::optional<std::string>> read_record(int descriptor, std::uint64_t offset) {
  using Record = std::optional<std::string>;
  char head[kRecordHeadBytes];
  const Result<bool> has_head = read_all(descriptor, head, sizeof head, offset);
  if (!has_head) return has_head.error();
  if (!*has_head) return Record();
  std::uint32_t length = 0;
  std::uint64_t hash = 0;
  std::memcpy(&length, head, sizeof length);
  std::memcpy(&hash, head + sizeof length, sizeof hash);
  if (length > wire::kTelemetryMessageBytesMax) return Record();
  std::string bytes(length, '\0');
  const Result<bool> has_all = read_all(descriptor, bytes.data(), length, offset + kRecordHeadBytes);
  if (!has_all) return has_all.error();
  if (!*has_all || hash_of(bytes) != hash) return Record();
  return Record(std::move(bytes));
}

/// Where the next whole record is, if the lengths of that at `offset` and of damaged ones behind it lead to one.
/// Errors: the disk's.
Result<std::optional<std::uint64_t>> behind_damage(int descriptor, std::uint64_t offset) {
  for (;;) {
    const auto length = read_length(descriptor, offset);
    if (!length) return length.error();
    if (!*length) return std::optional<std::uint64_t>();
    offset += kRecordHeadBytes + **length;
    const auto next = read_record(descriptor, offset);
    if (!next) return next.error();
    if (*next) return std::optional(offset);
  }
}

}  // namespace

Result<std::unique_ptr<SpoolSegment>> SpoolSegment::create(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return from_write_errno(errno, fmt::format("create {}", path));
  std::unique_ptr<SpoolSegment> segment(new SpoolSegment(path, descriptor));
  if (!write_all(descriptor, kMagic, 0)) {
    const Error error = from_write_errno(errno, fmt::format("write {}", path));
    segment->remove();
    return error;
  }
  segment->bytes_ = kMagic.size();
  return segment;
}

Result<std::unique_ptr<SpoolSegment>> SpoolSegment::open(const std::string& path, Damage& damage) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return from_errno(errno, fmt::format("open {}", path));
  std::unique_ptr<SpoolSegment> segment(new SpoolSegment(path, descriptor));
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return from_errno(errno, fmt::format("open {}", path));
  std::string magic(kMagic.size(), '\0');
  const Result<bool> begins = read_all(descriptor, magic.data(), magic.size(), 0);
  if (!begins) return with_context(begins.error(), path);
  if (!*begins || magic != kMagic) {
    return Error{ErrorCode::kCorrupt, fmt::format("{} is not a spool file", path)};
  }
  const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
  if (const Status read = segment->read_records(file_bytes, damage); !read) return with_context(read.error(), path);
  damage.cut_bytes = file_bytes - segment->bytes_;
  if (damage.cut_bytes > 0 && ::ftruncate(descriptor, static_cast<off_t>(segment->bytes_)) != 0) {
    return from_errno(errno, fmt::format("truncate {}", path));
  }
  return segment;
}

/// As far as anything whole is there. Errors: the disk's.
Status SpoolSegment::read_records(std::uint64_t file_bytes, Damage& damage) {
  bool is_gap = false;
  for (bytes_ = kMagic.size(); bytes_ < file_bytes;) {
    const auto message = read_record(descriptor_, bytes_);
    if (!message) return message.error();
    if (!*message) {
      const auto next = behind_damage(descriptor_, bytes_);
      if (!next) return next.error();
      const auto length = read_length(descriptor_, bytes_);
      if (!length) return length.error();
      const bool reaches_end = *length && bytes_ + kRecordHeadBytes + **length >= file_bytes;
      const auto is_torn = [&] {
        return reaches_end || file_bytes - bytes_ <= kRecordHeadBytes || is_zero(file_bytes);
      };
      if (*next || !is_torn()) ++damage.lost_frames;
      if (!*next) return {};
      bytes_ = **next;
      is_gap = true;
      continue;
    }
    is_gap = is_gap && !ends_gap(**message);
    if (is_gap) {
      ++damage.lost_frames;
    } else if (!index(bytes_ + kRecordHeadBytes, **message)) {
      ++damage.lost_frames;
      return {};
    }
    bytes_ += kRecordHeadBytes + (*message)->size();
  }
  return {};
}

/// Whether nothing but zeroes is left, as some file systems leave it after a power failure.
bool SpoolSegment::is_zero(std::uint64_t file_bytes) const {
  std::array<char, 4096> bytes{};
  for (std::uint64_t at = bytes_; at < file_bytes; at += bytes.size()) {
    const std::size_t size = std::min<std::uint64_t>(bytes.size(), file_bytes - at);
    const Result<bool> read = read_all(descriptor_, bytes.data(), size, at);
    const auto is_nothing = [](char c) { return c == 0; };
    if (!read || !*read || !std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size), is_nothing)) {
      return false;
    }
  }
  return true;
}

/// Whether reading goes on with the message, though what is in front of it is lost.
bool SpoolSegment::ends_gap(std::string_view message) const {
  const auto decoded = wire::decode_upstream(message);
  if (!decoded) return false;
  const auto* frame = std::get_if<wire::EncodedFrame>(&*decoded);
  if (frame == nullptr) return true;
  // The catalog may be what is lost.
  const bool is_explained = !records_.empty() && records_.back().boot_id == frame->boot_id &&
                            records_.back().catalog_version == frame->catalog_version;
  return frame->base_sequence == 0 && is_explained;
}

SpoolSegment::~SpoolSegment() {
  ::close(descriptor_);
}

bool SpoolSegment::index(std::uint64_t offset, std::string_view message) {
  const auto decoded = wire::decode_upstream(message);
  if (!decoded) return false;
  Record record{.offset = offset, .length = static_cast<std::uint32_t>(message.size())};
  if (const auto* catalog = std::get_if<Catalog>(&*decoded)) {
    record.is_catalog = true;
    record.boot_id = catalog->boot_id;
    record.catalog_version = catalog->version;
    record.catalog_record = records_.size();
  } else {
    const auto& frame = std::get<wire::EncodedFrame>(*decoded);
    if (records_.empty()) return false;
    record.is_keyframe = frame.base_sequence == 0;
    if (records_.back().is_catalog && !record.is_keyframe) return false;
    record.boot_id = frame.boot_id;
    record.sequence = frame.sequence;
    record.catalog_version = frame.catalog_version;
    record.catalog_record = records_.back().catalog_record;
  }
  records_.push_back(record);
  return true;
}

Status SpoolSegment::append(const std::vector<std::string>& messages) {
  std::string bytes;
  for (const std::string& message : messages) put_record(bytes, message);
  if (!write_all(descriptor_, bytes, bytes_)) {
    const Error error = from_write_errno(errno, fmt::format("write {}", path_));
    // Gives back what part of it the disk took. Should this fail too, the next append overwrites it.
    if (::ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0) return with_context(error, "not truncated");
    return error;
  }
  for (const std::string& message : messages) {
    if (!index(bytes_ + kRecordHeadBytes, message)) {
      return Error{ErrorCode::kInternal, fmt::format("{}: a message cannot be read back", path_)};
    }
    bytes_ += kRecordHeadBytes + message.size();
  }
  return {};
}

Result<std::string> SpoolSegment::read(const Record& record) const {
  auto message = read_record(descriptor_, record.offset - kRecordHeadBytes);
  if (!message) return with_context(message.error(), path_);
  if (!*message) return Error{ErrorCode::kCorrupt, fmt::format("{} is damaged at byte {}", path_, record.offset)};
  return std::move(**message);
}

void SpoolSegment::flush() {
  ::fdatasync(descriptor_);
}

void SpoolSegment::remove() {
  ::unlink(path_.c_str());
}

}  // namespace proteus::publish
