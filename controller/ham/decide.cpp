#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "controller/ham/decision.h"
#include "controller/ham/explain.h"
#include "controller/ham/learning/agent.h"
#include "controller/ham/learning/features.h"
#include "controller/ham/score/memory.h"
#include "controller/ham/search/search.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kAlternativesMax = 8;
/// Of what learning held back so much is told.
constexpr std::size_t kHeldMax = 8;
/// Longer plans are told by their first steps.
constexpr std::size_t kStepsNamedMax = 6;
/// Forecasts told when nothing was looked at: of the VMs nearest to their limits.
constexpr std::size_t kOutlooksOfNothing = 5;

/// What the target promises before the VM leaves: the memory it may fill, and the CPU that it is expected to want
/// (p90).
Reserve room_for(const VmModel& model) {
  const VmState& vm = *model.state;
  const auto made = vm.forecasts.find(forecast::Resource::kCpu);
  const double wanted = made == vm.forecasts.end() ? vm.cpu_demand_cores : made->second.window_max.p90;
  const double cores = std::min<double>(wanted, vm.allocation.vcpus);
  return {promised_bytes(model, vm.allocation), static_cast<std::int64_t>(std::ceil(cores * 1000))};
}

/// Builds the actions of a candidate, knowing what each has to wait for.
class ActionList {
 public:
  /// plan: as it is once everything has been done.
  explicit ActionList(const PlanState& plan) : plan_(plan), model_(plan.model()) {}

  /// The orders that carry out one step, the migration first: what is given on arrival is given by the new host.
  void append(const Step& step, const std::optional<learning::Note>& note) {
    const std::size_t first = actions_.size();
    const Allocation& from = step.from.allocation;
    const Allocation& to = step.change.to.allocation;
    const std::size_t source = step.from.host;
    const std::size_t target = step.change.to.host;
    if (target != source) append_move(step);
    if (to.vcpus != from.vcpus) append(step, SetVcpus{to.vcpus}, target, target, from.vcpus);
    if (to.cpu_quota_us != from.cpu_quota_us) {
      append(step, SetCpuQuota{to.cpu_quota_us, to.cpu_period_us}, target, target, from.cpu_quota_us);
    }
    if (to.memory_bytes != from.memory_bytes) {
      append(step, SetMemory{to.memory_bytes}, target, target, from.memory_bytes);
    }
    if (actions_.size() > first) actions_[first].learned = note;
  }
  std::vector<Action> take() && { return std::move(actions_); }

 private:
  /// executor: whose agent does it. needs_room: the host that must have room for it.
  Action& append(const Step& step, Operation operation, std::size_t executor, std::size_t needs_room,
                 std::optional<std::int64_t> present) {
    const VmModel& vm = model_.vms[step.change.vm];
    Action action;
    action.vm = vm.state->id;
    action.host = model_.hosts[executor].state->id;
    action.operation = std::move(operation);
    action.present_value = present;
    action.automation = vm.automation;
    action.reason = step.reason;
    // Whoever leaves a host that this action needs room on must have left; and a VM is changed in order.
    std::set<std::uint32_t> after = of_vm_[step.change.vm];
    const std::set<std::uint32_t>& leaving = leaving_[needs_room];
    after.insert(leaving.begin(), leaving.end());
    action.after.assign(after.begin(), after.end());
    const auto index = static_cast<std::uint32_t>(actions_.size());
    of_vm_[step.change.vm].insert(index);
    if (std::holds_alternative<Migrate>(action.operation)) leaving_[executor].insert(index);
    return actions_.emplace_back(std::move(action));
  }

