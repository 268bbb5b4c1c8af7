#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/units.h"

namespace proteus::profile {

/// Run-queue wait per second of CPU run (dimensionless: ns waited / ns run) as a function of host CPU
/// utilisation. Monotone, piecewise linear, defined on [0, kMaxUtilisation]; beyond 1 the demand is more than
/// the capacity.
class ResponseCurve {
 public:
  static constexpr double kMaxUtilisation = 2.0;
  struct Knot {
    double utilisation = 0;
    double wait_ratio = 0;
    double weight = 0;  ///< evidence behind it, seconds of CPU run; 0: prior only
    bool operator==(const Knot&) const = default;
  };
  explicit ResponseCurve(std::vector<Knot> knots);
  /// Clamped to the curve's ends. utilisation >= 0.
  double wait_ratio(double utilisation) const;
  const std::vector<Knot>& knots() const { return knots_; }

  /// wait_ratio() of ever greater utilisations, without searching. The curve outlives it.
  class Walk {
   public:
    explicit Walk(const ResponseCurve& curve) : knots_(curve.knots_) {}
    double wait_ratio(double utilisation);

   private:
    const std::vector<Knot>& knots_;
    std::size_t right_ = 0;  ///< the first knot beyond the last utilisation
  };

 private:
  std::vector<Knot> knots_;
};

/// The prior for a host of `cpus` CPUs of which nothing is known yet: the mean wait of an M/M/c queue (Erlang
/// C), continued linearly by the share of demand that finds no capacity beyond 1.
ResponseCurve prior_curve(double cpus);

/// What a hypervisor is good at.
struct Fingerprint {
  HostId host;
  double cpu_capacity_cores = 0;
  std::int64_t memory_capacity_bytes = 0;
  ResponseCurve run_queue_wait{std::vector<ResponseCurve::Knot>{}};
  double evidence_s = 0;                            ///< seconds of CPU run behind the curve
  std::map<std::string, std::string> capabilities;  ///< name -> "yes" or "no: reason", from the agent's probing
};

/// Learns a host's response curve online from telemetry: evidence per utilisation bin, shrunk towards the
/// prior (times a factor that all bins share), made monotone by pooling adjacent violators (Ayer et al.
/// 1955). Old evidence fades with `half_life`. Deterministic. Thread: owned by one.
class CurveLearner {
 public:
  CurveLearner(double cpus, Nanoseconds half_life);
  /// One tick of a host. utilisation: CPU used / capacity; run, wait: summed over its VMs' vCPUs during the
  /// tick.
  void observe(Timestamp time, double utilisation, Nanoseconds run, Nanoseconds wait);
  ResponseCurve curve() const;
  double evidence_s() const;

 private:
  struct Bin {
    double run_s = 0;
    double wait_s = 0;
  };
  Nanoseconds half_life_;
  Timestamp newest_{};
  std::vector<Bin> bins_;
  ResponseCurve prior_;
  std::vector<double> prior_of_bins_;
};

}  // namespace proteus::profile
