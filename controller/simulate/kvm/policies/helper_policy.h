#pragma once

#include <memory>
#include <vector>

#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// A policy, and helpers beside it (the benchmark's extension): a scalable VM gets one if, going by the last ticks, it
/// would within an hour save clearly more of the bill than it costs, and loses it when it saves clearly less. It goes
/// to the host that is on, has room and CPU to spare, and on which VMs waited least. What it would have saved in a tick
/// is worked out from what the tick brought: CPU got and waited for, there and here.
class HelperPolicy final : public Policy {
 public:
  explicit HelperPolicy(std::unique_ptr<Policy> policy) : policy_(std::move(policy)) {}
  std::optional<int> place(const Console& console, int vm) override { return policy_->place(console, vm); }
  void decide(Console& console) override;

 private:
  void learn(const Console& console);
  double saving(const Console& console, int vm) const;
  std::optional<int> best_host(const Console& console, int vm) const;

  std::unique_ptr<Policy> policy_;
  std::vector<double> saving_;  ///< [vm] EUR a tick, recent ticks count most
};

}  // namespace proteus::simulate::kvm
