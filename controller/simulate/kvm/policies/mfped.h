#pragma once

#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// Medium-fit power-efficient decreasing, with memory: hosts over 80 % CPU or 90 % memory give VMs away, the least
/// memory first, each to the host that comes nearest to 60 % CPU; if none can take one, a host is woken. Then the least
/// used host whose VMs all fit elsewhere is emptied, and empty hosts sleep.
/// Source: Moges & Abebe, Journal of Cloud Computing 8:2 (2019), which knows no memory.
class MfpedPolicy final : public Policy {
 public:
  void decide(Console& console) override;
};

}  // namespace proteus::simulate::kvm
