// VMs whose work a helper shares: what each part asks of its host, and what another helper would do to the plan.
#include <algorithm>
#include <array>
#include <cassert>

#include "controller/ham/score/helper.h"
#include "controller/ham/score/plan_state.h"

namespace proteus::ham {

Load PlanState::load_if(std::size_t v, const Allocation& allocation) const {
  return load_if(v, allocation, placements_[v].helper);
}

VmScore PlanState::score_if(std::size_t v, const Allocation& allocation) const {
  return score_if(v, allocation, placements_[v].helper);
}

Load PlanState::load_if(std::size_t v, const Allocation& allocation, std::size_t helper) const {
  const VmModel& vm = model_->vms[v];
  if (helper == kNowhere) return load_of(vm, allocation);
  const double core_speed = model_->hosts[helper].state->core_speed;
  return load_of(vm, allocation, left_by_helper(*vm.demand, *vm.helper_rule, core_speed));
}

VmScore PlanState::score_if(std::size_t v, const Allocation& allocation, std::size_t helper) const {
  const VmModel& vm = model_->vms[v];
  if (helper == kNowhere) return score_vm(policy(), vm, allocation);
  const double core_speed = model_->hosts[helper].state->core_speed;
  VmScore score = score_vm(policy(), vm, allocation, left_by_helper(*vm.demand, *vm.helper_rule, core_speed));
  score.idle += helper_price(policy(), vm, core_speed);
  return score;
}

Load PlanState::load_of_helper(std::size_t v, std::size_t helper) const {
  return ham::load_of_helper(model_->vms[v], model_->hosts[helper].state->core_speed);
}

Guest PlanState::guest_of(std::size_t v, std::size_t helper) const {
  if (helper == kNowhere) return {v, Guest::Part::kAll, 0};
  Guest guest = helper_guest_of(v, helper);
  guest.part = Guest::Part::kOwn;
  return guest;
}

Guest PlanState::helper_guest_of(std::size_t v, std::size_t helper) const {
  const double most = helper_work_most(*model_->vms[v].helper_rule, model_->hosts[helper].state->core_speed);
  return {v, Guest::Part::kHelper, static_cast<float>(most)};
}

void PlanState::list_guests(HostPlan& host) const {
  host.guests.clear();
  for (const std::size_t v : host.vms) host.guests.push_back(guest_of(v, placements_[v].helper));
  for (const std::size_t v : host.helpers) {
    if (model_->vms[v].active) host.guests.push_back(helper_guest_of(v, placements_[v].helper));
  }
}

/// The books of helpers alone; hosts are to be worked out anew.
void PlanState::put_helper(std::size_t v, std::size_t from, std::size_t to) {
  if (from != kNowhere && from != to) {
    auto& left = hosts_[from].helpers;
    left.erase(std::lower_bound(left.begin(), left.end(), v));
  }
  if (to == kNowhere) {
    helper_loads_.erase(v);
    return;
  }
  helper_loads_[v] = load_of_helper(v, to);
  auto& joined = hosts_[to].helpers;
  if (from != to) joined.insert(std::lower_bound(joined.begin(), joined.end(), v), v);
}

int PlanState::helpers_of(const HelperRule& rule) const {
  return static_cast<int>(std::count_if(helper_loads_.begin(), helper_loads_.end(), [&](const auto& helper) {
    return model_->vms[helper.first].helper_rule == &rule;
  }));
}

/// Ending one is free, so that what it was started for need not be paid for twice.
double PlanState::helper_start_price(std::size_t v, std::size_t helper) const {
  return helper == kNowhere ? 0 : model_->vms[v].helper_rule->price / model_->payback_hours();
}

Evaluation PlanState::evaluate_helper(const Change& change) const {
  const std::size_t v = change.vm;
  const VmModel& vm = model_->vms[v];
  const Placement& from = placements_[v];
  const std::size_t old_helper = from.helper;
  const std::size_t new_helper = change.to.helper;
  assert(change.to == from.helped_on(new_helper));
  const VmScore& old_vm_score = vm_scores_[v];
  const VmScore new_vm_score = score_if(v, from.allocation, new_helper);

  Evaluation result;
  result.delta.performance = old_vm_score.performance() - new_vm_score.performance();
  result.delta.utilisation = old_vm_score.idle - new_vm_score.idle;
  SlotValues relief{};
  for (std::size_t i = 0; i < kSlots; ++i) relief[i] = old_vm_score.unserved[i] - new_vm_score.unserved[i];
  std::array touched{from.host, old_helper, new_helper};
  for (std::size_t n = 0; n < touched.size(); ++n) {
    const std::size_t h = touched[n];
    if (h == kNowhere || std::find(touched.begin(), touched.begin() + n, h) != touched.begin() + n) continue;
    Load load = hosts_[h].load;
    std::vector<Guest> leaves;
    std::vector<Guest> comes;
    if (h == from.host) {
      load.add(vm_loads_[v], -1);
      load.add(load_if(v, from.allocation, new_helper), 1);
      leaves.push_back(guest_of(v, old_helper));
      comes.push_back(guest_of(v, new_helper));
    }
    if (h == old_helper) {
      load.add(helper_loads_.at(v), -1);
      leaves.push_back(helper_guest_of(v, old_helper));
    }
    if (h == new_helper) {
      load.add(load_of_helper(v, new_helper), 1);
      comes.push_back(helper_guest_of(v, new_helper));
    }
    const HostScore& before = hosts_[h].score;
    const HostScore after = score_of(h, load, leaves, comes);
    result.delta.performance += before.performance() - after.performance();
    result.delta.utilisation += before.utilisation() - after.utilisation();
    for (std::size_t i = 0; i < kSlots; ++i) relief[i] += before.contention[i] - after.contention[i];
    result.present_cost_per_hour += cost_of_host(h);
    if (h == new_helper) result.doubt = helper_doubt(change, after);
    if (!model_->hosts[h].state->maintenance) continue;
    result.hard_violations += static_cast<int>(h == new_helper) - static_cast<int>(h == old_helper);
  }
  result.delta.cost = one_off_terms(v, change.to).cost - one_off_terms(v, from).cost + result.doubt +
                      policy().prices.rule_violation_per_hour * result.hard_violations;
  if (new_helper != kNowhere) result.delta.latency = lost_until(to_seconds(vm.helper_rule->ready_after), relief);
  return result;
}

}  // namespace proteus::ham
