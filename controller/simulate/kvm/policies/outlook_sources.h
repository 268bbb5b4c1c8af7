#pragma once

#include <cstddef>
#include <vector>

#include "controller/simulate/kvm/policies/outlook_source.h"

namespace proteus::simulate::kvm {

inline constexpr std::size_t kAheadTicks = 12;  ///< an hour

/// [vm] the largest need of so many ticks, active memory times a factor; the size while that is not known.
std::vector<double> recent_needs(const Console& console, int ticks, double factor);

/// As it is, for an hour.
class LastSample final : public OutlookSource {
 public:
  void fill(const Console& console, Outlook& outlook) override;
  std::vector<double> memory_needs(const Console& console) override;
};

/// The last hour once more.
class LastHour final : public OutlookSource {
 public:
  void fill(const Console& console, Outlook& outlook) override;
  std::vector<double> memory_needs(const Console& console) override;
};

/// How likely it is that VMs go on like this, relative to each other.
struct RecentWeights {
  double now = 0.4;      ///< as in the last ticks
  double hours = 0.15;   ///< as in the last three hours
  double season = 0.25;  ///< as at the time of the next six hours a week ago
  double week = 0.2;     ///< as at any time of the last week
};

/// What the VMs did lately, all of them together, as paths of what they may do for the next hours. Memory: what they
/// need now.
class RecentPaths final : public OutlookSource {
 public:
  explicit RecentPaths(RecentWeights weights) : weights_(weights) {}
  void fill(const Console& console, Outlook& outlook) override;
  std::vector<double> memory_needs(const Console& console) override;

 private:
  RecentWeights weights_;
};

/// The true next hour: for a baseline that no policy can reach.
class NextHour final : public OutlookSource {
 public:
  explicit NextHour(const Workload& workload) : workload_(workload) {}
  void fill(const Console& console, Outlook& outlook) override;
  std::vector<double> memory_needs(const Console& console) override;

 private:
  const Workload& workload_;
};

}  // namespace proteus::simulate::kvm
