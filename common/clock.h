#pragma once

#include "common/units.h"

namespace proteus {

/// Where the present comes from. Code that decides takes a time or a Clock, never the system's clock.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall-clock time. Thread: any.
  virtual Timestamp now() const = 0;
};

/// CLOCK_REALTIME.
class SystemClock final : public Clock {
 public:
  Timestamp now() const override { return std::chrono::time_point_cast<Nanoseconds>(std::chrono::system_clock::now()); }
};

/// A clock that stands still until it is told to move; for tests, replay and simulation.
/// Thread: owned by one.
class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(Timestamp start) : now_(start) {}
  Timestamp now() const override { return now_; }
  void advance(Nanoseconds by) { now_ += by; }
  void set(Timestamp to) { now_ = to; }

 private:
  Timestamp now_;
};

}  // namespace proteus
