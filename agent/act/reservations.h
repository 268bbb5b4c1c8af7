#pragma once

#include <cstdint>
#include <map>

#include "agent/act/limits.h"
#include "common/command.h"
#include "common/result.h"
#include "common/units.h"

namespace proteus::act {

/// Room promised to incoming VMs. A reservation ends by release, at its command's deadline,
/// or after this host's reservation_lifetime, whichever comes first.
///
/// While a VM is arriving, its pages count twice: once as reserved and once as no longer available. The error is on the
/// safe side and ends with the release.
/// Thread: owned by one; pure, time passed in.
class Reservations {
 public:
  explicit Reservations(const LocalLimits& limits) : limits_(limits) {}

  /// Takes room for `action`; a repeat for the same action replaces its figures.
  /// memory_available_bytes: what the host could still give without swapping (MemAvailable).
  /// Errors: kPermissionDenied (a configured limit), kUnavailable (not enough free memory).
  Status reserve(ActionId action, const Reserve& room, std::int64_t memory_available_bytes, Timestamp until,
                 Timestamp now);
  /// Puts a reservation back that was granted before a restart.
  void restore(ActionId action, const Reserve& room, Timestamp until, Timestamp granted);
  void release(ActionId action) { held_.erase(action); }
  void expire(Timestamp now);

  std::int64_t memory_bytes() const;
  std::int64_t cpu_millicores() const;
  std::size_t count() const { return held_.size(); }

 private:
  struct Held {
    Reserve room;
    Timestamp until;
  };
  const LocalLimits limits_;
  std::map<ActionId, Held> held_;
};

}  // namespace proteus::act