  void append_move(const Step& step) {
    const VmModel& vm = model_.vms[step.change.vm];
    const HostState& target = *model_.hosts[step.change.to.host].state;
    const Limits& limits = model_.policy.limits;
    Migrate migrate;
    migrate.target = target.id;
    migrate.target_libvirt_uri = target.libvirt_uri;
    migrate.migrate_uri = target.migrate_uri;
    migrate.bandwidth_bytes_per_s = limits.migration_bandwidth_bytes_per_s;
    migrate.downtime_ms_max = limits.downtime_ms_max;
    Action& action = append(step, std::move(migrate), step.from.host, step.change.to.host, std::nullopt);
    action.reserve = room_for(vm);
    action.expected_duration = from_seconds(vm.migration.duration_s);
    action.expected_downtime_ms = static_cast<std::int64_t>(vm.migration.downtime_s * 1e3);
    const std::size_t host = step.change.to.host;
    if (plan_.placement(step.change.vm).host == host) {
      action.expected_wait_ratio = plan_.wait_ratio(host).value;
      const profile::Signature& signature = vm.state->signature;
      if (signature.storage_requests_per_s > 0 && target.fingerprint.storage.evidence > 0) {
        action.expected_storage_s = signature.storage_factor * target.fingerprint.storage.curve.at(
                                                                   plan_.load(host).devices.storage_requests_per_s);
      }
      if (signature.packets_per_s > 0 && target.fingerprint.network.evidence > 0) {
        action.expected_drop_share = target.fingerprint.network.curve.at(plan_.load(host).devices.network_bytes_per_s);
      }
    }
  }

  const PlanState& plan_;
  const ClusterModel& model_;
  std::vector<Action> actions_;
  std::map<std::size_t, std::set<std::uint32_t>> of_vm_;
  std::map<std::size_t, std::set<std::uint32_t>> leaving_;  ///< migrations, by the host they leave
};

std::string label_of_steps(const std::vector<Step>& steps) {
  std::string label;
  for (std::size_t i = 0; i < std::min(steps.size(), kStepsNamedMax); ++i) {
    label += (i == 0 ? "" : ", then ") + steps[i].label;
  }
  if (steps.size() > kStepsNamedMax) {
    const auto moves = std::count_if(steps.begin(), steps.end(),
                                     [](const Step& step) { return step.change.to.host != step.from.host; });
    label += fmt::format(" and {} more steps ({} migrations in all)", steps.size() - kStepsNamedMax, moves);
  }
  return label;
}

/// notes: one for each step; empty: none.
using Notes = std::vector<std::optional<learning::Note>>;

Candidate make_candidate(const PlanState& plan, const std::vector<Step>& steps, const Notes& notes) {
  Candidate candidate{label_of_steps(steps), {}, plan.total()};
  ActionList actions(plan);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    actions.append(steps[i], notes.empty() ? std::nullopt : notes[i]);
  }
  candidate.actions = std::move(actions).take();
  return candidate;
}

/// What else was looked at, each scored on its own against the cluster as it is. present: is left as it was.
std::vector<Candidate> make_alternatives(PlanState& present, const std::vector<Option>& options,
                                         const std::string& chosen_label) {
  std::vector<Candidate> alternatives;
  std::set<std::string> labels{chosen_label};
  for (const Option& option : options) {
    if (alternatives.size() == 2 * kAlternativesMax) break;
    std::vector<Step> steps;
    std::vector<PlanState::Saved> saved;
    for (const Change& change : option.changes) {
      if (present.placement(change.vm) == change.to || refusal(present, change, false)) break;
      const Evaluation evaluation = present.evaluate(change);
      steps.push_back({change,
                       present.placement(change.vm),
                       evaluation.delta,
                       option.cause,
                       label_of(present, change),
                       reason_of(present, option, change, evaluation),
                       {}});
      saved.push_back(present.apply_saved(change));
    }
    if (steps.size() == option.changes.size()) {
      Candidate candidate = make_candidate(present, steps, {});
      if (labels.insert(candidate.label).second) alternatives.push_back(std::move(candidate));
    }
    for (auto it = saved.rbegin(); it != saved.rend(); ++it) present.restore(*it);
  }
  std::stable_sort(alternatives.begin(), alternatives.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score.total() > b.score.total(); });
  if (alternatives.size() > kAlternativesMax) alternatives.resize(kAlternativesMax);
  return alternatives;
}

/// What learning sees in each step of the plan.
Notes make_notes(const ClusterModel& model, const std::vector<Step>& steps, const learning::Agent& learning) {
  Notes notes;
  PlanState plan(model);
  for (const Step& step : steps) {
    notes.push_back(learning::describe(plan, step.change, plan.evaluate(step.change)));
    if (std::optional<learning::Note>& note = notes.back()) {
      learning.advise(*note, model.vms[step.change.vm].state->id, model.state.now).write(*note);
      // The others are taken in any case.
      if (step.cause != Step::Cause::kReshape && step.cause != Step::Cause::kRelieve) note->learned_act = true;
      note->propensity = learning.propensity(note->learned_act) / static_cast<double>(step.draw.among);
      note->preferred = step.draw.preferred;
    }
    plan.apply(step.change);
  }
  return notes;
}

