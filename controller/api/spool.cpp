#include "controller/api/spool.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace proteus::api {
namespace {

constexpr std::uint64_t kMiBytes = 1 << 20;

/// -1: errno says why.
int open_without_name(const std::string& directory) {
  const int file = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return file;
  std::string path = directory + "/proteus-XXXXXX";
  const int named = ::mkostemp(path.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(path.c_str());
  return named;
}

}  // namespace

std::string Spool::default_directory() {
  const char* given = std::getenv("TMPDIR");
  return given != nullptr && *given != '\0' ? given : "/var/tmp";
}

Result<Spool> Spool::open(const std::string& directory, std::uint64_t room_left) {
  const int file = open_without_name(directory);
  if (file < 0) {
    return Error{ErrorCode::kUnavailable, fmt::format("the controller cannot write to {}: {}; it writes to another "
                                                      "directory if TMPDIR names one",
                                                      directory, std::strerror(errno))};
  }
  Spool spool(file, directory, room_left);
  if (Status room = spool.check_room(0); !room) return room.error();
  return spool;
}

Spool::~Spool() {
  if (file_ >= 0) ::close(file_);
}

Spool::Spool(Spool&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      directory_(std::move(other.directory_)),
      room_left_(other.room_left_),
      size_(other.size_) {}

Status Spool::check_room(std::size_t bytes) const {
  struct statvfs room {};
  if (::fstatvfs(file_, &room) != 0) return {};  // writing will tell
  const std::uint64_t free_bytes = std::uint64_t{room.f_bavail} * room.f_frsize;
  if (free_bytes >= room_left_ && free_bytes - room_left_ >= bytes) return {};
  return Error{ErrorCode::kUnavailable,
               fmt::format("the controller has no room in {} after {} MiB: {} MiB are free, and {} MiB are left to "
                           "others; ask for a shorter time or fewer hosts, make room, or have TMPDIR name another "
                           "directory",
                           directory_, size_ / kMiBytes, free_bytes / kMiBytes, room_left_ / kMiBytes)};
}

Status Spool::write(std::string_view bytes) {
  if (Status room = check_room(bytes.size()); !room) return room;
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      return Error{ErrorCode::kUnavailable, fmt::format("the controller cannot write to {} after {} MiB: {}",
                                                        directory_, size_ / kMiBytes, std::strerror(errno))};
    }
    size_ += static_cast<std::uint64_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::size_t> Spool::read(std::uint64_t offset, std::span<char> to) const {
  for (;;) {
    const ssize_t got = ::pread(file_, to.data(), to.size(), static_cast<off_t>(offset));
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EINTR) continue;
    return Error{ErrorCode::kUnavailable,
                 fmt::format("the controller cannot read what it wrote to {}: {}", directory_, std::strerror(errno))};
  }
}

}  // namespace proteus::api
