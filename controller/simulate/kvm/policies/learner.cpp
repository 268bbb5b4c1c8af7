#include "controller/simulate/kvm/policies/learner.h"

#include <algorithm>
#include <utility>

namespace proteus::simulate::kvm {
namespace {

/// What a VM loses while its affinity partner is on another host. The operator who wrote the rule knows it; it is
/// priced there, and has no part in what a host does to its VMs.
constexpr double kApartShare = 0.1;
/// From this share on, waiting or lacking CPU counts.
constexpr double kContended = 0.05;
constexpr double kBytesPerKb = 1024;

}  // namespace

Learner::Learner(std::shared_ptr<ham::learning::Agent> agent, Told told)
    : agent_(std::move(agent)), told_(std::move(told)) {
  agent_->begin_elsewhere();
}

void Learner::add_served(const Console& console, const Ids& ids, ham::ClusterState& state) {
  const TickOutcome& last = console.last();
  if (last.vms.empty()) return;
  for (ham::VmState& state_of_vm : state.vms) {
    const int v = ids.number(state_of_vm.id);
    if (console.first_sample(v) >= console.tick()) continue;
    const VmTick& tick = last.vms[static_cast<std::size_t>(v)];
    ham::Served served;
    served.performance = 1 - tick.loss;
    const int partner = console.partner(v);
    if (partner != kNever && console.vm(partner).present && console.vm(partner).host != console.vm(v).host) {
      served.performance = std::min(1.0, served.performance / (1 - kApartShare));
    }
    served.kept_waiting = tick.wait > kContended || tick.cpu_mhz < (1 - kContended) * tick.demand_mhz;
    served.disk_bytes_per_s = console.newest(v, Series::kDisk) * kBytesPerKb;
    served.network_bytes_per_s = console.newest(v, Series::kNetwork) * kBytesPerKb;
    state_of_vm.served = served;
  }
}

void Learner::before(const Console& console, const ham::ClusterState& state, const ham::Policy& policy) {
  // The last tick belongs to the moves that were under way in it.
  for (const ham::learning::Outcome& outcome : agent_->observe(state, policy)) {
    if (told_) told_(outcome);
  }
  for (auto it = moves_.begin(); it != moves_.end();) {
    const VmState& vm = console.vm(it->first);
    if (vm.present && vm.migrating()) {
      ++it;
      continue;
    }
    agent_->ended(it->second.action, vm.present && vm.host == it->second.target, state.now, std::nullopt);
    it = moves_.erase(it);
  }
}

void Learner::moving(int vm, int target, ham::Action action, const ham::ClusterState& state, std::uint64_t decision) {
  action.id = next_action_++;
  agent_->began(action, decision, state);
  agent_->sent(action, decision, state.now);
  moves_[vm] = {action.id, target};
}

}  // namespace proteus::simulate::kvm
