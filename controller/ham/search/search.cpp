#include "controller/ham/search/search.h"

#include <algorithm>
#include <array>

#include "controller/ham/search/workspace.h"

namespace proteus::ham {
namespace {

/// Longer plans are not searched for steps to spare: each is worth its price by itself.
constexpr std::size_t kPrunedStepsMax = 32;
constexpr std::array kLevels = {Automation::kAutomatic, Automation::kApprove, Automation::kRecommend,
                                Automation::kObserve};

/// Takes back every step without which the plan is no worse and still allowed.
void prune(Workspace& w) {
  std::vector<Step>& steps = w.result.steps;
  if (steps.size() < 2 || steps.size() > kPrunedStepsMax) return;
  PlanState trial(w.model);
  double best = w.plan.total().total();
  bool any = false;
  for (std::size_t i = steps.size(); i-- > 0;) {
    // A host that is only half empty does not pay yet.
    if (steps[i].cause == Step::Cause::kConsolidate || steps[i].cause == Step::Cause::kShareMemory ||
        steps[i].cause == Step::Cause::kEndHelper) {
      continue;
    }
    const std::size_t vm = steps[i].change.vm;
    const auto same_vm = [&](const Step& step) { return step.change.vm == vm; };
    if (std::count_if(steps.begin(), steps.end(), same_vm) > 1) continue;
    bool allowed = true;
    for (std::size_t j = 0; j < steps.size() && allowed; ++j) {
      if (j == i) continue;
      allowed = !refusal(trial, steps[j].change, false);
      if (allowed) trial.apply(steps[j].change);
    }
    const double total = trial.total().total();
    trial.rewind();
    if (!allowed || total < best - 1e-9) continue;
    steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(i));
    best = total;
    any = true;
  }
  if (!any) return;
  w.plan.rewind();
  for (const Step& step : steps) w.plan.apply(step.change);
}

}  // namespace

SearchResult search(PlanState& plan, std::uint64_t seed) {
  Workspace w(plan, seed);
  check_evacuations(plan, w.result.rejections);
  const Strategies& strategies = w.model.policy.strategies;
  const bool helpers = strategies.spawn && w.model.helpers;
  for (const Automation level : kLevels) {
    w.level = level;
    if (std::none_of(w.model.vms.begin(), w.model.vms.end(),
                     [&](const VmModel& vm) { return vm.active && vm.automation == level; })) {
      continue;
    }
    w.blocked_raises.clear();
    if (helpers) end_helpers(w);
    if (strategies.migrate) repair(w);
    if (strategies.reshape) reshape(w);
    if (strategies.migrate) relieve(w);
    if (strategies.migrate) improve(w);
    if (strategies.migrate && strategies.consolidate) {
      open_host(w);
      consolidate(w);
    }
    if (strategies.reshape && w.policy().limits.memory_promise > 0) share_memory(w);
    if (strategies.reshape && strategies.migrate && plan.migrations_planned() > 0) reshape(w);
  }
  prune(w);
  // Advice alone: nothing else may be left undone for it.
  for (const Automation level : kLevels) {
    w.level = level;
    if (helpers) start_helpers(w);
  }
  if (strategies.consolidate) choose_power(w);
  std::stable_sort(w.result.options.begin(), w.result.options.end(),
                   [](const Option& a, const Option& b) { return a.gain > b.gain; });
  return std::move(w.result);
}

}  // namespace proteus::ham
