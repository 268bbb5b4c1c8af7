#pragma once

#include <algorithm>
#include <cstdint>

#include "controller/forecast/forecast.h"

namespace proteus::forecast {

/// Ticks of one step of a series, put together.
struct StepTicks {
  std::int64_t step = 0;  ///< index on the grid since the epoch
  int count = 0;          ///< 0: of this step nothing that has not been said
  double value = 0;       ///< their sum; of memory the maximum
  std::int64_t next = 0;  ///< the step that is open after them; `step`: still this one
  bool operator==(const StepTicks&) const = default;
};

/// Gathers the ticks of one series into steps, so that whoever closes the steps need not be asked each tick. What it
/// gives out makes of a Series, to the last bit, what the ticks would have made of it one by one; while nothing has
/// closed, and behind a gap, it gives out each tick at once, because until then the open step is all that is known.
/// Thread: owned by one.
class TickGatherer {
 public:
  /// value: finite, >= 0. Calls give(const StepTicks&) up to twice, in the order in which they are to be taken.
  template <typename Give>
  void add(Resource resource, std::int64_t step, double value, const Give& give) {
    if (begun_ && step == step_ + 1) {
      give(StepTicks{step_, count_, value_, step});
    } else if (begun_ && count_ > 0 && step <= step_) {
      if (step < step_) return;  // its step is closed
      value_ = resource == Resource::kMemory ? std::max(value_, value) : value_ + value;
      ++count_;
      return;
    } else {
      if (begun_ && count_ > 0) give(StepTicks{step_, count_, value_, step_});
      give(StepTicks{step, 1, value, step});
      step_ = begun_ ? std::max(step_, step) : step;
      begun_ = true;
      count_ = 0;
      return;
    }
    step_ = step;
    count_ = 1;
    value_ = value;
  }
  /// As if there had been no tick.
  void clear() { begun_ = false; }

 private:
  bool begun_ = false;
  std::int64_t step_ = 0;
  int count_ = 0;  ///< ticks held; 0: those of this step are given out at once
  double value_ = 0;
};

}  // namespace proteus::forecast
