#pragma once

#include "common/units.h"
#include "controller/profile/response_curve.h"

namespace proteus::profile {

/// Who wanted the CPUs of a host in a tick.
struct Contenders {
  double busy_cores = 0;
  double squares = 0;  ///< of finite_queue.h

  /// A VM that wanted so many cores for its vCPUs. cores, vcpus > 0.
  void add_vm(double cores, double vcpus) {
    busy_cores += cores;
    squares += cores * cores / vcpus;
  }
  /// What is no VM is taken for single threads that never rest.
  void add_others(double cores) {
    busy_cores += cores;
    squares += cores;
  }
};

/// Learns by utilisation how many times what the very vCPUs on a host would wait by theory (finite_queue.h) they wait.
/// Evidence: seconds waited by theory; a tick in which nobody would have waited is none. Deterministic. Thread: owned
/// by one.
class WaitFactorLearner {
 public:
  explicit WaitFactorLearner(Nanoseconds half_life);
  /// The CPU's.
  static CurveShape shape() { return {}; }
  /// One tick of a host. wait_ratio: what its VMs waited for a CPU for each second that they ran.
  void observe(Timestamp time, const Contenders& contenders, double cpus, double wait_ratio, double tick_s);
  /// From what this one has seen; 1 where that is nothing.
  ResponseCurve curve() const { return learner_.curve(); }
  /// The same with what hosts of its class have seen (of_class: this one's included). No knots until that is more than
  /// the prior counts, that everybody waits as by theory: then it is not known.
  ResponseCurve known(const Evidence& of_class);
  const Evidence& evidence() const { return learner_.evidence(); }
  SavedCurve saved() const { return learner_.saved(); }
  /// What this one has seen is dropped.
  void restore(SavedCurve saved);

 private:
  CurveLearner learner_;
  KeptCurve kept_;
};

}  // namespace proteus::profile
