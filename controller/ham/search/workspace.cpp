#include "controller/ham/search/workspace.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "controller/ham/explain.h"
#include "controller/ham/learning/agent.h"
#include "controller/ham/learning/features.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kOptionsKept = 64;
constexpr double kTieShare = 0.01;

bool better_gain(const Option& a, const Option& b) {
  return a.gain > b.gain;
}

}  // namespace

const Option* choose(const std::vector<Option>& options) {
  double best_gain = 0;
  for (const Option& option : options) {
    if (option.sufficient()) best_gain = std::max(best_gain, option.gain);
  }
  const Option* chosen = nullptr;
  for (const Option& option : options) {
    if (!option.sufficient() || option.gain <= 0 || option.gain < best_gain * (1 - kTieShare)) continue;
    if (chosen == nullptr ||
        std::tuple(option.price, option.changes.size()) < std::tuple(chosen->price, chosen->changes.size())) {
      chosen = &option;
    }
  }
  return chosen;
}

const Option* Workspace::pick(std::vector<Option>& options, std::size_t vm) const {
  const Option* preferred = choose(options);
  if (preferred == nullptr || !model.explores) return preferred;
  double best_gain = 0;
  for (const Option& option : options) {
    if (option.sufficient()) best_gain = std::max(best_gain, option.gain);
  }
  std::vector<Option*> equal;
  for (Option& option : options) {
    if (option.sufficient() && option.gain > 0 && option.gain >= best_gain * (1 - kTieShare)) equal.push_back(&option);
  }
  Option* drawn = equal[learning::draw(model.vms[vm].state->id, seed_) % equal.size()];
  drawn->draw = {equal.size(), drawn == preferred};
  return drawn;
}

bool lasting_refusal(const PlanState& plan, const Change& change) {
  for (const Rule& rule : rules()) {
    if (!only_waits(rule.name) && forbids(rule, plan, change)) return true;
  }
  return false;
}

Workspace::Workspace(PlanState& p, std::uint64_t seed)
    : plan(p),
      model(p.model()),
      thorough(p.model().hosts.size() <= kThoroughHosts),
      reshaped(p.model().vms.size()),
      helped(p.model().vms.size()),
      opened(p.model().hosts.size()),
      seed_(seed),
      random_(seed) {
  result.evaluations_max = kEvaluationsMax + kEvaluationsPerVm * static_cast<std::int64_t>(model.vms.size());
  if (model.service != nullptr) result.evaluations_max /= kServiceEvaluationCost;
}

bool Workspace::spend() {
  if (result.evaluations >= result.evaluations_max) {
    result.exhausted = true;
    return false;
  }
  ++result.evaluations;
  return true;
}

int Workspace::moves_left() const {
  const Limits& limits = model.policy.limits;
  const int running = model.migrations_running + plan.migrations_planned();
  return std::min(limits.concurrent_migrations - running, limits.moves_per_hour - model.moves_last_hour - running);
}

double Workspace::price_min() const {
  return model.policy.prices.action_fixed / model.payback_hours() + model.gain_required(0);
}

Option Workspace::make_option(const Change& change, const Evaluation& evaluation, Step::Cause cause) {
  Option option{{change},
                evaluation.gain(),
                evaluation.delta.cost + evaluation.delta.latency,
                model.gain_required(evaluation.present_cost_per_hour),
                cause};
  const bool corrected = cause == Step::Cause::kReshape || cause == Step::Cause::kRelieve;
  if (model.learning != nullptr && corrected) correct(option, change, evaluation);
  return option;
}

void Workspace::correct(Option& option, const Change& change, const Evaluation& evaluation) {
  std::optional<learning::Note> note = learning::describe(plan, change, evaluation);
  if (!note) return;
  const learning::Advice advice = model.learning->advise(*note, model.vms[change.vm].state->id, model.state.now);
  if (advice.control) return;
  const bool was_sufficient = option.sufficient();
  option.gain += advice.correction;
  if (advice.correction != 0) ++result.corrected;
  if (advice.correction > 0) option.gain_required += advice.correction;
  if (!was_sufficient || option.sufficient()) return;
  HeldChange& held = result.held[{change.vm, note->kind}];
  if (held.note.gain >= note->gain) return;
  held = {change, label_of(plan, change), *note};
  advice.write(held.note);
}

void Workspace::remember(const std::vector<Option>& options) {
  for (const Option& option : options) {
    // What saves nothing is no alternative to anybody.
    if (option.gain <= least_remembered_) continue;
    if (option.gain + option.price > 1e-6 || option.cause == Step::Cause::kRepair) result.options.push_back(option);
  }
  if (result.options.size() > 2 * kOptionsKept) {
    std::stable_sort(result.options.begin(), result.options.end(), better_gain);
    result.options.resize(kOptionsKept);
    least_remembered_ = result.options.back().gain;
  }
}

void Workspace::take(const Option& option) {
  for (std::size_t i = 0; i < option.changes.size(); ++i) {
    const Change& change = option.changes[i];
    const Evaluation evaluation = plan.evaluate(change);
    Step step{change, plan.placement(change.vm), evaluation.delta, option.cause, label_of(plan, change), {}, {}};
    if (option.cause == Step::Cause::kMakeRoom && i > 0) step.cause = Step::Cause::kUseRoom;
    step.reason = reason_of(plan, option, change, evaluation);
    step.draw = option.draw;
    if (!(step.from.allocation == change.to.allocation)) reshaped[change.vm] = true;
    if (is_helper_change(plan, change)) helped[change.vm] = true;
    plan.apply(change);
    result.steps.push_back(std::move(step));
  }
}

void Workspace::reject(const Change& change, const Refusal& refusal) {
  result.rejections.add(name_of(plan, change.vm), label_of(plan, change), refusal);
}

void Workspace::reject_explained(const Change& change, Rule::Scope scope) {
  if (!result.rejections.takes(name_of(plan, change.vm))) return;
  const auto refused = refusal(plan, change, scope, true);
  // What only waits for its turn behind this very plan is not forbidden.
  const bool waits = refused && plan.migrations_planned() > 0 &&
                     (refused->rule == "concurrency" || refused->rule.starts_with("moves_per_hour"));
  if (refused && !waits) reject(change, *refused);
}

/// Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014).
std::size_t Workspace::random_below(std::size_t n) {
  std::uint64_t z = (random_ += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return static_cast<std::size_t>((z ^ (z >> 31)) % n);
}

}  // namespace proteus::ham
