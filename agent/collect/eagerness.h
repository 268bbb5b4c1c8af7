#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace proteus::collect {

/// How often a figure is worth its reading, which is dear: at every tick while it moves, at every `calm_every_ticks`th
/// once it has stood still for ten readings. What begins to move is thus seen that much late, and then followed
/// closely. Counters only: their sum stays right. Thread: owned by one.
class Eagerness {
 public:
  explicit Eagerness(std::uint64_t calm_every_ticks) : calm_every_ticks_(calm_every_ticks) {}
  /// tick: counts up; figures whose ticks are apart are not read together.
  bool is_due(std::uint64_t tick) const { return still_ < kReadingsUntilCalm || tick % calm_every_ticks_ == 0; }
  void saw(std::optional<std::int64_t> figure) {
    still_ = figure == last_ ? std::min(still_ + 1, kReadingsUntilCalm) : 0;
    last_ = figure;
  }

 private:
  static constexpr int kReadingsUntilCalm = 10;

  std::uint64_t calm_every_ticks_;
  int still_ = 0;
  std::optional<std::int64_t> last_;
};

}  // namespace proteus::collect
