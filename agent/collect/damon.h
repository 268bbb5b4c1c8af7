#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace proteus::collect {

/// Working sets by DAMON, the kernel's sampling of which pages are accessed, through its sysfs interface: the bytes of
/// a process that were accessed within an aggregation interval of two seconds.
///
/// On a budget: one process at a time is watched, for ten seconds, at 10 samples a second and at most 500 regions, so
/// that the price does not grow with the number or the size of guests (DAMON's author reports 1.2 % of slowdown for the
/// one that is watched). Guests take turns; a result holds until the next turn, at most ten minutes, or twice as
/// long as all of them take. It takes the
/// kernel's one list of monitors only if nobody else has it, or if an agent that was killed has left it, and gives it
/// back. Thread: owned by one.
class Damon {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  /// root: /sys/kernel/mm/damon is looked for below it. Errors: kUnsupported with the reason, kFailedPrecondition if
  /// another agent uses DAMON, kUnavailable if another program does.
  static Result<Damon> open(const std::string& root);
  ~Damon();
  Damon(Damon&& other) noexcept;
  Damon& operator=(Damon&&) = delete;

  /// Goes on to the next guest when the present one's time is over. guests: with their processes.
  void update(const std::map<VmId, pid_t>& guests, SteadyTime now);
  /// False while the kernel refuses to watch anything, as it does for as long as something of its own is watching.
  bool works() const;
  /// The newest result; nullopt before the first, and when it is too old.
  std::optional<std::int64_t> working_set_bytes(const VmId& vm, SteadyTime now) const;

 private:
  struct Measured {
    std::int64_t bytes = 0;
    SteadyTime at;
  };
  struct Watched {
    VmId vm;
    SteadyTime since;
  };

  Damon(std::string kdamonds, int list) : kdamonds_(std::move(kdamonds)), list_(list) {}
  std::string monitor() const { return kdamonds_ + "/0"; }
  /// All but whom to watch.
  bool configure() const;
  bool start(pid_t pid) const;
  std::optional<std::int64_t> finish() const;

  std::string kdamonds_;  ///< empty: moved from, or not ours yet
  int list_;              ///< its nr_kdamonds, locked while we hold it
  std::optional<Watched> watched_;
  int failed_starts_ = 0;             ///< in a row
  std::map<VmId, SteadyTime> turns_;  ///< when each was last watched
  std::map<VmId, Measured> measured_;
};

}  // namespace proteus::collect
