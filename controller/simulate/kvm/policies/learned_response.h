#pragma once

#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "controller/profile/fingerprint.h"
#include "controller/profile/wait_factor.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// How hosts respond, as the Performance Profiler learns it from what each tick brings: a curve per host class for the
/// CPUs' run queue, the disk and the network. A device is to the profiler a host with one CPU: its service time is
/// what an operation takes at rest, the rest of the latency is waiting. What a VM's I/O costs it is learned as the
/// rate at which it would spend half of its time in it, from the shares that were seen.
class LearnedResponse {
 public:
  /// Once a step: what the last tick showed.
  void observe(const Console& console);

  /// Hosts of a class share their curves.
  std::shared_ptr<const profile::ResponseCurve> cpu_curve(std::size_t host) const { return class_of_[host]->cpu.curve; }
  std::shared_ptr<const profile::ResponseCurve> disk_curve(std::size_t host) const {
    return class_of_[host]->disk.curve;
  }
  std::shared_ptr<const profile::ResponseCurve> network_curve(std::size_t host) const {
    return class_of_[host]->network.curve;
  }
  double cpu_evidence_s(std::size_t host) const { return class_of_[host]->cpu.learner.evidence().weight(); }
  /// How many times what its VMs would wait by theory a host's VMs wait.
  const profile::ResponseCurve& wait_factor(std::size_t host) const { return class_of_[host]->wait_factor_curve; }
  double disk_rest(std::size_t host) const { return class_of_[host]->disk_rest; }
  /// KB/s at which a VM spends half of its time in I/O; 0: not seen yet.
  double disk_half_kbs() const { return disk_.half(); }
  double network_half_kbs() const { return network_.half(); }

 private:
  struct Curve {
    explicit Curve(profile::ResponseCurve prior);
    void refresh();
    profile::CurveLearner learner;
    std::shared_ptr<const profile::ResponseCurve> curve;  ///< as of the last refresh
  };
  struct Class {
    Curve cpu;
    profile::WaitFactorLearner wait_factor;
    profile::ResponseCurve wait_factor_curve;  ///< as of the last refresh
    Curve disk;
    Curve network;
    double cpu_mhz = 0;
    double core_mhz = 0;
    double disk_rest = 1;  ///< latency at rest, relative to the best class
  };
  /// Σ of rate · rest and of I/O time, over what was seen.
  struct Half {
    double rate_sum = 0;
    double odds_sum = 0;
    void observe(double rate_kbs, double share);
    double half() const { return odds_sum > 0 ? rate_sum / odds_sum : 0; }
  };
  void begin(const Console& console);
  void observe_waiting(const Console& console, std::size_t host, Timestamp time);

  std::map<std::string_view, Class> classes_;
  std::vector<Class*> class_of_;  ///< [host]
  Half disk_;
  Half network_;
};

}  // namespace proteus::simulate::kvm
