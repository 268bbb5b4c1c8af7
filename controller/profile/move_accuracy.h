#pragma once

#include <map>

#include "common/ids.h"
#include "common/units.h"

namespace proteus::profile {

/// How far what VMs met with after a move was from what had been predicted for them, as the logarithm of realised over
/// predicted (both + floor, so that next to nothing predicted and next to nothing seen agree).
struct MoveErrors {
  /// Wait ratios for a CPU below this are next to nothing.
  static constexpr double kFloor = 0.01;
  /// The same for a request to storage [s].
  static constexpr double kStorageFloor_s = 50e-6;
  /// The same for the share of packets dropped.
  static constexpr double kDropFloor = 1e-4;

  double floor = kFloor;
  double moves = 0;        ///< that were followed; the older, the less each counts
  double bias = 0;         ///< mean; > 0: more than predicted
  double deviation = 1.0;  ///< standard deviation around 0 before, around the bias after it has been taken off
  bool operator==(const MoveErrors&) const = default;

  struct Interval {
    double low = 0;
    double high = 0;
  };
  /// Where it will be in nine of ten cases (normal errors). relative_error: of the prediction, beside that of moves so
  /// far.
  Interval interval(double predicted, double relative_error = 0) const;
};

struct MoveUnit {
  double floor = 0;       ///< answers below this are next to nothing
  double weight_min = 0;  ///< who asks for less meanwhile tells nothing
};
/// ns waited for a CPU, for each ns run.
constexpr MoveUnit kCpuMoves{MoveErrors::kFloor, 1e9};
/// s that a request to storage takes, by the request.
constexpr MoveUnit kStorageMoves{MoveErrors::kStorageFloor_s, 50};
/// Packets dropped, by the packet.
constexpr MoveUnit kNetworkMoves{MoveErrors::kDropFloor, 10e3};

/// Follows each VM that has moved for a while and compares, for one resource. Deterministic. Thread: owned by one.
class MoveAccuracy {
 public:
  explicit MoveAccuracy(MoveUnit unit = kCpuMoves) : unit_(unit) {}
  /// The VM has arrived on the host; predicted: what it will meet with there, amount for each weight. A VM that is
  /// followed already is followed anew.
  void arrived(const VmId& vm, const HostId& host, double predicted, Timestamp when);
  /// One tick of a VM; from whichever host it is on. time: not earlier than the last.
  void observe(const VmId& vm, const HostId& host, Timestamp time, double weight, double amount);
  void forget(const VmId& vm) { followed_.erase(vm); }
  MoveErrors errors() const;

  /// Of the errors of moves that were followed to their end, the older the less.
  struct Sums {
    double weight = 0;
    double errors = 0;
    double squares = 0;
    bool operator==(const Sums&) const = default;
  };
  const Sums& sums() const { return sums_; }
  /// Goes on from those of another one.
  void restore(const Sums& sums) { sums_ = sums; }

 private:
  struct Followed {
    HostId host;
    double predicted = 0;
    Timestamp from{};
    double weight = 0;
    double amount = 0;
  };
  void close(const Followed& followed);

  MoveUnit unit_;
  std::map<VmId, Followed> followed_;
  Sums sums_;
};

}  // namespace proteus::profile
