#pragma once

#include <unistd.h>

#include <chrono>
#include <string>
#include <utility>

namespace proteus::collect {

/// When to load what needs a kernel module that may come later: at once when it comes, again a minute after that has
/// failed, and then ever more seldom. Thread: owned by one.
class LateModule {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// path: is there while the module is. If it is there now, loading has been tried.
  explicit LateModule(std::string path) : path_(std::move(path)), was_there_(is_there()) {}

  bool is_due(Time now) {
    const bool is_there_now = is_there();
    if (is_there_now && !was_there_) {
      try_at_ = now;
      wait_ = kFirstWait;
    }
    was_there_ = is_there_now;
    return is_there_now && now >= try_at_;
  }
  void failed(Time now) {
    try_at_ = now + wait_;
    wait_ *= 2;
  }

 private:
  static constexpr std::chrono::minutes kFirstWait{1};
  bool is_there() const { return ::access(path_.c_str(), F_OK) == 0; }

  std::string path_;
  bool was_there_;
  Time try_at_ = Time::max();
  std::chrono::minutes wait_ = kFirstWait;
};

}  // namespace proteus::collect
