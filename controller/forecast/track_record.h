#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "controller/forecast/accuracy.h"
#include "controller/forecast/conformal_guard.h"
#include "controller/forecast/forecast.h"
#include "controller/forecast/quantile_tracker.h"

namespace proteus::forecast {

/// What was forecast of one series by one model (or a blend of models), how that turned out, and what follows for the
/// width of the next one. Of a long lead only some forecasts are scored, spread evenly: those of neighbouring steps
/// would say the same. Each step: close() with the actual value, then remember() or skip(). Thread: owned by one.
class TrackRecord {
 public:
  /// Leads that are scored: first, middle and last step, and (guarded only) the window maximum.
  static constexpr std::size_t kLeads = 4;
  static constexpr std::size_t kScoredLeads = 3;
  using PerLead = std::array<double, kScoredLeads>;

  /// calibrated: the model's quantiles are known to be right on most series, and are corrected with care.
  explicit TrackRecord(int horizon_steps, bool calibrated = false);

  /// The most that one forecast's loss may count, by lead: some times the typical loss of this model. One
  /// event, seen by a whole horizon of forecasts, would otherwise decide alone which model is better.
  /// Infinite while nothing is known.
  PerLead loss_caps() const;
  /// Scores what was predicted for the step that has just closed. actual: NaN = missing, nothing is scored.
  /// window_max: of the newest horizon_steps actual values, NaN = too many are missing.
  void close(double actual, double window_max, const PerLead& caps);
  /// Corrects the quantiles of a forecast of the horizon after the newest step, and remembers it for scoring.
  void correct_and_remember(Forecast& forecast);
  /// Remembers it as it is.
  void remember(const Forecast& forecast);
  /// A step passes without a forecast.
  void skip();

  /// In steps.
  std::array<int, kScoredLeads> lead_steps() const;
  std::int64_t scored_steps() const { return scored_steps_; }
  double coverage_p90() const { return scored_steps_ > 0 ? covered_ / covered_weight_ : 0; }
  /// Recent pinball loss, over the leads scored so far.
  double loss() const;
  /// At one of the scored leads; 0 if nothing has been scored there.
  double loss_at(std::size_t lead) const;
  int scored_at(std::size_t lead) const { return leads_[lead].scored; }
  /// The same in forecasts that do not overlap.
  double horizons_scored(std::size_t lead) const {
    return static_cast<double>(leads_[lead].scored) * leads_[lead].stride / leads_[lead].steps;
  }
  /// Of the next-step forecasts of the newest few steps.
  double newest_loss() const { return newest_loss_; }
  /// loss() / other.loss() over the leads that both have been scored on; 1 if there are none, or both are 0.
  double loss_relative_to(const TrackRecord& other) const;
  /// How the scored leads have turned out; leads that fall together are given once. scale: what errors are divided by
  /// for mase; 0: unknown. shares: of the blend at each scored lead.
  std::vector<LeadAccuracy> leads(double scale, const PerLead& shares) const;

  /// Predictions that wait for their outcome are not kept.
  template <typename Archive>
  void archive(Archive& a) {
    for (Lead& lead : leads_) lead.archive(a);
    a(scored_steps_);
    a(covered_);
    a(covered_weight_);
    a(newest_loss_);
  }

 private:
  static constexpr std::size_t kWindow = 3;

  struct Prediction {
    bool valid = false;
    Quantiles raw;
    Quantiles corrected;
  };
  /// Of one quantile.
  struct Correction {
    explicit Correction(double level) : guard(level), tracker(level, {}) {}
    double factor(bool calibrated) const { return calibrated ? tracker.factor() : guard.factor(); }
    template <typename Archive>
    void archive(Archive& a) {
      guard.archive(a);
      tracker.archive(a);
    }
    ConformalGuard guard;
    QuantileTracker tracker;
  };
  struct Lead {
    int steps = 1;
    int stride = 1;                   ///< only each such step is remembered; divides `steps`
    std::vector<Prediction> pending;  ///< ring, in strides, as far as it has been filled; see slot()
    Correction p90{0.9};
    Correction p99{0.99};
    double loss = 0;     ///< weighted sum
    double weight = 0;   ///< and its weights
    double typical = 0;  ///< loss, surprises aside
    int scored = 0;
    // What is reported, weighted likewise.
    double pinball = 0;
    double absolute_error = 0;
    std::array<double, kQuantileLevels.size()> covered{};

    template <typename Archive>
    void archive(Archive& a) {
      p90.archive(a);
      p99.archive(a);
      for (double* value : {&loss, &weight, &typical, &pinball, &absolute_error}) a(*value);
      for (double& value : covered) a(value);
      a(scored);
    }
  };
  std::size_t slot_index(const Lead& lead) const { return static_cast<std::size_t>(tick_ % lead.steps / lead.stride); }
  /// What was predicted `steps` ticks ago; null if nothing was, or this step is not remembered.
  Prediction* slot(Lead& lead) const {
    return tick_ % lead.stride == 0 && slot_index(lead) < lead.pending.size() ? &lead.pending[slot_index(lead)]
                                                                              : nullptr;
  }
  /// For what is predicted now; null if this step is not remembered.
  Prediction* slot_to_fill(Lead& lead) const;
  void score(Lead& lead, double actual, double cap);
  void put(const Forecast& forecast, Quantiles Prediction::*which);
  void correct(Forecast& forecast) const;

  double decay_;
  bool calibrated_;
  std::array<Lead, kLeads> leads_;
  std::int64_t tick_ = 0;
  std::int64_t scored_steps_ = 0;
  double covered_ = 0;
  double covered_weight_ = 0;
  double newest_loss_ = 0;
};

}  // namespace proteus::forecast
