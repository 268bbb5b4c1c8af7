#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "controller/forecast/accuracy.h"
#include "controller/forecast/conformal_guard.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// A model in the running for one series: what it predicted, how that turned out, and its correction.
/// Each step: close() with the actual value, then refit() or update(), then predict(). Thread: owned by one.
class Candidate {
 public:
  /// Leads that are scored: first, middle and last step, and (guarded only) the window maximum.
  static constexpr std::size_t kLeads = 4;
  static constexpr std::size_t kScoredLeads = 3;
  using LossCaps = std::array<double, kScoredLeads>;

  Candidate(std::unique_ptr<Model> model, int horizon_steps);

  /// The most that one forecast's loss may count, by lead: some times the typical loss of this model. One
  /// event, seen by a whole horizon of forecasts, would otherwise decide alone which model is better.
  /// Infinite while nothing is known.
  LossCaps loss_caps() const;
  void set_covariates(const Covariates* covariates) { model_->set_covariates(covariates); }
  /// Scores what was predicted for the step that has just closed. actual: NaN = missing, nothing is scored.
  /// window_max: of the newest horizon_steps actual values, NaN = too many are missing.
  void close(double actual, double window_max, const LossCaps& caps);
  void refit(const History& history);
  void update(double value);
  /// Forecasts the horizon after the newest step and remembers it for scoring.
  void predict();
  /// A step passes without a forecast.
  void skip();

  std::string name() const { return std::string(model_->name()); }
  /// A forecast stands.
  bool able() const { return able_; }
  /// Why not.
  const std::string& failure() const { return failure_; }
  /// Corrected, for the horizon. Only if able().
  const Forecast& forecast() const { return forecast_; }

  std::int64_t scored_steps() const { return scored_steps_; }
  double coverage_p90() const { return scored_steps_ > 0 ? covered_ / covered_weight_ : 0; }
  /// Recent pinball loss, over the leads scored so far.
  double loss() const;
  /// loss() / other.loss() over the leads that both have been scored on; 1 if there are none, or both are 0.
  double loss_relative_to(const Candidate& other) const;
  /// How the scored leads have turned out; leads that fall together are given once. scale: what errors are divided by
  /// for mase; 0: unknown.
  std::vector<LeadAccuracy> leads(double scale) const;

  /// Scores and corrections; not the model, which is fitted again. Predictions that wait for their outcome are lost.
  template <typename Archive>
  void archive(Archive& a) {
    for (Lead& lead : leads_) lead.archive(a);
    a(scored_steps_);
    a(covered_);
    a(covered_weight_);
  }

 private:
  static constexpr std::size_t kWindow = 3;

  struct Prediction {
    bool valid = false;
    Quantiles raw;
    Quantiles corrected;
  };
  struct Lead {
    int steps = 1;
    std::vector<Prediction> pending;  ///< ring; slot (tick % steps) was written `steps` ticks ago
    ConformalGuard guard_p90{0.9};
    ConformalGuard guard_p99{0.99};
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
      guard_p90.archive(a);
      guard_p99.archive(a);
      for (double* value : {&loss, &weight, &typical, &pinball, &absolute_error}) a(*value);
      for (double& value : covered) a(value);
      a(scored);
    }
  };
  void score(Lead& lead, double actual, double cap);
  void correct(Forecast& forecast) const;

  std::unique_ptr<Model> model_;
  int horizon_steps_;
  double decay_;
  bool fitted_ = false;
  bool able_ = false;
  std::string failure_ = "not fitted yet";
  Forecast forecast_;
  std::array<Lead, kLeads> leads_;
  std::int64_t tick_ = 0;
  std::int64_t scored_steps_ = 0;
  double covered_ = 0;
  double covered_weight_ = 0;
};

}  // namespace proteus::forecast
