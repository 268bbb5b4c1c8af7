#pragma once

#include <optional>
#include <vector>

#include "common/ids.h"
#include "controller/forecast/engine.h"
#include "controller/simulate/kvm/policies/search_policy.h"

namespace proteus::simulate::kvm {

/// The next hour as the Demand Prediction Engine forecasts it, beside what the VMs did lately. CPU: paths through the
/// engine's quantiles, each VM at its own level, so that spreads add as those of independent VMs; the last hour once
/// more; the last ticks held. Memory: the engine's p99 of the hour's largest step. Disk and
/// network: as they were.
class ForecastSource final : public OutlookSource {
 public:
  struct Weights {
    double forecast = 0.5;
    double hour = 0.25;
    double now = 0.25;
  };
  explicit ForecastSource(Weights weights);
  void observe(const Console& console) override;
  void fill(const Console& console, Outlook& outlook) override;
  void fill_day(const Console& console, Outlook& outlook) override;
  std::vector<double> memory_needs(const Console& console) override;
  const forecast::Forecast* cpu_forecast(int vm) const override;

 private:
  void feed(int v, const Console& console, int tick);

  Weights weights_;
  forecast::Engine engine_;
  std::vector<VmId> ids_;
  std::vector<std::optional<forecast::Forecast>> cpu_;  ///< [vm] of this step
  std::vector<int> fed_until_;  ///< [vm] first tick that the engine has not seen; kNever: none yet
};

}  // namespace proteus::simulate::kvm
