#pragma once

#include <vector>

#include "common/ids.h"
#include "controller/forecast/engine.h"
#include "controller/simulate/kvm/policies/search_policy.h"

namespace proteus::simulate::kvm {

/// The next hour as the Demand Prediction Engine forecasts it, beside what the VMs did lately. CPU: paths through the
/// engine's quantiles, each VM at its own level, so that spreads add as those of independent VMs; the last hour once
/// more; the last ticks held; ticks of the last day. Memory: the engine's p99 of the hour's largest step. Disk and
/// network: as they were.
class ForecastSource final : public OutlookSource {
 public:
  struct Weights {
    double forecast = 0.4;
    double hour = 0.2;
    double now = 0.2;
    double day = 0.2;
  };
  explicit ForecastSource(Weights weights);
  void observe(const Console& console) override;
  void fill(const Console& console, Outlook& outlook) override;
  void fill_day(const Console& console, Outlook& outlook) override;
  std::vector<double> memory_needs(const Console& console) override;

 private:
  void feed(int v, const Console& console, int tick);

  Weights weights_;
  forecast::Engine engine_;
  std::vector<VmId> ids_;
  std::vector<int> fed_until_;  ///< [vm] first tick that the engine has not seen; kNever: none yet
};

}  // namespace proteus::simulate::kvm
