#pragma once

#include <limits>

#include "controller/simulate/kvm/policies/host_loads.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// How a baseline packs hosts. The defaults are MFPED with memory; docs/simulate_kvm.md says where they come from.
struct PackingRules {
  /// A VM's demand is the largest of so many of its newest samples.
  int peak_ticks = 1;
  int every_ticks = 1;           ///< at each so manyth tick a step is taken
  HostShares high{0.8, 0.9};     ///< a host above is overloaded
  HostShares target{0.7, 0.85};  ///< a target is at most so full afterwards
  double best_load = 0.6;        ///< CPU share; the target that is nearest to it is taken
  bool near_with_vm = true;      ///< how near is told with the VM added
  bool largest_first = false;    ///< VMs leave in the order of demand, largest first; otherwise of memory, least first
  int cooldown_ticks = 6;        ///< for which a VM that has moved stays
  int moves_max = std::numeric_limits<int>::max();  ///< from an overloaded host in a step
  double empty_below = 1;                           ///< CPU share from which on a host is not emptied
  bool least_only = false;                          ///< if the least loaded host cannot be emptied, none is
};

/// MFPED (Moges & Abebe, Journal of Cloud Computing 8:2, 2019) with memory: hosts over 80 % CPU or 90 % memory give VMs
/// away, least memory first, to the host nearest to 60 % CPU.
PackingRules mfped_rules();

/// Each hour hosts are packed by what their VMs wanted at most in the last day: as much as the host has.
PackingRules peak_day_rules();

/// Overloaded hosts give VMs away; when nothing fits a host is woken; otherwise the least loaded host is emptied, and
/// empty hosts sleep.
class PackingPolicy final : public Policy {
 public:
  explicit PackingPolicy(PackingRules rules) : rules_(rules) {}
  void decide(Console& console) override;

 private:
  PackingRules rules_;
};

}  // namespace proteus::simulate::kvm
