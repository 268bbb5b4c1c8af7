#pragma once

#include <chrono>
#include <map>
#include <string>

namespace proteus::wire {

/// Keeps what a peer can cause as often as it likes from filling the log: each subject is due once an interval.
/// Thread: owned by one.
class LogInterval {
 public:
  explicit LogInterval(std::chrono::seconds interval) : interval_(interval) {}

  bool is_due(const std::string& subject) {
    const auto now = std::chrono::steady_clock::now();
    if (subjects_.size() >= kSubjectsMax && !subjects_.contains(subject)) {
      std::erase_if(subjects_, [&](const auto& entry) { return now - entry.second >= interval_; });
      if (subjects_.size() >= kSubjectsMax) return false;  // a flood of made-up subjects must not fill memory
    }
    const auto [entry, is_new] = subjects_.try_emplace(subject, now);
    if (!is_new && now - entry->second < interval_) return false;
    entry->second = now;
    return true;
  }
  void reset() { subjects_.clear(); }

 private:
  static constexpr std::size_t kSubjectsMax = 256;
  const std::chrono::seconds interval_;
  std::map<std::string, std::chrono::steady_clock::time_point> subjects_;
};

}  // namespace proteus::wire
