#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "controller/ham/learning/follower.h"
#include "controller/ham/learning/linear_model.h"
#include "controller/ham/learning/note.h"
#include "controller/ham/learning/outcome.h"
#include "controller/ham/learning/report.h"
#include "controller/ham/learning/supervisor.h"

namespace proteus::ham::learning {

/// What learning thinks of an option before it is chosen.
struct Advice {
  Belief belief;          ///< of realised − predicted, currency per hour
  double correction = 0;  ///< what of it is certain
  bool control = false;   ///< the rules decide alone about this VM at this time

  /// Into the note of what was described.
  void write(Note& note) const;
};

inline void Advice::write(Note& note) const {
  note.mean = belief.mean;
  note.deviation = belief.deviation;
  note.correction = correction;
  note.control = control;
  note.learned_act = note.gain <= note.required || note.gain + correction > note.required;
}

/// A number that a VM and another number decide: for draws that are the same each time.
std::uint64_t draw(const VmId& vm, std::uint64_t number);

/// Reinforcement learning of which actions keep what the score promises: a contextual bandit, one step deep, whose
/// reward is what the action turned out to be worth within the score's own horizon. It corrects gains by what it is
/// certain of, never beyond what rules and score allow: an option that the score finds insufficient stays so. It acts
/// once its doubly robust difference to the rules alone has a lower bound above 0; then a fifth of the VMs, drawn anew
/// each half hour, is left to the rules as control group, by which it notices when the world has changed; it steps back
/// by itself then.
/// Deterministic. Thread: owned by one; const methods by whoever decides meanwhile.
class Agent {
 public:
  Agent();

  // For decide():
  /// What was learned may change decisions.
  bool acting() const { return supervisor_.acting(); }
  /// Among choices that the score holds equal one is drawn, so that more is seen than what the rules prefer.
  void explore(bool on) { explores_ = on; }
  bool explores() const { return explores_; }
  /// Grows with each outcome.
  std::uint64_t revision() const { return revision_; }
  Advice advise(const Note& described, const VmId& vm, Timestamp now) const;
  /// With which an action that the rules want is taken, if the learned choice is to take it or not to.
  double propensity(bool learned_act) const;
  /// An action of the kind that was held back has been looked at in this half hour.
  bool counted(const VmId& vm, Kind kind, Timestamp now) const;

  // What happens, in order:
  void on_decision(const Decision& decision);
  void began(const Action& action, std::uint64_t decision, const ClusterState& state) {
    follower_.began(action, decision, state);
  }
  void sent(const Action& action, std::uint64_t decision, Timestamp when) { follower_.sent(action, decision, when); }
  void ended(ActionId action, bool verified, Timestamp when, const std::optional<MigrationProgress>& progress) {
    follower_.ended(action, verified, when, progress);
  }
  /// Once a cycle.
  std::vector<Outcome> observe(const ClusterState& state, const Policy& policy);

  /// Learns from an outcome of another time, whoever decided then: its note is thought over anew first.
  Outcome refine(const Outcome& logged);

  Report report() const;

  const LinearModel& model() const { return model_; }
  const Supervisor& supervisor() const { return supervisor_; }
  const Follower& follower() const { return follower_; }

  /// Everything, the actions that are being followed as well.
  std::string save() const;
  /// Errors: kCorrupt, kUnsupported for another version; then nothing has changed. An older version (1) knows of no
  /// action that is being followed.
  Status restore(std::string_view bytes);
  /// After restore(): of the actions that were open, those whose end will still be told.
  void keep_open(const std::set<ActionId>& known) { follower_.keep_open(known); }
  /// In another cluster, or at another time: what was learned stays, what is being followed does not.
  void begin_elsewhere();
  /// Grows with each outcome and with each action that begins, ends or is followed no more: what save() writes differs.
  std::uint64_t changes() const { return revision_ + follower_.changes(); }

 private:
  template <typename Archive>
  void archive(Archive& a, std::uint32_t version);
  Outcome learn(const Realised& realised);

  LinearModel model_;
  Supervisor supervisor_;
  Follower follower_;
  std::uint64_t revision_ = 0;
  bool explores_ = false;                                         ///< not stored: it is configured
  std::map<VmId, std::array<std::int64_t, kKindCount>> counted_;  ///< half hour in which a held action was counted
};

}  // namespace proteus::ham::learning
