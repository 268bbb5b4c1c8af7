#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/result.h"

namespace proteus::api {

/// Where an answer lies until it is whole: a file without a name, which is gone when the object is, or the process,
/// however that ends. Thread: owned by one.
class Spool {
 public:
  /// $TMPDIR, or /var/tmp, which is on a disk where /tmp need not be.
  static std::string default_directory();
  /// room_left: bytes that others find free on the file system, whatever is written. Errors: kUnavailable, with the
  /// directory and what to do.
  static Result<Spool> open(const std::string& directory, std::uint64_t room_left);
  ~Spool();
  Spool(Spool&& other) noexcept;
  Spool& operator=(Spool&&) = delete;

  /// At the end. Errors: kUnavailable.
  Status write(std::string_view bytes);
  std::uint64_t size() const { return size_; }
  /// Reads from an offset on; how many bytes there were. Errors: kUnavailable.
  Result<std::size_t> read(std::uint64_t offset, std::span<char> to) const;

 private:
  Spool(int file, std::string directory, std::uint64_t room_left)
      : file_(file), directory_(std::move(directory)), room_left_(room_left) {}
  Status check_room(std::size_t bytes) const;

  int file_ = -1;
  std::string directory_;
  std::uint64_t room_left_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace proteus::api
