#pragma once

#include <optional>

#include "common/units.h"

namespace proteus::controller {

/// Whether the wall clock may be believed for as long as it takes to delete by it. A clock that is wrong, for example
/// until time synchronisation has begun, makes everything stored look old, or as if it lay ahead. Pure; times and the
/// monotonic clock are arguments. Thread: owned by one.
class RetentionClock {
 public:
  /// newest: the newest time in the store as it was found; nullopt: it is empty.
  explicit RetentionClock(std::optional<Timestamp> newest) : newest_(newest) {}

  /// True while the clock goes on from where it was. After a jump, or if it does not begin soon after `newest`, not
  /// until it has gone on for a day, or is back. steady: since any moment, the same at each call.
  bool believes(Timestamp now, Nanoseconds steady);

 private:
  struct Reading {
    Timestamp wall;
    Nanoseconds steady{};
    /// The clock has gone on since, without a jump.
    bool leads_to(const Reading& later) const;
  };
  std::optional<Timestamp> newest_;
  std::optional<Reading> trusted_;  ///< last
  std::optional<Reading> suspect_;  ///< since then
};

}  // namespace proteus::controller