bool is_kind(const Step& step, learning::Kind kind) {
  const bool moves = step.change.to.host != step.from.host;
  if (kind == learning::Kind::kMigrate || moves) return moves && kind == learning::Kind::kMigrate;
  const double more = step.change.to.allocation.cpu_limit_cores() - step.from.allocation.cpu_limit_cores();
  return kind == learning::Kind::kRaise ? more > 0 : more < 0;
}

/// What learning held back, and, where that has not been looked up lately, whether the rules alone would have taken it.
void add_held(ClusterModel& model, const SearchResult& found, std::uint64_t seed, LearningPart& part) {
  const learning::Agent& agent = *std::exchange(model.learning, nullptr);
  std::optional<SearchResult> alone;
  for (const auto& [key, change] : found.held) {
    if (part.held.size() == kHeldMax) break;
    const auto& [v, kind] = key;
    Held held{model.vms[v].state->id, change.label, change.note, false, false};
    held.examined = !agent.counted(held.vm, kind, model.state.now);
    if (held.examined) {
      if (!alone) {
        PlanState plan(model);
        alone = search(plan, seed);
        part.rules_alone = label_of_steps(alone->steps);
      }
      held.occasion = std::any_of(
          alone->steps.begin(), alone->steps.end(),
          [&, vm = v, wanted = kind](const Step& step) { return step.change.vm == vm && is_kind(step, wanted); });
    }
    part.held.push_back(std::move(held));
  }
}

/// What learning thinks of the best change that the score finds insufficient.
std::optional<Held> opinion_of_best(const PlanState& plan, const std::vector<Option>& options,
                                    const learning::Agent& learning) {
  const auto best = std::find_if(options.begin(), options.end(), [](const Option& o) { return o.changes.size() == 1; });
  if (best == options.end()) return std::nullopt;
  const Change& change = best->changes.front();
  std::optional<learning::Note> note = learning::describe(plan, change, plan.evaluate(change));
  if (!note) return std::nullopt;
  const VmId& vm = plan.model().vms[change.vm].state->id;
  learning.advise(*note, vm, plan.model().state.now).write(*note);
  return Held{vm, label_of(plan, change), *note, false, false};
}

std::string say_held(const Held& held) {
  return fmt::format(
      "; learning holds back {}: it would gain {} by the score, and actions like it turned out to be "
      "worth {} less (at least {})",
      held.label, say_rate(held.note.gain), say_rate(-held.note.mean), say_rate(-held.note.correction));
}

void add_power(const ClusterModel& model, const SearchResult& found, Decision& decision) {
  for (const std::size_t h : found.wake) {
    decision.power.push_back({model.hosts[h].state->id, true,
                              fmt::format("{} is needed; it takes {} to wake", model.hosts[h].state->id.value,
                                          say_seconds(to_seconds(model.hosts[h].state->wake_time)))});
  }
  for (const std::size_t h : found.sleep) {
    decision.power.push_back({model.hosts[h].state->id, false,
                              fmt::format("{} has no VM; asleep it saves {:.0f} W", model.hosts[h].state->id.value,
                                          model.hosts[h].idle_watts)});
  }
}

void add_helpers(const ClusterModel& model, const SearchResult& found, Decision& decision) {
  for (const Step& step : found.steps) {
    const std::size_t from = step.from.helper;
    const std::size_t to = step.change.to.helper;
    if (from == to) continue;
    const VmModel& vm = model.vms[step.change.vm];
    HelperChange change{vm.state->id, {}, false, step.reason, step.delta.total(), vm.automation};
    if (from != kNowhere) {
      change.host = model.hosts[from].state->id;
      decision.helpers.push_back(change);
    }
    if (to == kNowhere) continue;
    change.host = model.hosts[to].state->id;
    change.start = true;
    decision.helpers.push_back(std::move(change));
  }
}

/// Share of its own limit that the VM is forecast to want.
double closeness(const VmModel& vm) {
  const double limit = vm.state->allocation.cpu_limit_cores();
  return limit > 0 ? vm.demand->cpu_max.p99 / limit : 0;
}

