#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>

#include "common/result.h"

/// What one question may take of the machine. Thread: an object belongs to one.
namespace proteus::store {

/// So much memory at a time, and time for as long as somebody waits for the answer. Counted is what grows with the
/// question, not every byte.
class Allowance {
 public:
  /// Without limits.
  Allowance() = default;
  /// wanted: false once nobody waits for the answer any more; asked a few times a second.
  Allowance(std::uint64_t bytes_max, std::function<bool()> wanted)
      : bytes_max_(bytes_max), wanted_(std::move(wanted)) {}

  /// So much more is held. Errors: kInvalidArgument, in a sentence that says how to ask for less, if that is too much;
  /// it is counted all the same.
  Status hold(std::uint64_t bytes) {
    held_ += bytes;
    return exceeded() ? Status(too_much()) : Status();
  }
  void release(std::uint64_t bytes) { held_ -= bytes; }
  std::uint64_t left() const { return exceeded() ? 0 : bytes_max_ - held_; }
  bool exceeded() const { return held_ > bytes_max_; }
  Error too_much() const;

  /// To be asked for each page that is read, or so. Errors: kUnavailable once nobody waits any more.
  Status go_on();

  class Share;

 private:
  std::uint64_t bytes_max_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t held_ = 0;
  std::function<bool()> wanted_;
  std::chrono::steady_clock::time_point look_at_{};
};

/// A part of it, given back when the object ends.
class Allowance::Share {
 public:
  Share(Allowance& whole, std::uint64_t bytes_max) : whole_(whole), bytes_max_(bytes_max) {}
  ~Share() { whole_.release(bytes_); }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  /// Errors: as the whole's.
  Status hold(std::uint64_t bytes) {
    bytes_ += bytes;
    if (Status status = whole_.hold(bytes); !status) return status;
    return exceeded() ? Status(whole_.too_much()) : Status();
  }
  void release(std::uint64_t bytes) {
    bytes_ -= bytes;
    whole_.release(bytes);
  }
  /// Of something held, which was of one size and is now of another.
  Status resize(std::uint64_t from, std::uint64_t to) {
    if (to > from) return hold(to - from);
    release(from - to);
    return {};
  }
  bool exceeded() const { return bytes_ > bytes_max_ || whole_.exceeded(); }
  Status go_on() { return whole_.go_on(); }
  Error too_much() const { return whole_.too_much(); }

 private:
  Allowance& whole_;
  const std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
};

}  // namespace proteus::store
