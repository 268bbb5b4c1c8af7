#include "controller/ctl/destination.h"

#include <fmt/core.h>
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

}  // namespace

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
    if (to.file_) remove_when_ended(to.name_);
  }
  if (!to.file_) {
    to.place_.clear();
    return Error{ErrorCode::kPermissionDenied, fmt::format("cannot write {}: {}", to.name_, std::strerror(errno))};
  }
  return to;
}

Destination::~Destination() {
  if (place_.empty()) return;
  has_part = 0;
  std::remove(name_.c_str());
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
  has_part = 0;
  place_.clear();
  return {};
}

}  // namespace proteus::ctl
