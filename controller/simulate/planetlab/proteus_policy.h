#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "controller/simulate/planetlab/outlook.h"
#include "controller/simulate/planetlab/policy.h"

namespace proteus::simulate::planetlab {

/// The same for all days and modes.
struct ProteusParameters {
  /// A VM's expected demand is so much of what it asks for now, the rest of the forecast's median.
  double now_weight = 0.35;
  // Standard deviations of a host's forecast load that must be free.
  double shed_margin = -1;              ///< less: VMs are sent away
  double relief_margin = 0.5;           ///< until so much is free
  double fit_margin = 0;                ///< where such a VM goes
  double drain_margin = 1.8;            ///< where the VMs of a host to be emptied go …
  double drain_margin_per_move = 0.02;  ///< … and more for each, since many moves must be worth it for long …
  double drain_use = 0.8;               ///< … when the hosts that are on are expected to be used so much; …
  double drain_haste = 15;              ///< … if they are used less, by so much less for each unit
  double later_margin = 0.5;            ///< the same place must have so much free in an hour
  /// Spread of a VM's demand, as a share of its MIPS, while it has not been seen often enough for a forecast.
  double young_spread = 0.08;
};

/// What a VM, or all VMs of a host, ask for and will ask for, in MIPS.
struct HostLoad {
  double now = 0;
  double expected = 0;
  double variance = 0;
  double later = 0;  ///< expected in an hour
  double later_variance = 0;
};

/// Ours. Forecasts each VM's demand, adds forecasts up by host, and moves as little as it can: one VM off a host
/// that is overloaded or about to be; all VMs off a host if the others will have room for them. Idle VMs stay where
/// they are: a host with nothing but idle VMs is off.
class ProteusPolicy final : public Policy {
 public:
  ProteusPolicy(const ProteusParameters& parameters, std::unique_ptr<Outlook> outlook)
      : parameters_(parameters), outlook_(std::move(outlook)) {}
  Result<std::vector<std::size_t>> place(const Cluster& cluster) override;
  Decision decide(const Cluster& cluster) override;

 private:
  ProteusParameters parameters_;
  std::unique_ptr<Outlook> outlook_;
};

}  // namespace proteus::simulate::planetlab
