#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "controller/forecast/blend.h"
#include "controller/forecast/candidate.h"
#include "controller/forecast/engine.h"
#include "controller/forecast/step_ticks.h"

namespace proteus::forecast {

/// One VM's demand for one resource: ticks into steps, steps into every model, and what is made of their forecasts.
///
/// Of the models that follow the newest values one is chosen; a change of mind takes a horizon. It is the fallback.
/// Those that have learned how the series usually goes are blended in with it, lead by lead, as far as they have proved
/// better (blend.h). Each model's quantiles are guarded before they are blended; the blend has a record of its own.
/// Thread: owned by one.
class Series {
 public:
  /// phase: any number; series with different ones are refitted at different steps. options, shared, covariates
  /// outlive the series; the last may be null.
  Series(const EngineOptions& options, Resource resource, std::uint64_t phase, const Shared& shared,
         const Covariates* covariates);

  /// As Engine's.
  bool observe(Timestamp time, double value);
  bool observe(const StepTicks& ticks);
  Forecast forecast() const;
  /// As Engine's.
  bool take_news();
  History history() const;
  SeriesAccuracy accuracy() const;

  std::string save();
  /// Whether the bytes are whole, of this version, step and horizon. Errors: kCorrupt, kUnsupported.
  static Status check(const std::string& bytes, const EngineOptions& options);
  /// Errors: the same; the series is then of no use.
  Status restore(const std::string& bytes);
  /// Moves what it has had to tell other series to the end of `samples`.
  void take_kin_samples(std::vector<KinSample>& samples);

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  void reset();
  bool open(std::int64_t step);
  double open_step_value() const;
  void close_step(double value, bool predict_next);
  void predict(bool refit);
  void choose();
  void blend();
  bool set_aside(std::size_t i) const;
  bool blended_in(std::size_t i) const;
  std::size_t sole_in_blend() const;
  bool refit_due() const;
  std::size_t index_of(std::string_view model) const;
  double newest_window_max() const;
  double scale(std::size_t lag) const;
  Timestamp end() const;
  Forecast cold_start() const;
  template <typename Archive>
  void archive(Archive& a);

  const EngineOptions& options_;
  const Resource resource_;
  const std::uint64_t phase_;
  const Shared& shared_;
  const Covariates* const covariates_;
  std::vector<Candidate> candidates_;
  std::vector<int> better_steps_;  ///< per candidate: so long it has been better than the chosen one
  std::vector<int> worse_steps_;   ///< per candidate: so long it has been worse than the baseline
  std::size_t baseline_ = kNone;
  std::size_t chosen_ = kNone;
  std::vector<Shares> shares_;  ///< per candidate, of the newest forecast
  std::size_t told_ = kNone;    ///< the newest forecast is this one's alone
  TrackRecord blend_record_;    ///< of the steps that were blended from several
  std::optional<Forecast> forecast_;

  bool begun_ = false;
  std::int64_t open_step_ = 0;                                    ///< index on the grid since the epoch
  int open_count_ = 0;                                            ///< ticks in it
  double open_value_ = 0;                                         ///< their sum or maximum
  bool closed_ = false;                                           ///< a step has, since take_news()
  double told_value_ = std::numeric_limits<double>::quiet_NaN();  ///< open_step_value() when there last was news

  std::vector<double> values_;  ///< closed steps, newest last
  std::int64_t closed_steps_ = 0;
  std::int64_t known_steps_ = 0;  ///< of them not missing
  double newest_known_ = 0;
  double highest_known_ = 0;
  std::vector<KinSample> kin_samples_;

  bool scores_ok_ = true;  ///< what archive() has found out
};

}  // namespace proteus::forecast
