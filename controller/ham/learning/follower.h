#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/state_archive.h"
#include "controller/ham/decision.h"
#include "controller/ham/learning/note.h"

namespace proteus::ham::learning {

/// What an action turned out to be worth.
struct Realised {
  ActionId action = 0;
  VmId vm;
  Note note;
  double reward = 0;  ///< currency per hour, counted from doing nothing, on the same scale as Note::predicted
  double weight = 0;  ///< share of the horizon it was followed for, in (0, 1]
};

/// Follows each action with a note, from when its command leaves until as much time has passed after it was verified as
/// the score looked ahead, and compares what VMs on its hosts waited, or, where the policy gives it a value, what work
/// they got done, with what it would have been had nothing been done, by the score's own formulas at the demand that
/// really came. An action that touches one of these hosts meanwhile ends it: it counts if a third of the time has
/// passed, else it tells nothing; likewise the other, if it begins before the first is verified. Formula:
/// docs/learning.md. Deterministic. Thread: owned by one.
class Follower {
 public:
  /// An action has been taken up; state: that it was decided on. Those without a note belong to one with a note if
  /// decision and VM are the same.
  void began(const Action& action, std::uint64_t decision, const ClusterState& state);
  /// Its command leaves.
  void sent(const Action& action, std::uint64_t decision, Timestamp when);
  /// progress: of a migration, as last told.
  void ended(ActionId action, bool verified, Timestamp when, const std::optional<MigrationProgress>& progress);
  /// Looks at the cluster; returns what is known to its end, by action. state.now: not earlier than the last.
  std::vector<Realised> observe(const ClusterState& state, const Policy& policy);

  std::size_t following() const { return followed_.size(); }
  /// By how much the score's formulas overstate (< 1) or understate (> 1) waiting at known demand, seen on hosts on
  /// which nothing is being done.
  double calibration() const;

  /// Grows whenever it becomes known of an action that it has begun, has been sent, has ended or is followed no more.
  std::uint64_t changes() const { return changes_; }
  /// Actions that are still open and are not among these will never be told the end of: they are followed no more.
  void keep_open(const std::set<ActionId>& known);
  /// Follows nothing any more; time may begin anew.
  void forget_all();

  /// followed: with the actions that are being followed. Reading: what cannot be makes the archive fail.
  template <typename Archive>
  void archive(Archive& a, bool followed) {
    a(measured_);
    a(modelled_);
    if (followed) archive_followed(a);
  }

 private:
  struct Followed {
    VmId vm;
    Note note;
    std::uint64_t decision = 0;
    HostId source;
    HostId target;  ///< the source, if it stays
    Allocation before;
    Timestamp began;
    std::optional<Timestamp> sent;
    std::optional<Timestamp> verified;
    std::set<ActionId> open;
    double relief_during = 0;  ///< currency
    double relief_after = 0;   ///< currency
    double after_s = 0;
    double downtime_s = 0;
    double copied_bytes = 0;
    /// Of VMs on its hosts, for memory, priced, when it began; currency per hour. nullopt: not seen yet.
    std::optional<double> stalled_before;
    bool cut = false;

    bool touches(const HostId& host) const { return host == source || host == target; }
  };
  /// What VMs on some hosts wait, priced; currency per hour.
  struct Waiting {
    double measured = 0;
    double modelled = 0;  ///< by the score's formulas, with the VM as it was
    double stalled = 0;   ///< measured, for memory
  };

  /// without: the action that is thought away; null: none. nullopt: telemetry does not tell.
  static std::optional<Waiting> waiting(const ClusterState& state, const Policy& policy, const std::set<HostId>& hosts,
                                        const Followed* without);
  void calibrate(const ClusterState& state, const Policy& policy, double seconds);
  static double reward(const Followed& followed, const Policy& policy);
  template <typename Archive>
  void archive_followed(Archive& a);

  std::map<ActionId, Followed> followed_;
  std::optional<Timestamp> observed_;
  std::uint64_t turn_ = 0;  ///< of the host that is compared next
  std::uint64_t changes_ = 0;
  double measured_ = 0;  ///< currency, of hosts on which nothing is done
  double modelled_ = 0;
};

extern template void Follower::archive_followed(StateWriter& a);
extern template void Follower::archive_followed(StateReader& a);

}  // namespace proteus::ham::learning
