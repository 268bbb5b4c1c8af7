#include "controller/ctl/destination.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <utility>

namespace proteus::ctl {

namespace fs = std::filesystem;

bool Destination::is_standard_output(const std::string& file) {
  return file == "-" || file == "/dev/stdout";
}

Result<Destination> Destination::open(const std::string& file) {
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
  if (fs::exists(there) && !fs::is_regular_file(there)) {
    to.file_.open(file, std::ios::binary | std::ios::app);
  } else {
    to.place_ = file;
    if (fs::is_symlink(fs::symlink_status(file, ignored))) to.place_ = fs::weakly_canonical(file, ignored).string();
    to.name_ = to.place_ + ".part";
    to.file_.open(to.name_, std::ios::binary | std::ios::trunc);
  }
  if (!to.file_) {
    to.place_.clear();
    return Error{ErrorCode::kPermissionDenied, fmt::format("cannot write {}: {}", to.name_, std::strerror(errno))};
  }
  return to;
}

Destination::~Destination() {
  if (!place_.empty()) std::remove(name_.c_str());
}

Destination::Destination(Destination&& other) noexcept
    : file_(std::move(other.file_)),
      name_(std::move(other.name_)),
      place_(std::exchange(other.place_, {})),
      why_(std::move(other.why_)) {}

void Destination::fail() {
  why_ = errno != 0 ? std::strerror(errno) : "unknown error";
}

Status Destination::check_room(std::uint64_t bytes) const {
  if (place_.empty()) return {};
  std::error_code unknown;
  const fs::space_info room = fs::space(name_, unknown);
  if (unknown || room.available >= bytes) return {};
  return Error{ErrorCode::kUnavailable, fmt::format("no room for {}: it has {} MiB, and {} MiB are free there", place_,
                                                    bytes >> 20, room.available >> 20)};
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
  if (!failed() && !place_.empty() && std::rename(name_.c_str(), place_.c_str()) != 0) fail();
  if (failed()) return error();
  place_.clear();
  return {};
}

}  // namespace proteus::ctl
