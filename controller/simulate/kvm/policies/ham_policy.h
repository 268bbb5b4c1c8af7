#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "controller/ham/decision.h"
#include "controller/ham/policy.h"
#include "controller/ham/score/scenarios.h"
#include "controller/simulate/kvm/policies/ids.h"
#include "controller/simulate/kvm/policies/learned_response.h"
#include "controller/simulate/kvm/policies/learner.h"
#include "controller/simulate/kvm/policies/outlook.h"
#include "controller/simulate/kvm/policies/outlook_source.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

struct HamOptions {
  HamOptions();
  ham::Prices prices;  ///< the benchmark's bill, and what is not on it: EUR
  ham::Limits limits;
  std::optional<ham::Policy> policy;  ///< instead of both: an operator's own
};

/// What decides: ham::decide(), or what it is compared with.
using Decider = std::function<ham::Decision(const ham::ClusterState&, const ham::Policy&, std::uint64_t seed)>;

/// The Hypervisor Adaptation Manager on the simulated cluster: what the cluster lets be observed becomes a
/// ham::ClusterState, ham::decide() decides, and its actions are carried out here. Prices are those of the benchmark's
/// bill; how hosts respond is learned from what ticks bring.
class HamPolicy final : public Policy {
 public:
  /// learner: none: the rules alone.
  HamPolicy(std::unique_ptr<OutlookSource> source, HamOptions options, std::optional<Learner> learner = std::nullopt);
  HamPolicy(std::unique_ptr<OutlookSource> source, HamOptions options, Decider decider);
  void decide(Console& console) override;
  bool use_helpers() override { return helpers_ = true; }

 private:
  void begin(const Console& console);
  ham::ClusterState observe(const Console& console);
  void add_hosts(const Console& console, ham::ClusterState& state) const;
  void add_vms(const Console& console, ham::ClusterState& state) const;
  std::shared_ptr<const ham::Scenarios> scenarios(const Console& console) const;
  void carry_out(Console& console, const ham::ClusterState& state, const ham::Decision& decision);
  /// False: it has to wait.
  bool begin_move(Console& console, int vm, int host) const;

  std::unique_ptr<OutlookSource> source_;
  LearnedResponse response_;
  HamOptions options_;
  std::optional<Learner> learner_;
  Decider decider_;  ///< where nothing is learned
  ham::Policy policy_;
  bool helpers_ = false;  ///< scalable VMs may get helpers
  double core_mhz_ = 0;   ///< of the unit that cores are counted in
  Outlook outlook_;
  std::vector<double> need_mib_;  ///< [vm]
  std::vector<double> peak_mib_;  ///< [vm]
  Ids ids_;
  std::vector<HostId> emptying_;  ///< by the last decision
  std::vector<int> woken_at_;     ///< [host] tick; kNever: not yet
};

}  // namespace proteus::simulate::kvm
