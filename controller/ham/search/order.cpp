#include "controller/ham/explain.h"
#include "controller/ham/search/workspace.h"

namespace proteus::ham {
namespace {

/// Calls take(i) for each change in an order in which it is allowed where it stands; take applies it.
template <typename ChangeAt, typename Take>
void in_order(const PlanState& plan, std::size_t count, const ChangeAt& change_at, const Take& take) {
  std::vector<bool> done(count);
  // Each round goes on from where the last change was found: what has to wait is asked again after all others.
  std::size_t waiting = 0;
  for (std::size_t i = 0; waiting < count; i = (i + 1) % count) {
    if (done[i] || refusal(plan, change_at(i), false)) {
      ++waiting;
      continue;
    }
    take(i);
    done[i] = true;
    waiting = 0;
  }
}

}  // namespace

void order_changes(PlanState& plan, const std::vector<Change>& wanted) {
  in_order(
      plan, wanted.size(), [&](std::size_t i) { return wanted[i]; }, [&](std::size_t i) { plan.apply(wanted[i]); });
}

std::vector<Step> order_steps(PlanState& plan, const std::vector<Step>& wanted) {
  std::vector<Step> ordered;
  const auto take = [&](std::size_t i) {
    Step step = wanted[i];
    step.from = plan.placement(step.change.vm);
    const Evaluation evaluation = plan.evaluate(step.change);
    step.delta = evaluation.delta;
    step.label = label_of(plan, step.change);
    if (step.reason.empty()) {
      step.reason = reason_of(plan, {{step.change}, evaluation.gain(), 0, 0, step.cause}, step.change, evaluation);
    }
    plan.apply(step.change);
    ordered.push_back(std::move(step));
  };
  in_order(
      plan, wanted.size(), [&](std::size_t i) { return wanted[i].change; }, take);
  return ordered;
}

}  // namespace proteus::ham
