#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "controller/ham/decision.h"
#include "controller/ham/explain.h"
#include "controller/ham/search/search.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kAlternativesMax = 8;

/// What the target promises before the VM leaves: the memory it may fill, and the CPU that it is expected to want (p90).
Reserve room_for(const VmState& vm) {
  const auto made = vm.forecasts.find(forecast::Resource::kCpu);
  const double wanted = made == vm.forecasts.end() ? vm.cpu_demand_cores : made->second.window_max.p90;
  const double cores = std::min<double>(wanted, vm.allocation.vcpus);
  return {vm.allocation.memory_bytes, static_cast<std::int64_t>(std::ceil(cores * 1000))};
}

/// The orders that carry out one step, the migration first: what is given on arrival is given by the new host.
void append_actions(const ClusterModel& model, const Step& step, std::vector<Action>& actions) {
  const VmModel& vm = model.vms[step.change.vm];
  const Allocation& from = step.from.allocation;
  const Allocation& to = step.change.to.allocation;
  const HostState& source = *model.hosts[step.from.host].state;
  const HostState& target = *model.hosts[step.change.to.host].state;
  const bool moves = step.change.to.host != step.from.host;
  const auto append = [&](Operation operation, const HostState& host, std::optional<std::int64_t> present) -> Action& {
    Action action;
    action.vm = vm.state->id;
    action.host = host.id;
    action.operation = std::move(operation);
    action.present_value = present;
    action.automation = vm.automation;
    action.reason = step.reason;
    for (std::uint32_t i = 0; i < actions.size(); ++i) {
      const bool same_vm = actions[i].vm == action.vm;
      // Whoever leaves a host that this action needs room on must have left.
      const bool needs_room = moves && &host == &source ? actions[i].host == target.id : actions[i].host == host.id;
      if (same_vm || (needs_room && std::holds_alternative<Migrate>(actions[i].operation))) action.after.push_back(i);
    }
    return actions.emplace_back(std::move(action));
  };
  if (moves) {
    Migrate migrate;
    migrate.target = target.id;
    migrate.target_libvirt_uri = target.libvirt_uri;
    migrate.migrate_uri = target.migrate_uri;
    migrate.bandwidth_bytes_per_s = model.policy.limits.migration_bandwidth_bytes_per_s;
    migrate.downtime_ms_max = model.policy.limits.downtime_ms_max;
    Action& action = append(std::move(migrate), source, std::nullopt);
    action.reserve = room_for(*vm.state);
    action.expected_duration = from_seconds(vm.migration.duration_s);
    action.expected_downtime_ms = static_cast<std::int64_t>(vm.migration.downtime_s * 1e3);
  }
  if (to.vcpus != from.vcpus) append(SetVcpus{to.vcpus}, target, from.vcpus);
  if (to.cpu_quota_us != from.cpu_quota_us) {
    append(SetCpuQuota{to.cpu_quota_us, to.cpu_period_us}, target, from.cpu_quota_us);
  }
  if (to.memory_bytes != from.memory_bytes) append(SetMemory{to.memory_bytes}, target, from.memory_bytes);
}

Candidate make_candidate(const ClusterModel& model, const std::vector<Step>& steps, const ScoreTerms& score,
                         std::string label) {
  Candidate candidate{std::move(label), {}, score};
  for (const Step& step : steps) append_actions(model, step, candidate.actions);
  return candidate;
}

std::string join_labels(const std::vector<std::string>& labels) {
  std::string text;
  for (const std::string& label : labels) text += (text.empty() ? "" : ", then ") + label;
  return text;
}

std::string label_of_steps(const ClusterModel& model, const std::vector<Step>& steps) {
  PlanState plan(model);
  std::vector<std::string> labels;
  for (const Step& step : steps) {
    labels.push_back(label_of(plan, step.change));
    plan.apply(step.change);
  }
  return join_labels(labels);
}

