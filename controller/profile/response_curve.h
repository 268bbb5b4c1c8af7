#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "common/units.h"

namespace proteus::profile {

class WaitTable;

/// How a host answers on one of its resources as a function of the load on it. Monotone, piecewise linear, clamped
/// beyond its ends. What load and answer are, in which units, each resource says (`resource.h`).
/// Immutable; a copy costs next to nothing.
class ResponseCurve {
 public:
  /// Of the CPU's curve, whose load is utilisation: beyond 1 the demand is more than the capacity.
  static constexpr double kMaxUtilisation = 2.0;
  struct Knot {
    double load = 0;
    double response = 0;
    double weight = 0;  ///< evidence behind it, in the resource's unit; 0: prior only
    double error = 0;   ///< standard error of response; 0: none is known
    bool operator==(const Knot&) const = default;
  };
  explicit ResponseCurve(std::vector<Knot> knots);
  struct Answer {
    double response = 0;
    double error = 0;  ///< standard error
  };
  /// load >= 0. A curve without knots answers 0.
  Answer answer(double load) const;
  double at(double load) const { return answer(load).response; }
  double error_at(double load) const { return answer(load).error; }
  const std::vector<Knot>& knots() const { return shared_->knots; }
  /// One is a copy of the other.
  bool operator==(const ResponseCurve& other) const { return shared_ == other.shared_; }
  /// The CPU's curve to be read often; made when it is first asked for, and the same for all copies of the curve. Any
  /// thread.
  std::shared_ptr<const WaitTable> table() const;

  /// answer() of ever greater loads, without searching. The curve outlives it.
  class Walk {
   public:
    explicit Walk(const ResponseCurve& curve) : knots_(curve.knots()) {}
    Answer answer(double load);
    double at(double load) { return answer(load).response; }

   private:
    const std::vector<Knot>& knots_;
    std::size_t right_ = 0;  ///< the first knot beyond the last load
  };

 private:
  struct Shared {
    std::vector<Knot> knots;
    std::once_flag table_made;
    std::shared_ptr<const WaitTable> table;
  };
  std::shared_ptr<Shared> shared_;  // by copies; all but the table is never written
};

/// The CPU's curve read in constant time: sampled at 1/128 of utilisation and interpolated; beyond
/// ResponseCurve::kMaxUtilisation it continues with slope 1 (every further share of the capacity demanded waits), so
/// that relieving a hopeless host still counts.
class WaitTable {
 public:
  explicit WaitTable(const ResponseCurve& curve);
  double at(double utilisation) const {
    const double beyond = std::max(0.0, utilisation - ResponseCurve::kMaxUtilisation);
    return read(responses_, utilisation) + beyond;
  }
  /// Standard error of at(); what is certain beyond the end, the slope, adds nothing.
  double error_at(double utilisation) const { return read(errors_, utilisation); }

 private:
  static constexpr int kCellsPerUnit = 128;
  static double read(const std::vector<double>& values, double utilisation) {
    const double position = std::max(0.0, utilisation) * kCellsPerUnit;
    const auto last = static_cast<double>(values.size() - 1);
    if (position >= last) return values.back();
    const auto cell = static_cast<std::size_t>(position);
    const double share = position - static_cast<double>(cell);
    return values[cell] + share * (values[cell + 1] - values[cell]);
  }

  std::vector<double> responses_;
  std::vector<double> errors_;
};

/// How the evidence of one resource is kept and how much a prior counts against it. Weights are in the unit of what the
/// answer is a share of.
struct CurveShape {
  enum class Scale : unsigned char { kLinear, kDoubling };
  Scale scale = Scale::kLinear;
  double bin_width = 0.05;  ///< of the first bin; with kDoubling each is twice as wide as the one before
  std::size_t bins = 40;
  double prior_weight = 30;         ///< the prior counts in a bin like so much evidence there
  double factor_prior_weight = 60;  ///< the same for the host's factor, which all bins share
  /// Added on both sides when host and prior are compared, so that the factor is defined, and near 1, where both answer
  /// next to nothing.
  double factor_floor = 0.05;

