#include <algorithm>
#include <array>
#include <optional>

#include "controller/ham/search/targets.h"
#include "controller/ham/strategies/strategy.h"

namespace proteus::ham {
namespace {

/// How many VMs may be moved out of the way of one: chains of up to three moves.
constexpr int kOutOfTheWayMax = 2;
/// Evaluations that finding such a chain for one VM may take.
constexpr int kChainTriesMax = 20'000;

/// Mends what is broken: each time the move that mends most violations, then the one that scores best. What only looks
/// like progress (a violation moved elsewhere) is forbidden by the rules themselves.
class Repairer {
 public:
  explicit Repairer(Workspace& w) : w_(w), targets_(w) {}

  void run() {
    std::vector<std::size_t> broken;
    for (std::size_t v = 0; v < w_.model.vms.size(); ++v) {
      if (w_.eligible(v) && w_.plan.hard_violations_of(v) > 0) broken.push_back(v);
    }
    for (bool first_round = true; !broken.empty(); first_round = false) {
      if (!first_round && w_.moves_left() <= 0) return;
      Best best;
      for (const std::size_t v : broken) consider(v, first_round, best);
      if (best.mended <= 0) break;
      take(best.option);
      std::erase_if(broken, [&](std::size_t v) { return w_.plan.moved(v) || w_.plan.hard_violations_of(v) == 0; });
    }
    // What has no place as things are may have one when others move out of its way.
    for (const std::size_t v : broken) {
      if (w_.plan.hard_violations_of(v) == 0 || w_.plan.moved(v)) continue;
      if (const auto chain = find_chain(v)) take(*chain);
    }
  }

 private:
  struct Best {
    Option option;
    int mended = 0;
  };

  void take(const Option& option) {
    w_.remember({option});
    std::vector<std::size_t> hosts;
    for (const Change& change : option.changes) {
      hosts.push_back(w_.plan.placement(change.vm).host);
      hosts.push_back(change.to.host);
    }
    w_.take(option);
    for (const std::size_t h : hosts) targets_.update(h);
  }

  void consider(std::size_t v, bool explain, Best& best) {
    bool first = true;
    std::size_t accepted = 0;
    const Departure departure = w_.plan.depart(v);
    std::vector<Change> moves;
    targets_.for_each(v, [&](std::size_t target) {
      moves.clear();
      propose_moves(w_.plan, v, std::array{target}, moves);
      if (moves.empty()) return true;
      if (first && refusal(w_.plan, moves.front(), Rule::Scope::kVm, false)) {
        if (explain) w_.reject_explained(moves.front(), Rule::Scope::kVm);
        return false;
      }
      first = false;
      for (const Change& move : moves) {
        if (refusal(w_.plan, move, Rule::Scope::kChange, false)) {
          if (explain) w_.reject_explained(move, Rule::Scope::kChange);
          continue;
        }
        if (!w_.spend()) return false;
        ++accepted;
        const Evaluation evaluation = w_.plan.evaluate(move, departure);
        const int mended = -evaluation.hard_violations;
        if (mended > 0 && (mended > best.mended || (mended == best.mended && evaluation.gain() > best.option.gain))) {
          best.option = w_.make_option(move, evaluation, Step::Cause::kRepair);
          best.mended = mended;
        }
      }
      return w_.thorough || accepted < kTargetsMax;
    });
  }

  /// The fewest moves that let the VM go where it mends something: others leave that host first. nullopt: none found.
  std::optional<Option> find_chain(std::size_t v) {
    if (!w_.thorough) return std::nullopt;
    tries_left_ = kChainTriesMax;
    for (int helpers = 1; helpers <= kOutOfTheWayMax && helpers < w_.moves_left(); ++helpers) {
      chain_.clear();
      std::optional<Option> best;
      targets_.for_each(v, [&](std::size_t target) {
        const Change move{v, w_.plan.placement(v).on(target)};
        if (refusal(w_.plan, move, Rule::Scope::kVm, false)) return false;
        const auto refused = refusal(w_.plan, move, Rule::Scope::kChange, false);
        if (refused && refused->rule != "headroom" && !refused->rule.starts_with("anti_affinity")) return true;
        if (w_.plan.evaluate(move).hard_violations >= 0) return true;
        clear_way(move, helpers, best);
        return tries_left_ > 0;
      });
      if (best) return best;
    }
    return std::nullopt;
  }

  /// Moves up to `helpers` VMs off the goal's target until the goal is allowed; keeps the best chain.
  void clear_way(const Change& goal, int helpers, std::optional<Option>& best) {
    const std::vector<std::size_t> others = w_.plan.vms_on(goal.to.host);
    for (const std::size_t u : others) {
      if (!w_.eligible(u) || w_.plan.moved(u)) continue;
      bool first = true;
      targets_.for_each(u, [&](std::size_t target) {
        if (--tries_left_ <= 0 || !w_.spend()) return false;
        const Change away{u, w_.plan.placement(u).on(target)};
        if (first && refusal(w_.plan, away, Rule::Scope::kVm, false)) return false;
        first = false;
        if (target == w_.plan.placement(goal.vm).host && w_.model.hosts[target].state->maintenance) return true;
        if (refusal(w_.plan, away, Rule::Scope::kChange, false)) return true;
        chain_.push_back({away, w_.plan.evaluate(away)});
        const PlanState::Saved saved = w_.plan.apply_saved(away);
        if (!refusal(w_.plan, goal, false)) {
          keep_better(goal, best);
        } else if (helpers > 1) {
          clear_way(goal, helpers - 1, best);
        }
        chain_.pop_back();
        w_.plan.restore(saved);
        return true;
      });
    }
  }

  void keep_better(const Change& goal, std::optional<Option>& best) {
    const Evaluation last = w_.plan.evaluate(goal);
    Option option;
    option.cause = Step::Cause::kRepair;
    for (const Link& link : chain_) {
      option.changes.push_back(link.change);
      option.gain += link.evaluation.gain();
      option.price += link.evaluation.delta.cost + link.evaluation.delta.latency;
    }
    option.changes.push_back(goal);
    option.gain += last.gain();
    option.price += last.delta.cost + last.delta.latency;
    if (!best || option.gain > best->gain) best = option;
  }

  struct Link {
    Change change;
    Evaluation evaluation;
  };

  Workspace& w_;
  Targets targets_;
  std::vector<Link> chain_;
  int tries_left_ = 0;
};

}  // namespace

void repair(Workspace& w) {
  Repairer(w).run();
}

}  // namespace proteus::ham
