#pragma once

#include <memory>
#include <optional>
#include <string>

#include "controller/forecast/model.h"
#include "controller/forecast/roster.h"
#include "controller/forecast/track_record.h"

namespace proteus::forecast {

/// A model in the running for one series, with its record. Each step: close() with the actual value, then refit() or
/// update(), then predict() or skip(). Thread: owned by one.
class Candidate {
 public:
  Candidate(Contestant contestant, int horizon_steps);

  void set_covariates(const Covariates* covariates) { contestant_.model->set_covariates(covariates); }
  /// As TrackRecord's.
  void close(double actual, double window_max, const TrackRecord::PerLead& caps);
  void refit(const History& history);
  void update(double value);
  /// Forecasts the horizon after the newest step and remembers it for scoring.
  void predict();
  /// A step passes without a forecast.
  void skip();

  std::string name() const { return std::string(contestant_.model->name()); }
  bool learned() const { return contestant_.learned; }
  double standing() const { return contestant_.standing; }
  /// The newest step had a forecast.
  bool able() const { return able_; }
  /// Why not.
  const std::string& failure() const { return failure_; }
  /// Made by predict(), corrected; null if it could not. Until release().
  const Forecast* forecast() const { return forecast_ ? &*forecast_ : nullptr; }
  /// A horizon of quantiles for each model of each series is much; it is needed only while they are blended.
  void release() { forecast_.reset(); }

  const TrackRecord& record() const { return record_; }
  /// Scores and corrections; not the model, which is fitted again.
  template <typename Archive>
  void archive(Archive& a) {
    record_.archive(a);
  }

 private:
  Contestant contestant_;
  int horizon_steps_;
  TrackRecord record_;
  bool fitted_ = false;
  bool able_ = false;
  std::string failure_ = "not fitted yet";
  std::optional<Forecast> forecast_;
};

}  // namespace proteus::forecast
