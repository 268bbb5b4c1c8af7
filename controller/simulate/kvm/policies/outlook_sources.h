#pragma once

#include "controller/simulate/kvm/policies/search_policy.h"

namespace proteus::simulate::kvm {

inline constexpr std::size_t kAheadTicks = 12;  ///< an hour

/// Eight hours' worth of ticks spread evenly over the last day. Memory: what the kernels take.
void fill_last_day(const Console& console, Outlook& outlook);
/// [vm] the largest need of so many ticks, active memory times a factor; the size while that is not known.
std::vector<double> recent_needs(const Console& console, int ticks, double factor);

/// The last hour once more.
class LastHour final : public OutlookSource {
 public:
  void fill(const Console& console, Outlook& outlook) override;
  void fill_day(const Console& console, Outlook& outlook) override;
  std::vector<double> memory_needs(const Console& console) override;
};

/// The true next hour: for a baseline that no policy can reach.
class NextHour final : public OutlookSource {
 public:
  explicit NextHour(const Workload& workload) : workload_(workload) {}
  void fill(const Console& console, Outlook& outlook) override;
  void fill_day(const Console& console, Outlook& outlook) override;
  std::vector<double> memory_needs(const Console& console) override;

 private:
  const Workload& workload_;
};

}  // namespace proteus::simulate::kvm