/// What else was looked at, each scored on its own against the cluster as it is.
std::vector<Candidate> make_alternatives(const ClusterModel& model, const std::vector<Option>& options,
                                         const std::string& chosen_label) {
  std::vector<Candidate> alternatives;
  std::set<std::string> labels{chosen_label};
  PlanState plan(model);
  for (const Option& option : options) {
    if (alternatives.size() == 2 * kAlternativesMax) break;
    std::vector<Step> steps;
    std::vector<std::string> step_labels;
    std::vector<PlanState::Saved> saved;
    for (const Change& change : option.changes) {
      if (plan.placement(change.vm) == change.to || refusal(plan, change, false)) break;
      const Evaluation evaluation = plan.evaluate(change);
      step_labels.push_back(label_of(plan, change));
      steps.push_back({change, plan.placement(change.vm), evaluation.delta, option.cause,
                       reason_of(plan, option, change, evaluation)});
      saved.push_back(plan.apply_saved(change));
    }
    if (steps.size() == option.changes.size() && labels.insert(join_labels(step_labels)).second) {
      alternatives.push_back(make_candidate(model, steps, plan.total(), join_labels(step_labels)));
    }
    for (auto it = saved.rbegin(); it != saved.rend(); ++it) plan.restore(*it);
  }
  std::stable_sort(alternatives.begin(), alternatives.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score.total() > b.score.total(); });
  if (alternatives.size() > kAlternativesMax) alternatives.resize(kAlternativesMax);
  return alternatives;
}

std::vector<Outlook> make_outlooks(const ClusterModel& model, const Decision& decision) {
  std::set<VmId> touched;
  for (const Action& action : decision.chosen.actions) touched.insert(action.vm);
  for (const Candidate& candidate : decision.alternatives) {
    for (const Action& action : candidate.actions) touched.insert(action.vm);
  }
  std::vector<Outlook> outlooks;
  for (const VmModel& vm : model.vms) {
    if (!touched.contains(vm.state->id)) continue;
    Outlook outlook;
    outlook.vm = vm.state->id;
    outlook.host = vm.state->host;
    outlook.cpu_window_max = vm.demand.cpu_max;
    outlook.cpu_limit_cores = vm.state->allocation.cpu_limit_cores();
    outlook.model = vm.demand.model;
    outlook.until_limit = time_until_above(*vm.state, model.horizon, outlook.cpu_limit_cores);
    outlooks.push_back(std::move(outlook));
  }
  return outlooks;
}

std::string summary_of_nothing(const ClusterModel& model, const SearchResult& found, const Decision& decision,
                               const PlanState& plan) {
  const auto unfit = std::count_if(model.hosts.begin(), model.hosts.end(), [](const HostModel& host) {
    return !host.state->fresh || !host.state->commandable;
  });
  if (static_cast<std::size_t>(unfit) == model.hosts.size()) {
    return fmt::format("nothing is done: of {} hosts none sends fresh telemetry and takes commands",
                       model.hosts.size());
  }
  std::string text = "nothing is done: ";
  if (!found.options.empty()) {
    const Option& best = found.options.front();
    const std::string label = label_of(plan, best.changes.front());
    if (best.gain <= 0) {
      text += fmt::format("none of {} changes looked at pays; the best, {}, would lose {}", found.evaluations, label,
                          say_rate(-best.gain));
    } else {
      text += fmt::format("of {} changes looked at none gains enough; the best, {}, would gain {}, {} are asked for",
                          found.evaluations, label, say_rate(best.gain), say_rate(best.gain_required));
    }
  } else if (decision.rejections.empty()) {
    text += "no VM is short of anything and no host is contended";
  } else {
    text += "what would help is forbidden";
  }
  if (!decision.rejections.empty()) {
    const Rejection& first = decision.rejections.front();
    text += fmt::format("; {} is refused by {}: {}", first.candidate, first.rule, first.reason);
  }
  return text;
}

}  // namespace

Decision decide(const ClusterState& state, const Policy& policy, std::uint64_t seed) {
  const ClusterModel model(state, policy);
  const PlanState present(model);
  Decision decision;
  decision.time = state.now;
  decision.policy = policy.name;
  decision.do_nothing = {"do nothing", {}, present.total()};
  decision.chosen = decision.do_nothing;
  if (state.paused) {
    decision.summary = "nothing is done: the cluster is paused";
    return decision;
  }

  PlanState plan = present;
  SearchResult found = search(plan, seed);
  if (!found.steps.empty()) {
    decision.chosen = make_candidate(model, found.steps, plan.total(), label_of_steps(model, found.steps));
  }
  decision.alternatives = make_alternatives(model, found.options, decision.chosen.label);
  decision.rejections = std::move(found.rejections).take();
  decision.outlooks = make_outlooks(model, decision);
  if (found.steps.empty()) {
    decision.summary = summary_of_nothing(model, found, decision, present);
  } else {
    decision.summary = found.steps.front().reason;
    if (found.steps.size() > 1) decision.summary += fmt::format(" (and {} more)", found.steps.size() - 1);
  }
  if (found.exhausted) {
    decision.summary += fmt::format("; the search stopped at its bound of {} evaluations", kEvaluationsMax);
  }
  return decision;
}

}  // namespace proteus::ham
