#pragma once

#include <cstddef>
#include <vector>

#include "controller/forecast/engine.h"
#include "controller/simulate/planetlab/cluster.h"

namespace proteus::simulate::planetlab {

/// What a VM will ask for at one step, as a share of its own MIPS.
struct StepDemand {
  double median = 0;
  double spread = 0;  ///< standard deviation of a normal distribution with the same p90
};

struct Demand {
  StepDemand soon;   ///< at the next step
  StepDemand later;  ///< in an hour
};

/// Where a policy's forecasts come from.
class Outlook {
 public:
  virtual ~Outlook() = default;
  /// At a control step, before demand() is asked: takes in what the VMs have asked for by now.
  virtual void observe(const Cluster& cluster) = 0;
  /// Of a VM that is alive.
  virtual Demand demand(std::size_t vm) const = 0;
};

/// The Demand Prediction Engine, fed with the VMs' histories. Thread: owned by one.
class EngineOutlook final : public Outlook {
 public:
  /// young_spread: of a VM that has been seen at too few steps for a forecast.
  explicit EngineOutlook(double young_spread);
  void observe(const Cluster& cluster) override;
  Demand demand(std::size_t vm) const override { return demands_[vm]; }

 private:
  double young_spread_;
  forecast::Engine engine_;
  std::vector<Demand> demands_;
};

}  // namespace proteus::simulate::planetlab
