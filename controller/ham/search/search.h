#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controller/ham/decision.h"
#include "controller/ham/rules/rule.h"
#include "controller/ham/score/plan_state.h"

namespace proteus::ham {

/// One step of the plan.
struct Step {
  enum class Cause { kReshape, kRepair, kRelieve, kMakeRoom, kUseRoom, kSwap };
  Change change;
  Placement from;
  ScoreTerms delta;  ///< when it was chosen, given the steps before it
  Cause cause = Cause::kReshape;
  std::string reason;  ///< one sentence, written while the plan was as the step found it
};

/// Changes that belong together, as they were looked at.
struct Option {
  std::vector<Change> changes;
  double gain = 0;           ///< currency per hour over the plan at that time
  double price = 0;          ///< cost and latency in it
  double gain_required = 0;  ///< by gain_min
  Step::Cause cause = Step::Cause::kReshape;
  bool sufficient() const { return gain > gain_required; }
};

/// What forbade what, kept short: one line per candidate and rule, three per VM, 32 in all.
class RejectionLog {
 public:
  void add(const std::string& vm, const std::string& candidate, const Refusal& refusal);
  void add_first(Rejection rejection);
  bool takes(const std::string& vm) const;
  std::vector<Rejection> take() && { return std::move(rejections_); }

 private:
  std::vector<Rejection> rejections_;
  std::map<std::string, int> per_vm_;
};

struct SearchResult {
  std::vector<Step> steps;
  std::vector<Option> options;  ///< the best looked at, best first, the chosen among them
  RejectionLog rejections;
  std::int64_t evaluations = 0;
  bool exhausted = false;  ///< the bound on evaluations was reached
};

/// Work is bounded by the number of evaluated changes, not by time, so that it is the same on every machine.
constexpr std::int64_t kEvaluationsMax = 400'000;
/// Larger clusters: a VM without placement rules is tried on this many least used hosts.
constexpr std::size_t kTargetsMax = 16;

/// Searches in four phases, once per automation level that VMs have (automatic first, so that nothing automatic waits
/// for a person): repair of broken hard rules in the fewest moves; reshapes, best first; migrations, best first, alone
/// or together with the reshape that needs their room, and swaps; reshapes again. Every step must be allowed by every
/// rule and gain more than gain_min of what it touches. At last each step is taken back if the plan is no worse without
/// it. seed: which pairs are tried for swaps when there are more than can be. Source: greedy with local search; prices
/// make the cheapest sufficient action win, and among options within 1 % of the best gain the one of least cost and
/// latency is taken.
SearchResult search(PlanState& plan, std::uint64_t seed);

/// Appends to the log what each host in maintenance cannot get rid of, whatever the limits on concurrency.
void check_evacuations(const PlanState& plan, RejectionLog& log);

}  // namespace proteus::ham
