#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/ids.h"
#include "common/units.h"

namespace proteus::collect {

/// Chooses whose dirty rate is measured next. A measurement makes QEMU hash a sample of the guest's pages twice, 512
/// per GiB, in the guest's own process: its price grows with the guest's memory, so a host of large guests cannot
/// afford all of them at every pass. The longest unmeasured come first, all passes together spend at most their share
/// of a core, and what does not fit waits. Guests that cost more than a minute's share are measured on credit, from
/// half of it (all of it if there are no others), so that the others need not wait until that is paid. Pure. Thread:
/// owned by one.
class DirtyRateBudget {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  /// core_share: of one core, for all measurements together.
  explicit DirtyRateBudget(double core_share = 0.005) : core_share_(core_share) {}

  /// candidates: guests that may be measured now, with their memory in bytes. Those chosen count as measured at `now`;
  /// who has been no candidate for ten minutes is forgotten. Returns: in order of urgency.
  std::vector<VmId> choose(const std::map<VmId, std::int64_t>& candidates, SteadyTime now);

  /// CPU time that one measurement of so much memory takes.
  static Nanoseconds cost(std::int64_t memory_bytes);

 private:
  struct Turn {
    SteadyTime measured;
    SteadyTime seen;  ///< as a candidate
  };
  Nanoseconds share_of(Nanoseconds time) const;
  SteadyTime turn_of(const VmId& id) const;

  const double core_share_;
  std::map<VmId, Turn> turns_;
  std::optional<SteadyTime> last_pass_;
  Nanoseconds left_{0};  ///< may be spent now
  Nanoseconds credit_{
      0};  ///< likewise, for guests that cost more than a minute's share; negative: what the last one owes
};

}  // namespace proteus::collect
