#pragma once

#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// Leaves every VM where it was placed.
class StayPolicy final : public Policy {
 public:
  void decide(Console& /*console*/) override {}
};

/// What most clusters run: a host over 80 % CPU or 90 % memory gives its largest VM that fits to the least loaded host,
/// one move per host and step. Exactly the benchmark's section 9.
class ThresholdPolicy final : public Policy {
 public:
  void decide(Console& console) override;
};

}  // namespace proteus::simulate::kvm
