#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/units.h"

namespace proteus::forecast {

/// How short of CPU the host is that a VM is on: the time that the vCPUs on it waited for a CPU, per time that they ran
/// (ns / ns, ≥ 0), over the last hour in bins of five minutes by the clock. Thread: owned by one.
class HostPressure {
 public:
  /// From whichever host the VM is on. Older than the hour before the newest, negative or not finite: ignored.
  void observe(Timestamp time, double waited_per_run);
  /// Bins until `end`, oldest first, NaN: not known. Empty if none of an hour is.
  std::vector<float> hour_until(Timestamp end) const;
  template <typename Archive>
  void archive(Archive& a) {
    a(newest_);
    for (Bin& bin : bins_) {
      a(bin.index);
      a(bin.sum);
      a(bin.count);
    }
  }

 private:
  static constexpr std::int64_t kBins = 12;
  struct Bin {
    std::int64_t index = -1;  ///< since the epoch
    double sum = 0;
    std::int32_t count = 0;
  };
  std::array<Bin, kBins + 1> bins_;  ///< a ring, by index
  std::int64_t newest_ = -1;
};

}  // namespace proteus::forecast
