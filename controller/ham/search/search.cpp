#include "controller/ham/search/search.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

#include "controller/ham/explain.h"
#include "controller/ham/strategies/strategy.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kRejectionsMax = 32;
constexpr int kRejectionsPerVm = 3;
constexpr std::size_t kOptionsKept = 64;
constexpr std::size_t kBlockedRaisesMax = 8;
constexpr std::size_t kSwapPairsMax = 20'000;
constexpr double kTieShare = 0.01;

/// Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014).
std::uint64_t splitmix64(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

bool better_gain(const Option& a, const Option& b) {
  return a.gain > b.gain;
}

class Search {
 public:
  Search(PlanState& plan, std::uint64_t seed) : plan_(plan), model_(plan.model()), random_(seed) {
    reshaped_.resize(model_.vms.size());
  }

  SearchResult run() {
    check_evacuations(plan_, result_.rejections);
    const Strategies& strategies = model_.policy.strategies;
    for (const Automation level :
         {Automation::kAutomatic, Automation::kApprove, Automation::kRecommend, Automation::kObserve}) {
      level_ = level;
      if (std::none_of(model_.vms.begin(), model_.vms.end(),
                       [&](const VmModel& vm) { return vm.active && vm.automation == level; })) {
        continue;
      }
      blocked_raises_.clear();
      if (strategies.migrate) repair();
      if (strategies.reshape) reshape();
      if (strategies.migrate) migrate();
      if (strategies.reshape && strategies.migrate) reshape();
    }
    prune();
    std::stable_sort(result_.options.begin(), result_.options.end(), better_gain);
    return std::move(result_);
  }

 private:
  bool eligible(std::size_t v) const { return model_.vms[v].active && model_.vms[v].automation == level_; }

  bool spend() {
    if (result_.evaluations >= kEvaluationsMax) {
      result_.exhausted = true;
      return false;
    }
    ++result_.evaluations;
    return true;
  }

  Option make_option(const Change& change, const Evaluation& evaluation, Step::Cause cause) const {
    return {{change},
            evaluation.gain(),
            evaluation.delta.cost + evaluation.delta.latency,
            model_.policy.limits.gain_min * evaluation.present_cost_per_hour,
            cause};
  }

  void remember(const std::vector<Option>& options) {
    for (const Option& option : options) {
      // What saves nothing is no alternative to anybody.
      if (option.gain + option.price > 1e-6 || option.cause == Step::Cause::kRepair) result_.options.push_back(option);
    }
    if (result_.options.size() > 2 * kOptionsKept) {
      std::stable_sort(result_.options.begin(), result_.options.end(), better_gain);
      result_.options.resize(kOptionsKept);
    }
  }

  /// The sufficient option to take: among those within kTieShare of the best gain the cheapest, then the one with the
  /// fewest changes, then the first proposed.
  static const Option* choose(const std::vector<Option>& options) {
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

  void take(const Option& option) {
    for (std::size_t i = 0; i < option.changes.size(); ++i) {
      const Change& change = option.changes[i];
      const Evaluation evaluation = plan_.evaluate(change);
      Step step{change, plan_.placement(change.vm), evaluation.delta, option.cause, {}};
      if (option.cause == Step::Cause::kMakeRoom && i > 0) step.cause = Step::Cause::kUseRoom;
      step.reason = reason_of(plan_, option, change, evaluation);
      if (!(step.from.allocation == change.to.allocation)) reshaped_[change.vm] = true;
      plan_.apply(change);
      result_.steps.push_back(std::move(step));
    }
  }

  void reject(const Change& change, const Refusal& refusal) {
    result_.rejections.add(name_of(plan_, change.vm), label_of(plan_, change), refusal);
  }
  /// Formats the refusal only if it is going to be kept.
  void reject_explained(const Change& change, Rule::Scope scope) {
    if (!result_.rejections.takes(name_of(plan_, change.vm))) return;
    const auto refused = refusal(plan_, change, scope, true);
    // What only waits for its turn behind this very plan is not forbidden.
    const bool waits = refused && plan_.migrations_planned() > 0 &&
                       (refused->rule == "concurrency" || refused->rule == "moves_per_hour");
    if (refused && !waits) reject(change, *refused);
  }

  std::vector<std::size_t> all_hosts() const {
    std::vector<std::size_t> hosts(model_.hosts.size());
    std::iota(hosts.begin(), hosts.end(), 0);
    return hosts;
  }

  /// Hosts that a VM without placement rules is tried on: all, or the least used if there are many.
  std::vector<std::size_t> likely_targets() const {
    std::vector<std::size_t> hosts;
    std::vector<double> use(model_.hosts.size(), 0);
    for (std::size_t h = 0; h < model_.hosts.size(); ++h) {
      const HostModel& host = model_.hosts[h];
      const bool takes_part = host.state->fresh && host.state->commandable && !host.state->maintenance &&
                              host.migrations_running == 0 && host.capacity_cores > 0;
      // With few hosts all are asked, so that what is forbidden is explained.
      if (!takes_part && model_.hosts.size() > 2 * kTargetsMax) continue;
      use[h] = host.capacity_cores > 0 ? plan_.cpu_peak_cores(h) / host.capacity_cores : 1e9;
      hosts.push_back(h);
    }
    if (hosts.size() > 2 * kTargetsMax) {
      std::stable_sort(hosts.begin(), hosts.end(), [&](std::size_t a, std::size_t b) { return use[a] < use[b]; });
      hosts.resize(kTargetsMax);
      std::sort(hosts.begin(), hosts.end());
    }
    return hosts;
  }

  /// Phase 1: each time the move that mends most violations, then the one that scores best. What only looks like
  /// progress (a violation moved elsewhere) is forbidden by the rules themselves.
  void repair() {
    const std::vector<std::size_t> hosts = all_hosts();
    std::vector<Change> moves;
    for (bool first_round = true;; first_round = false) {
      Option best;
      int best_mended = 0;
      for (std::size_t v = 0; v < model_.vms.size(); ++v) {
        if (!eligible(v) || plan_.hard_violations_of(v) == 0) continue;
        moves.clear();
        propose_moves(plan_, v, hosts, moves);
        if (moves.empty()) continue;
        if (refusal(plan_, moves.front(), Rule::Scope::kVm, false)) {
          if (first_round) reject_explained(moves.front(), Rule::Scope::kVm);
          continue;
        }
        for (const Change& move : moves) {
          if (refusal(plan_, move, Rule::Scope::kChange, false)) {
            if (first_round) reject_explained(move, Rule::Scope::kChange);
            continue;
          }
          if (!spend()) break;
          const Evaluation evaluation = plan_.evaluate(move);
          const int mended = -evaluation.hard_violations;
          if (mended <= 0) continue;
          if (mended > best_mended || (mended == best_mended && evaluation.gain() > best.gain)) {
            best = make_option(move, evaluation, Step::Cause::kRepair);
            best_mended = mended;
          }
        }
      }
      if (best_mended == 0) return;
      remember({best});
      take(best);
    }
  }

  std::vector<Option> reshape_options(std::size_t v, bool explain) {
    std::vector<Option> options;
    std::vector<Change> proposals;
    if (!eligible(v) || reshaped_[v]) return options;
    propose_cpu_raise(plan_, v, proposals);
    propose_memory_raise(plan_, v, proposals);
    const std::size_t raises = proposals.size();
    if (!lowered_[plan_.placement(v).host]) {
      propose_cpu_lower(plan_, v, proposals);
      propose_memory_lower(plan_, v, proposals);
    }
    for (std::size_t i = 0; i < proposals.size(); ++i) {
      const Change& change = proposals[i];
      if (const auto refused = refusal(plan_, change, false)) {
        if (i >= raises) continue;
        if (refused->rule == "headroom" && (blocked_raises_.empty() || blocked_raises_.back().vm != v)) {
          blocked_raises_.push_back(change);
        }
        if (explain && result_.rejections.takes(name_of(plan_, v))) reject(change, *refusal(plan_, change, true));
        continue;
      }
      if (!spend()) break;
      options.push_back(make_option(change, plan_.evaluate(change), Step::Cause::kReshape));
    }
    return options;
  }

  /// Phases 2 and 4: the best reshape of each VM, best first. Giving is not limited; a host's VMs are lowered one at a
  /// time, so that its outcome is seen before the next.
  void reshape() {
    lowered_.assign(model_.hosts.size(), false);
    blocked_raises_.clear();
    std::vector<std::vector<Option>> by_vm(model_.vms.size());
    for (std::size_t v = 0; v < model_.vms.size(); ++v) {
      by_vm[v] = reshape_options(v, true);
      remember(by_vm[v]);
    }
    for (;;) {
      const Option* best = nullptr;
      for (const std::vector<Option>& options : by_vm) {
        const Option* option = choose(options);
        if (option != nullptr && (best == nullptr || option->gain > best->gain)) best = option;
      }
      if (best == nullptr) return;
      const Option taken = *best;
      const Change& change = taken.changes.front();
      const std::size_t host = change.to.host;
      const Allocation& before = plan_.placement(change.vm).allocation;
      const bool lowers = change.to.allocation.cpu_limit_cores() < before.cpu_limit_cores() ||
                          change.to.allocation.memory_bytes < before.memory_bytes;
      take(taken);
      if (lowers) lowered_[host] = true;
      for (const std::size_t v : plan_.vms_on(host)) by_vm[v] = reshape_options(v, false);
    }
  }

  /// Phase 3.
  void migrate() {
    for (bool first_round = true;; first_round = false) {
      std::vector<Option> options;
      const std::vector<std::size_t> targets = likely_targets();
      relieve_options(targets, first_round, options);
      make_room_options(targets, options);
      if (choose(options) == nullptr) swap_options(options);
      remember(options);
      const Option* best = choose(options);
      if (best == nullptr) return;
      const Option taken = *best;
      take(taken);
    }
  }

  void relieve_options(const std::vector<std::size_t>& targets, bool explain, std::vector<Option>& options) {
    // No move can gain more than what its host and the soft rules cost now, nor cost less than the fixed price.
    const double price_min = model_.policy.prices.action_fixed / model_.payback_hours();
    const std::vector<std::size_t> everywhere = all_hosts();
    std::vector<Change> moves;
    for (std::size_t v = 0; v < model_.vms.size(); ++v) {
      if (!eligible(v)) continue;
      const VmModel& vm = model_.vms[v];
      if (plan_.cost_of_host(plan_.placement(v).host) <= price_min && vm.affinity.empty()) continue;
      moves.clear();
      propose_moves(plan_, v, vm.affinity.empty() && vm.pins.empty() ? targets : everywhere, moves);
      if (moves.empty()) continue;
      if (refusal(plan_, moves.front(), Rule::Scope::kVm, false)) {
        if (explain) reject_explained(moves.front(), Rule::Scope::kVm);
        continue;
      }
      for (const Change& move : moves) {
        if (refusal(plan_, move, Rule::Scope::kChange, false)) {
          if (explain) reject_explained(move, Rule::Scope::kChange);
          continue;
        }
        if (!spend()) return;
        options.push_back(make_option(move, plan_.evaluate(move), Step::Cause::kRelieve));
      }
    }
  }

  /// A raise that its host has no room for, together with the move of a neighbour that makes the room.
  void make_room_options(const std::vector<std::size_t>& targets, std::vector<Option>& options) {
    std::size_t tried = 0;
    for (const Change& raise : blocked_raises_) {
      if (reshaped_[raise.vm] || plan_.placement(raise.vm).host != raise.to.host) continue;
      if (++tried > kBlockedRaisesMax) return;
      const std::vector<std::size_t> neighbours = plan_.vms_on(raise.to.host);
      std::vector<Change> moves;
      for (const std::size_t v : neighbours) {
        if (v == raise.vm || !eligible(v)) continue;
        moves.clear();
        propose_moves(plan_, v, targets, moves);
        if (moves.empty() || refusal(plan_, moves.front(), Rule::Scope::kVm, false)) continue;
        for (const Change& move : moves) {
          if (!(move.to.allocation == plan_.placement(v).allocation)) continue;
          if (refusal(plan_, move, Rule::Scope::kChange, false)) continue;
          if (!spend()) return;
          const Evaluation one = plan_.evaluate(move);
          const PlanState::Saved saved = plan_.apply_saved(move);
          // How much of the raise there is room for shows only once the neighbour has left.
          std::vector<Change> raises;
          propose_cpu_raise(plan_, raise.vm, raises);
          propose_memory_raise(plan_, raise.vm, raises);
          for (const Change& possible : raises) pair_option(move, one, possible, Step::Cause::kMakeRoom, options);
          plan_.restore(saved);
        }
      }
    }
  }

  /// `first` has been applied; `one` is what it did.
  void pair_option(const Change& first, const Evaluation& one, const Change& second, Step::Cause cause,
                   std::vector<Option>& options) {
    if (refusal(plan_, second, false)) return;
    const Evaluation two = plan_.evaluate(second);
    options.push_back({{first, second},
                       one.gain() + two.gain(),
                       one.delta.cost + one.delta.latency + two.delta.cost + two.delta.latency,
                       model_.policy.limits.gain_min * std::max(one.present_cost_per_hour, two.present_cost_per_hour),
                       cause});
  }

  /// Two VMs change places where no single move helps. Tried only if the limits allow both hosts two migrations.
  void swap_options(std::vector<Option>& options) {
    const Limits& limits = model_.policy.limits;
    if (limits.concurrent_migrations_per_host < 2 || limits.concurrent_migrations - plan_.migrations_planned() < 2) {
      return;
    }
    std::size_t hottest = kNowhere;
    for (std::size_t h = 0; h < model_.hosts.size(); ++h) {
      if (plan_.vms_on(h).empty()) continue;
      if (hottest == kNowhere || plan_.cost_of_host(h) > plan_.cost_of_host(hottest)) hottest = h;
    }
    if (hottest == kNowhere ||
        plan_.cost_of_host(hottest) <= 2 * model_.policy.prices.action_fixed / model_.payback_hours()) {
      return;
    }
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    for (const std::size_t v : plan_.vms_on(hottest)) {
      for (std::size_t u = 0; u < model_.vms.size(); ++u) {
        if (eligible(v) && eligible(u) && plan_.placement(u).host != hottest) pairs.emplace_back(v, u);
      }
    }
    // Fisher-Yates as far as needed: a fair sample, the same for the same seed.
    const std::size_t count = std::min(pairs.size(), kSwapPairsMax);
    if (count < pairs.size()) {
      for (std::size_t i = 0; i < count; ++i) {
        std::swap(pairs[i], pairs[i + splitmix64(random_) % (pairs.size() - i)]);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const auto [v, u] = pairs[i];
      const Change there{v, {plan_.placement(u).host, plan_.placement(v).allocation}};
      const Change back{u, {plan_.placement(v).host, plan_.placement(u).allocation}};
      for (const auto& [first, second] : {std::pair(there, back), std::pair(back, there)}) {
        if (refusal(plan_, first, false)) continue;
        if (!spend()) return;
        const Evaluation one = plan_.evaluate(first);
        const PlanState::Saved saved = plan_.apply_saved(first);
        pair_option(first, one, second, Step::Cause::kSwap, options);
        plan_.restore(saved);
        break;
      }
    }
  }

  /// Takes back every step without which the plan is no worse and still allowed.
  void prune() {
    if (result_.steps.size() < 2 || result_.steps.size() > 32) return;
    for (std::size_t i = result_.steps.size(); i-- > 0;) {
      const std::size_t vm = result_.steps[i].change.vm;
      const auto same_vm = [&](const Step& step) { return step.change.vm == vm; };
      if (std::count_if(result_.steps.begin(), result_.steps.end(), same_vm) > 1) continue;
      PlanState without(model_);
      bool allowed = true;
      for (std::size_t j = 0; j < result_.steps.size() && allowed; ++j) {
        if (j == i) continue;
        allowed = !refusal(without, result_.steps[j].change, false);
        if (allowed) without.apply(result_.steps[j].change);
      }
      if (!allowed || without.total().total() < plan_.total().total() - 1e-9) continue;
      result_.steps.erase(result_.steps.begin() + static_cast<std::ptrdiff_t>(i));
      plan_ = without;
    }
  }

  PlanState& plan_;
  const ClusterModel& model_;
  std::uint64_t random_;
  Automation level_ = Automation::kAutomatic;
  std::vector<bool> reshaped_;          ///< by VM: has been reshaped in this plan
  std::vector<bool> lowered_;           ///< by host, in this phase
  std::vector<Change> blocked_raises_;  ///< wanted, but for the host's headroom
  SearchResult result_;
};

}  // namespace

bool RejectionLog::takes(const std::string& vm) const {
  const auto it = per_vm_.find(vm);
  return rejections_.size() < kRejectionsMax && (it == per_vm_.end() || it->second < kRejectionsPerVm);
}

void RejectionLog::add(const std::string& vm, const std::string& candidate, const Refusal& refusal) {
  if (!takes(vm)) return;
  for (const Rejection& known : rejections_) {
    if (known.candidate == candidate && known.rule == refusal.rule) return;
  }
  ++per_vm_[vm];
  rejections_.push_back({candidate, refusal.rule, refusal.reason});
}

void RejectionLog::add_first(Rejection rejection) {
  rejections_.insert(rejections_.begin(), std::move(rejection));
}

SearchResult search(PlanState& plan, std::uint64_t seed) {
  return Search(plan, seed).run();
}

void check_evacuations(const PlanState& plan, RejectionLog& log) {
  const ClusterModel& model = plan.model();
  for (std::size_t h = 0; h < model.hosts.size(); ++h) {
    if (!model.hosts[h].state->maintenance || plan.vms_on(h).empty()) continue;
    PlanState trial = plan;
    std::vector<std::size_t> vms = plan.vms_on(h);
    std::stable_sort(vms.begin(), vms.end(), [&](std::size_t a, std::size_t b) {
      return plan.placement(a).allocation.memory_bytes > plan.placement(b).allocation.memory_bytes;
    });
    std::string stuck;
    int stuck_count = 0;
    for (const std::size_t v : vms) {
      std::string why = "there is no other host";
      bool placed = false;
      for (std::size_t target = 0; target < model.hosts.size() && !placed; ++target) {
        if (target == h) continue;
        const Change move{v, {target, plan.placement(v).allocation}};
        placed = true;
        for (const Rule& rule : rules()) {
          // What only takes turns does not keep a VM here for ever.
          const std::string_view name = rule.name;
          if (name == "concurrency" || name == "moves_per_hour" || name == "cooldown" || name == "in_flight") continue;
          if (const auto refused = rule.check(trial, move, true)) {
            why = fmt::format("{}: {}", refused->rule, refused->reason);
            placed = false;
            break;
          }
        }
        if (placed) trial.apply(move);
      }
      if (placed) continue;
      ++stuck_count;
      stuck += fmt::format("{}{} ({})", stuck.empty() ? "" : "; ", name_of(plan, v), why);
    }
    if (stuck_count == 0) continue;
    log.add_first({fmt::format("evacuate {}", host_name(plan, h)), "maintenance",
                   fmt::format("{} of {} VMs find no other host: {}", stuck_count, vms.size(), stuck)});
  }
}

}  // namespace proteus::ham
