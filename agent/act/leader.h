#pragma once

#include <optional>
#include <string>

#include "common/ids.h"
#include "common/result.h"
#include "common/units.h"

namespace proteus::act {

/// Whom this agent follows: the fence that keeps two controllers from commanding one host.
///
/// The highest term ever followed is never forgotten. A controller is followed if its term is not older than that and
/// the one followed so far is the same or has been silent for the lease. A controller that is not followed does not
/// prolong anybody's lease. Invariant: followed term never decreases. Thread: owned by one; pure, time passed in.
class Leader {
 public:
  /// What must outlive the process.
  struct Followed {
    std::string controller;
    Term term = 0;
    bool operator==(const Followed&) const = default;
  };

  /// followed: as last persisted, empty on a fresh host. Its lease runs from `now`, so that a restart cannot be used to
  /// slip past a live leader. The clock must not run backwards (steady time as Timestamp).
  Leader(Followed followed, Nanoseconds lease, Timestamp now);

  /// A controller was heard claiming `term`. Success: it is the leader, its lease is prolonged.
  /// Errors: kPermissionDenied, with a sentence for the controller's operator.
  Status hear(const std::string& controller, Term term, Timestamp now);

  const Followed& followed() const { return followed_; }
  Nanoseconds lease() const { return lease_; }
  /// The leader has been heard within the lease.
  bool alive(Timestamp now) const;

 private:
  Followed followed_;
  Nanoseconds lease_;
  Timestamp heard_;
};

/// Reads and writes Leader::Followed in `directory`/leader, atomically and durably: two lines, term and controller.
/// A missing file is a fresh host. Errors: kCorrupt, kUnavailable.
Result<Leader::Followed> load_followed(const std::string& directory);
Status store_followed(const std::string& directory, const Leader::Followed& followed);

}  // namespace proteus::act
