#include "controller/ctl/destination.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <optional>
#include <utility>

namespace proteus::ctl {

namespace fs = std::filesystem;

namespace {

constexpr std::array kEndings = {SIGINT, SIGTERM, SIGHUP};
std::array<char, PATH_MAX> part{};        // that a signal's handler removes
volatile std::sig_atomic_t has_part = 0;  // its name is whole

void remove_part(int signal) {
  if (has_part != 0) ::unlink(part.data());
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void remove_when_ended(const std::string& name) {
  if (name.size() >= part.size()) return;
  has_part = 0;
  std::copy(name.c_str(), name.c_str() + name.size() + 1, part.begin());
  has_part = 1;
  for (const int ending : kEndings) {
    const auto before = std::signal(ending, remove_part);
    if (before == SIG_IGN) std::signal(ending, SIG_IGN);  // as nohup wants it
  }
}

constexpr int kLinksMax = 40;  // as the kernel

/// Where a name leads, though nothing be there yet; nullopt if nowhere, in a circle.
std::optional<fs::path> without_links(fs::path file) {
  for (int i = 0; i <= kLinksMax; ++i) {
    std::error_code none;
    if (!fs::is_symlink(fs::symlink_status(file, none))) return file;
    const fs::path target = fs::read_symlink(file, none);
    if (none) return file;
    file = file.parent_path() / target;
  }
  return std::nullopt;
}

/// As people say it.
std::string size_text(std::uint64_t bytes) {
  constexpr std::uint64_t kMiB = 1 << 20;
  return bytes < kMiB ? fmt::format("{} KiB", (bytes + 1023) / 1024) : fmt::format("{} MiB", bytes / kMiB);
}

/// umask() tells what it is by changing it.
mode_t without_umask(mode_t mode) {
  const mode_t mask = umask(0);
  umask(mask);
  return mode & ~mask;
}

}  // namespace

bool Destination::is_standard_output(const std::string& file) {
  return file == "-" || file == "/dev/stdout";
}

std::ostream& Destination::words(const std::string& file, std::ostream& usual) {
  return is_standard_output(file) ? std::cerr : usual;
}

Result<Destination> Destination::open(const std::string& file, mode_t mode) {
  Destination to;
  to.name_ = file;
  if (is_standard_output(file)) {
    to.name_ = "standard output";
    return to;
  }
  if (file.empty()) return Error{ErrorCode::kInvalidArgument, "the file to write has no name"};
  std::error_code ignored;
  const fs::file_status there = fs::status(file, ignored);
  if (fs::is_directory(there)) return Error{ErrorCode::kPermissionDenied, fmt::format("{} is a directory", file)};
  errno = 0;
  if (fs::exists(there) && !fs::is_regular_file(there)) {
    to.file_.open(file, std::ios::binary | std::ios::app);
  } else {
    if (const auto led = without_links(file)) {
      to.name_ = led->string();
      to.open_part(fs::exists(there) ? static_cast<mode_t>(there.permissions() & fs::perms::all) : without_umask(mode));
    } else {
      errno = ELOOP;
    }
  }
  if (!to.file_.is_open()) {
    return Error{ErrorCode::kPermissionDenied, fmt::format("cannot write {}: {}", to.name_, std::strerror(errno))};
  }
  return to;
}

/// A file that nobody else has, beside the one that it will be. Of a long name only so much is in its own.
void Destination::open_part(mode_t mode) {
  const fs::path whole(name_);
  std::string made = (whole.parent_path() / ("." + whole.filename().string().substr(0, 200) + ".XXXXXX")).string();
  const int fd = mkostemp(made.data(), O_CLOEXEC);
  if (fd < 0) return;
  part_ = std::move(made);
  remove_when_ended(part_);
  file_.open(part_, std::ios::binary | std::ios::trunc);
  // Later than it is opened: the mode may forbid that. Some file systems have no modes, and it is its owner's already.
  if (file_) (void)fchmod(fd, mode);
  part_fd_ = fd;
}

Destination::~Destination() {
  if (part_fd_ >= 0) ::close(part_fd_);
  if (part_.empty()) return;
  has_part = 0;
  ::unlink(part_.c_str());
}

Destination::Destination(Destination&& other) noexcept
    : file_(std::move(other.file_)),
      name_(std::move(other.name_)),
      part_(std::exchange(other.part_, {})),
      part_fd_(std::exchange(other.part_fd_, -1)),
      why_(std::move(other.why_)) {}

void Destination::fail() {
  why_ = errno != 0 ? std::strerror(errno) : "unknown error";
}

Status Destination::check_room(std::uint64_t bytes) const {
  if (part_.empty()) return {};
  std::error_code unknown;
  const fs::space_info room = fs::space(part_, unknown);
  if (unknown || room.available >= bytes) return {};
  return Error{ErrorCode::kFailedPrecondition, fmt::format("no room for {}: it has {}, and {} are free there", name_,
                                                           size_text(bytes), size_text(room.available))};
}

bool Destination::write(const char* data, std::size_t size) {
  std::ostream& out = file_.is_open() ? static_cast<std::ostream&>(file_) : std::cout;
  errno = 0;
  out.write(data, static_cast<std::streamsize>(size));
  if (!out) fail();
  return !failed();
}

Error Destination::error() const {
  return {ErrorCode::kInternal, fmt::format("cannot write {}: {}", name_, why_)};
}

Status Destination::keep() {
  errno = 0;
  if (file_.is_open()) {
    file_.close();
    if (!file_) fail();
  } else if (!std::cout.flush()) {
    fail();
  }
  // Else a crash of the machine may leave the name with nothing in it.
  if (!failed() && part_fd_ >= 0 && ::fsync(part_fd_) != 0) fail();
  if (!failed() && !part_.empty() && std::rename(part_.c_str(), name_.c_str()) != 0) fail();
  if (failed()) return error();
  has_part = 0;
  part_.clear();
  return {};
}

Status Destination::keep_whole(const std::string& bytes) {
  if (Status room = check_room(bytes.size()); !room) return room;
  if (!write(bytes.data(), bytes.size())) return error();
  return keep();
}

}  // namespace proteus::ctl
