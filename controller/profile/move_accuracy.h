#pragma once

#include <map>

#include "common/ids.h"
#include "common/units.h"

namespace proteus::profile {

/// How far what VMs waited after a move was from what had been predicted for them, as the logarithm of realised over
/// predicted wait ratio (both + kFloor, so that next to nothing predicted and next to nothing seen agree).
struct MoveErrors {
  /// Wait ratios below this are next to nothing.
  static constexpr double kFloor = 0.01;

  double moves = 0;        ///< that were followed; the older, the less each counts
  double bias = 0;         ///< mean; > 0: VMs wait more than predicted
  double deviation = 1.0;  ///< standard deviation around 0 before, around the bias after it has been taken off
  bool operator==(const MoveErrors&) const = default;

  struct Interval {
    double low = 0;
    double high = 0;
  };
  /// Where the wait ratio will be in nine of ten cases (normal errors).
  Interval interval(double predicted) const;
};

/// Follows each VM that has moved for a while and compares. Deterministic. Thread: owned by one.
class MoveAccuracy {
 public:
  /// The VM has arrived on the host; predicted: its wait ratio there (ns waited for a CPU / ns run). A VM that is
  /// followed already is followed anew.
  void arrived(const VmId& vm, const HostId& host, double predicted, Timestamp when);
  /// One tick of a VM [ns]; from whichever host it is on. time: not earlier than the last.
  void observe(const VmId& vm, const HostId& host, Timestamp time, double run_ns, double wait_ns);
  void forget(const VmId& vm) { followed_.erase(vm); }
  MoveErrors errors() const;

 private:
  struct Followed {
    HostId host;
    double predicted = 0;
    Timestamp from{};
    double run_ns = 0;
    double wait_ns = 0;
  };
  void close(const Followed& followed);

  std::map<VmId, Followed> followed_;
  double weight_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

}  // namespace proteus::profile
