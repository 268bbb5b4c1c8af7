#pragma once

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

}  // namespace proteus::collect
