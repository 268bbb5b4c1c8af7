#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "controller/ham/decision.h"
#include "controller/ham/score/plan_state.h"
#include "controller/ham/search/rejection_log.h"

namespace proteus::ham {

/// How a choice among what the score holds equal was made.
struct Draw {
  std::size_t among = 1;  ///< so many; 1: nothing was drawn
  bool preferred = true;  ///< it is the one that is taken without drawing
};

/// One step of the plan.
struct Step {
  enum class Cause {
    kReshape,
    kRepair,
    kRelieve,
    kMakeRoom,
    kUseRoom,
    kSwap,
    kStop,
    kConsolidate,
    kOpen,
    kShareMemory,
    kSpawn,
    kEndHelper
  };
  Change change;
  Placement from;
  ScoreTerms delta;  ///< when it was chosen, given the steps before it
  Cause cause = Cause::kReshape;
  std::string label;   ///< "migrate web1 h1 -> h2"
  std::string reason;  ///< one sentence, written while the plan was as the step found it
  Draw draw;
};

/// Changes that belong together, as they were looked at.
struct Option {
  std::vector<Change> changes;
  double gain = 0;           ///< currency per hour over the plan at that time
  double price = 0;          ///< cost and latency in it
  double gain_required = 0;  ///< by gain_min and gain_floor
  Step::Cause cause = Step::Cause::kReshape;
  Draw draw = {};
  bool sufficient() const { return gain > gain_required; }
};

/// A change that the score finds worth taking and learning does not.
struct HeldChange {
  Change change;
  std::string label;
  learning::Note note;
};

struct SearchResult {
  std::vector<Step> steps;
  std::vector<Option> options;  ///< the best looked at, best first, the chosen among them
  RejectionLog rejections;
  /// What learning held back: of each VM and kind of action the one that gains most by the score.
  std::map<std::pair<std::size_t, learning::Kind>, HeldChange> held;
  std::int64_t corrected = 0;         ///< options whose gain learning has changed
  std::vector<std::size_t> wake;      ///< hosts that the steps need awake
  std::vector<std::size_t> sleep;     ///< hosts that may sleep once the steps are done
  std::vector<std::size_t> emptying;  ///< hosts that the steps empty, or begin to
  std::int64_t evaluations = 0;
  std::int64_t evaluations_max = 0;
  bool exhausted = false;  ///< the bound on evaluations was reached
};

/// Work is bounded by the number of evaluated changes, not by time, so that it is the same on every machine: this many,
/// and so many more for each VM.
constexpr std::int64_t kEvaluationsMax = 400'000;
constexpr std::int64_t kEvaluationsPerVm = 40;
/// Where VMs' work has a value, an evaluation takes so many times as long, and so many times fewer are made.
constexpr std::int64_t kServiceEvaluationCost = 6;
/// Up to this many hosts, every VM is tried on every host, pairs of VMs change places and VMs are packed anew; in
/// larger clusters a VM is tried on kTargetsMax hosts that its rules allow, the least used of each kind (targets.h).
constexpr std::size_t kThoroughHosts = 32;
constexpr std::size_t kTargetsMax = 8;

/// Searches once per automation level that VMs have (automatic first, so that nothing automatic waits for a person):
/// repair of broken hard rules in the fewest moves; reshapes, best first; migrations, best first, alone or together
/// with the reshape that needs their room; exchanges of VMs and other places for those that move anyway; emptying of
/// hosts that may sleep; reshapes again. Helpers that do not pay are ended before all that; new ones are looked for
/// last, where what can be done without them is not enough. Every step must be allowed by every rule where it stands in
/// the order, and gain more than gain_min of what it touches. At last each step is taken back if the plan is no worse
/// without it. seed: which VMs are taken out where the search looks beyond the nearest optimum (packing.h). Source:
/// lazy greedy (Minoux 1978); prices make the cheapest sufficient action win, and among options within 1 % of the best
/// gain the one of least cost and latency is taken.
SearchResult search(PlanState& plan, std::uint64_t seed);

}  // namespace proteus::ham