/// The forecasts behind the decision: of the VMs that it or its alternatives touch; if there are none, of those
/// nearest to their limits.
std::vector<Outlook> make_outlooks(const ClusterModel& model, const Decision& decision) {
  std::set<VmId> touched;
  for (const Action& action : decision.chosen.actions) touched.insert(action.vm);
  for (const HelperChange& change : decision.helpers) touched.insert(change.vm);
  for (const Candidate& candidate : decision.alternatives) {
    for (const Action& action : candidate.actions) touched.insert(action.vm);
  }
  if (touched.empty()) {
    std::vector<const VmModel*> nearest;
    for (const VmModel& vm : model.vms) {
      if (vm.active) nearest.push_back(&vm);
    }
    const std::size_t count = std::min(nearest.size(), kOutlooksOfNothing);
    std::partial_sort(nearest.begin(), nearest.begin() + static_cast<std::ptrdiff_t>(count), nearest.end(),
                      [](const VmModel* a, const VmModel* b) {
                        const double x = closeness(*a);
                        const double y = closeness(*b);
                        return x != y ? x > y : a < b;
                      });
    for (std::size_t i = 0; i < count; ++i) touched.insert(nearest[i]->state->id);
  }
  std::vector<Outlook> outlooks;
  for (const VmId& id : touched) {
    const VmState* state = model.state.find_vm(id);
    if (state == nullptr) continue;
    const VmModel& vm = model.vms[static_cast<std::size_t>(state - model.state.vms.data())];
    Outlook outlook;
    outlook.vm = vm.state->id;
    outlook.host = vm.state->host;
    outlook.cpu_window_max = vm.demand->cpu_max;
    outlook.cpu_limit_cores = vm.state->allocation.cpu_limit_cores();
    outlook.model = vm.demand->model;
    outlook.until_limit = time_until_above(*vm.state, model.horizon, model.state.now, outlook.cpu_limit_cores);
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

Decision decide(const ClusterState& state, const Policy& policy, std::uint64_t seed, const learning::Agent* learning,
                Memory* memory) {
  ClusterModel model(state, policy, memory);
  std::optional<PlanState> own;
  PlanState& plan = memory != nullptr ? memory->plan_of(model) : own.emplace(model);
  Decision decision;
  decision.time = state.now;
  decision.policy = policy.name;
  decision.do_nothing = {"do nothing", {}, plan.total()};
  decision.chosen = decision.do_nothing;
  if (state.paused) {
    decision.summary = "nothing is done: the cluster is paused";
    return decision;
  }

  if (learning != nullptr) {
    decision.learning.present = true;
    decision.learning.acting = learning->acting();
    decision.learning.revision = learning->revision();
    if (learning->acting()) model.learning = learning;
    model.explores = learning->explores();
  }

  SearchResult found = search(plan, seed);
  if (!found.steps.empty()) {
    const Notes notes = learning != nullptr ? make_notes(model, found.steps, *learning) : Notes();
    decision.chosen = make_candidate(plan, found.steps, notes);
  }
  plan.rewind();
  if (learning != nullptr) {
    decision.learning.corrected = static_cast<std::uint64_t>(found.corrected);
    if (found.steps.empty()) decision.learning.opinion = opinion_of_best(plan, found.options, *learning);
  }
  decision.alternatives = make_alternatives(plan, found.options, decision.chosen.label);
  decision.rejections = std::move(found.rejections).take();
  add_power(model, found, decision);
  add_helpers(model, found, decision);
  decision.outlooks = make_outlooks(model, decision);
  for (const std::size_t h : found.emptying) decision.emptying.push_back(model.hosts[h].state->id);
  if (found.steps.empty()) {
    decision.summary = summary_of_nothing(model, found, decision, plan);
  } else {
    decision.summary = found.steps.front().reason;
    if (found.steps.size() > 1) decision.summary += fmt::format(" (and {} more)", found.steps.size() - 1);
  }
  if (!found.held.empty()) {
    add_held(model, found, seed, decision.learning);
    decision.summary += say_held(decision.learning.held.front());
  }
  if (found.exhausted) {
    decision.summary += fmt::format("; the search stopped at its bound of {} evaluations", found.evaluations_max);
  }
  return decision;
}

}  // namespace proteus::ham
