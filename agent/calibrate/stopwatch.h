#pragma once

#include <chrono>

#include "common/units.h"

namespace proteus::calibrate {

/// Time since it was made or last asked by lap_ns(); and whether a budget is used up.
class Stopwatch {
 public:
  explicit Stopwatch(Nanoseconds budget) : begin_(Clock::now()), lap_(begin_), budget_(budget) {}
  double lap_ns() {
    const Clock::time_point now = Clock::now();
    const std::chrono::duration<double, std::nano> lap = now - lap_;
    lap_ = now;
    return lap.count();
  }
  bool time_left() const { return Clock::now() - begin_ < budget_; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_;
  Clock::time_point lap_;
  Nanoseconds budget_;
};

}  // namespace proteus::calibrate
