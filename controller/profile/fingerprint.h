#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/ids.h"
#include "common/units.h"

namespace proteus::profile {

class WaitTable;

/// Run-queue wait per second of CPU run (dimensionless: ns waited / ns run) as a function of host CPU
/// utilisation. Monotone, piecewise linear, defined on [0, kMaxUtilisation]; beyond 1 the demand is more than
/// the capacity. Immutable; a copy costs next to nothing.
class ResponseCurve {
 public:
  static constexpr double kMaxUtilisation = 2.0;
  struct Knot {
    double utilisation = 0;
    double wait_ratio = 0;
    double weight = 0;  ///< evidence behind it, seconds of CPU run; 0: prior only
    double error = 0;   ///< standard error of wait_ratio; 0: none is known
    bool operator==(const Knot&) const = default;
  };
  explicit ResponseCurve(std::vector<Knot> knots);
  /// Clamped to the curve's ends. utilisation >= 0.
  double wait_ratio(double utilisation) const;
  const std::vector<Knot>& knots() const { return shared_->knots; }
  /// The curve to be read often; made when it is first asked for, and the same for all copies of the curve. Any thread.
  std::shared_ptr<const WaitTable> table() const;

  /// wait_ratio() of ever greater utilisations, without searching. The curve outlives it.
  class Walk {
   public:
    explicit Walk(const ResponseCurve& curve) : knots_(curve.knots()) {}
    double wait_ratio(double utilisation);

   private:
    const std::vector<Knot>& knots_;
    std::size_t right_ = 0;  ///< the first knot beyond the last utilisation
  };

 private:
  struct Shared {
    std::vector<Knot> knots;
    std::once_flag table_made;
    std::shared_ptr<const WaitTable> table;
  };
  std::shared_ptr<Shared> shared_;  // by copies; all but the table is never written
};

/// A response curve read in constant time: sampled at 1/128 of utilisation and interpolated; beyond
/// ResponseCurve::kMaxUtilisation it continues with slope 1 (every further share of the capacity demanded waits), so
/// that relieving a hopeless host still counts.
class WaitTable {
 public:
  explicit WaitTable(const ResponseCurve& curve);
  double at(double utilisation) const {
    const double position = std::max(0.0, utilisation) * kCellsPerUnit;
    const auto last = static_cast<double>(values_.size() - 1);
    if (position >= last) return values_.back() + (position - last) / kCellsPerUnit;
    const auto cell = static_cast<std::size_t>(position);
    const double share = position - static_cast<double>(cell);
    return values_[cell] + share * (values_[cell + 1] - values_[cell]);
  }

 private:
  static constexpr int kCellsPerUnit = 128;
  std::vector<double> values_;
};

/// The prior for a host of `cpus` CPUs of which nothing is known yet: the mean wait of an M/M/c queue (Erlang
/// C), continued linearly by the share of demand that finds no capacity beyond 1. wake_up: what the host takes to
/// let a thread run on an idle CPU (`proteus-agent calibrate`), waited once in each slice; zero: not measured.
ResponseCurve prior_curve(double cpus, Nanoseconds wake_up = Nanoseconds::zero());

/// What was seen of run and wait, by host CPU utilisation.
struct Evidence {
  struct Bin {
    double run_s = 0;
    double wait_s = 0;
    double run_squares = 0;   ///< Σ run² of ticks: how many ticks of equal weight the bin amounts to
    double wait_squares = 0;  ///< Σ wait²/run of ticks: how they differ
  };
  std::vector<Bin> bins;  ///< of equal width over [0, kMaxUtilisation]; empty: nothing

  void add(const Evidence& other);
  /// What is left without a part of it.
  void remove(const Evidence& part);
  double run_s() const;
};

/// The curve that evidence makes of a prior: per bin of utilisation, shrunk towards the prior times a factor that all
/// bins share, made monotone by pooling adjacent violators (Ayer et al. 1955).
ResponseCurve fit_curve(const ResponseCurve& prior, const Evidence& evidence);

/// What a hypervisor is good at.
struct Fingerprint {
  HostId host;
  double cpu_capacity_cores = 0;
  std::int64_t memory_capacity_bytes = 0;
  /// Hosts with the same CPU model, kernel, hypervisor and capacity are of one class: what is learned of some is the
  /// prior of the others.
  std::string host_class;
  ResponseCurve run_queue_wait{std::vector<ResponseCurve::Knot>{}};
  double evidence_s = 0;                            ///< seconds of CPU run behind the curve
  std::map<std::string, std::string> capabilities;  ///< name -> "yes" or "no: reason", from the agent's probing
  std::map<std::string, std::int64_t> calibration;  ///< name -> figure of `proteus-agent calibrate`; unit in the name
};

/// Learns a host's response curve online from telemetry. Old evidence fades with `half_life`. Deterministic. Thread:
/// owned by one.
class CurveLearner {
 public:
  CurveLearner(ResponseCurve prior, Nanoseconds half_life);
  /// For what is known of the host besides telemetry. Evidence stays.
  void set_prior(ResponseCurve prior) { prior_ = std::move(prior); }
  /// One tick of a host. utilisation: CPU used / capacity; run, wait: summed over its VMs' vCPUs during the
  /// tick.
  void observe(Timestamp time, double utilisation, Nanoseconds run, Nanoseconds wait);
  /// others: evidence of other hosts of its class; what they make of the prior is this host's prior.
  ResponseCurve curve(const Evidence& others = {}) const;
  const Evidence& evidence() const { return evidence_; }
  const ResponseCurve& prior() const { return prior_; }

 private:
  ResponseCurve prior_;
  Nanoseconds half_life_;
  Timestamp newest_{};
  Evidence evidence_;
};

/// A fitted curve that is kept as long as fitting it anew would say nearly the same. Thread: owned by one.
class KeptCurve {
 public:
  /// The curve of the learner and of the evidence of its whole class, its own included. Fitted anew when one of the
  /// bins of either holds a twentieth more or less than it did, or the prior is another.
  const ResponseCurve& of(const CurveLearner& learner, const Evidence& of_class);
  /// Seconds of CPU run of the host's own that it rests on.
  double run_s() const { return own_.run_s(); }

 private:
  Evidence own_;
  Evidence of_class_;
  ResponseCurve prior_{std::vector<ResponseCurve::Knot>{}};
  ResponseCurve curve_{std::vector<ResponseCurve::Knot>{}};
};

}  // namespace proteus::profile
