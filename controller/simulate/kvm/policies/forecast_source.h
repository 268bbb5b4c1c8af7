#pragma once

#include <vector>

#include "common/ids.h"
#include "controller/forecast/engine.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"

namespace proteus::simulate::kvm {

/// The next hour as the Demand Prediction Engine forecasts it, beside what the VMs did lately (RecentPaths). CPU: paths
/// through the engine's quantiles, each VM at its own level, so that spreads add as those of independent VMs. Memory:
/// the engine's p99 of the hour's largest step. Disk and network: as in the last ticks.
class ForecastSource final : public OutlookSource {
 public:
  /// forecast: the likelihood of the forecast's paths; the rest is left to what was lately.
  ForecastSource(double forecast, RecentWeights recent);
  void observe(const Console& console) override;
  void fill(const Console& console, Outlook& outlook) override;
  std::vector<double> memory_needs(const Console& console) override;

 private:
  void feed(int v, const Console& console, int tick);

  double weight_;
  RecentPaths recent_;
  Outlook lately_;
  forecast::Engine engine_;
  std::vector<VmId> ids_;
  std::vector<int> fed_until_;  ///< [vm] first tick that the engine has not seen; kNever: none yet
};

}  // namespace proteus::simulate::kvm
