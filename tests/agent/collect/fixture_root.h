#pragma once

#include <sys/inotify.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace proteus::collect {

/// An empty directory that stands for "/" and vanishes with the test.
class FixtureRoot {
 public:
  FixtureRoot() {
    std::string name = (std::filesystem::temp_directory_path() / "proteus-root-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~FixtureRoot() { std::filesystem::remove_all(path_); }
  FixtureRoot(const FixtureRoot&) = delete;
  FixtureRoot& operator=(const FixtureRoot&) = delete;

  void write(const std::string& file, const std::string& text) const {
    const std::filesystem::path target = path_ + file;
    std::filesystem::create_directories(target.parent_path());
    std::ofstream(target, std::ios::binary) << text;
  }
  void remove(const std::string& file) const { std::filesystem::remove_all(path_ + file); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Whether anybody opens a file while it lives.
class OpenWatch {
 public:
  explicit OpenWatch(const std::string& path) : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    works_ = ::inotify_add_watch(fd_, path.c_str(), IN_OPEN) >= 0;
  }
  ~OpenWatch() { ::close(fd_); }
  OpenWatch(const OpenWatch&) = delete;
  OpenWatch& operator=(const OpenWatch&) = delete;
  bool works() const { return works_; }
  /// Since it was asked last.
  bool was_opened() const {
    char events[4096];
    return ::read(fd_, events, sizeof events) > 0;
  }

 private:
  const int fd_;
  bool works_ = false;
};

}  // namespace proteus::collect
