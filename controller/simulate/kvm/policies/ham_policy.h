#pragma once

#include <memory>
#include <vector>

#include "controller/ham/decision.h"
#include "controller/ham/policy.h"
#include "controller/ham/score/scenarios.h"
#include "controller/simulate/kvm/policies/learned_response.h"
#include "controller/simulate/kvm/policies/outlook.h"
#include "controller/simulate/kvm/policies/search_policy.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

struct HamOptions {
  ham::Limits limits;
  double day_weight = 0.3;   ///< of the last day, in what may come; the rest is the next hour's outlook
  double action_eur = 0.06;  ///< for any migration, the benchmark's own price included: what it may disturb
};
/// The values that were chosen on the development days (tests/bench/tune_kvm.cpp).
HamOptions default_ham_options();

/// The Hypervisor Adaptation Manager on the simulated cluster: what the cluster lets be observed becomes a
/// ham::ClusterState, ham::decide() decides, and its actions are carried out here. Prices are those of the benchmark's
/// bill; how hosts respond is learned from what ticks bring.
class HamPolicy final : public Policy {
 public:
  HamPolicy(std::unique_ptr<OutlookSource> source, HamOptions options);
  void decide(Console& console) override;

 private:
  void begin(const Console& console);
  ham::ClusterState observe(const Console& console);
  void add_hosts(const Console& console, ham::ClusterState& state) const;
  void add_vms(const Console& console, ham::ClusterState& state);
  std::shared_ptr<const ham::Scenarios> scenarios(const Console& console) const;
  void carry_out(Console& console, const ham::Decision& decision);

  std::unique_ptr<OutlookSource> source_;
  LearnedResponse response_;
  HamOptions options_;
  ham::Policy policy_;
  double core_mhz_ = 0;  ///< of the unit that cores are counted in
  Outlook near_;
  Outlook day_;
  std::vector<HostId> host_ids_;
  std::vector<VmId> vm_ids_;
  std::vector<int> woken_at_;  ///< [host] tick; kNever: not yet
};

}  // namespace proteus::simulate::kvm