  std::size_t bin_of(double load) const;  ///< loads beyond the last bin count in it
  double centre(std::size_t bin) const;
  double end() const;
};

/// What was seen: per bin of load, sums over ticks of what the answer is a share of (weight) and of the answer's own
/// amount.
struct Evidence {
  struct Bin {
    double weight = 0;
    double amount = 0;
    double weight_squares = 0;  ///< Σ weight² of ticks: how many ticks of equal weight the bin amounts to
    double amount_squares = 0;  ///< Σ amount²/weight of ticks: how they differ
  };
  std::vector<Bin> bins;  ///< as the shape says; empty: nothing

  void add(const Evidence& other);
  /// What is left without a part of it.
  void remove(const Evidence& part);
  double weight() const;
};

/// What a learner has seen, for another one to go on from.
struct SavedCurve {
  Timestamp newest{};  ///< in the clock of what was observed
  Evidence evidence;   ///< as many bins as the shape has
};

/// The curve that evidence makes of a prior: per bin of load, shrunk towards the prior times a factor that all bins
/// share, made monotone by pooling adjacent violators (Ayer et al. 1955).
ResponseCurve fit_curve(const CurveShape& shape, const ResponseCurve& prior, const Evidence& evidence);

/// Learns a host's response curve online from telemetry. Old evidence fades with `half_life`. Deterministic. Thread:
/// owned by one.
class CurveLearner {
 public:
  /// Of the CPU's shape, if none is given.
  CurveLearner(ResponseCurve prior, Nanoseconds half_life, CurveShape shape = {});
  /// For what is known of the host besides telemetry. Evidence stays.
  void set_prior(ResponseCurve prior) { prior_ = std::move(prior); }
  /// One tick of a host: `amount` came of `weight` at this load. What is no evidence is ignored: a load or amount below
  /// 0 or not finite, no weight.
  void observe(Timestamp time, double load, double weight, double amount);
  /// The same for the CPU. utilisation: CPU used / capacity; run, wait: summed over its VMs' vCPUs during the tick.
  void observe(Timestamp time, double utilisation, Nanoseconds run, Nanoseconds wait) {
    observe(time, utilisation, to_seconds(run), to_seconds(wait));
  }
  /// others: evidence of other hosts of its class; what they make of the prior is this host's prior.
  ResponseCurve curve(const Evidence& others = {}) const;
  const Evidence& evidence() const { return evidence_; }
  const ResponseCurve& prior() const { return prior_; }
  const CurveShape& shape() const { return shape_; }
  SavedCurve saved() const { return {newest_, evidence_}; }
  /// Of a learner of the same shape. What this one has seen is dropped.
  void restore(SavedCurve saved) {
    newest_ = saved.newest;
    evidence_ = std::move(saved.evidence);
    evidence_.bins.resize(shape_.bins);
  }

 private:
  ResponseCurve prior_;
  Nanoseconds half_life_;
  CurveShape shape_;
  Timestamp newest_{};
  Evidence evidence_;
};

/// A fitted curve that is kept as long as fitting it anew would say nearly the same. Thread: owned by one.
class KeptCurve {
 public:
  /// The curve of the learner and of the evidence of its whole class, its own included. Fitted anew when one of the
  /// bins of either holds a twentieth more or less than it did, or the prior is another.
  const ResponseCurve& of(const CurveLearner& learner, const Evidence& of_class);
  /// The host's own evidence that it rests on.
  double weight() const { return own_.weight(); }

 private:
  Evidence own_;
  Evidence of_class_;
  ResponseCurve prior_{std::vector<ResponseCurve::Knot>{}};
  ResponseCurve curve_{std::vector<ResponseCurve::Knot>{}};
};

}  // namespace proteus::profile
