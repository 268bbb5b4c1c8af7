#pragma once

#include <array>
#include <span>
#include <vector>

#include "controller/forecast/damped_trend_filter.h"
#include "controller/forecast/error_table.h"
#include "controller/forecast/model.h"
#include "controller/forecast/trend_trace.h"

namespace proteus::forecast {

/// Holt's method with a damped trend and detection of sustained changes (damped_trend_filter.h).
/// Parameters minimise the mean absolute error at the first, middle and last step of the horizon together,
/// over the quiet times of the newest fit_steps: what to do about a change is not learned from the one that
/// was seen. Quantiles are those of its own errors when it is run over that history, by horizon; errors made
/// across a change of regime count by the rate of changes, seen in the history and presumed before it, since
/// a single change is seen from as many origins as the horizon is long. While a trend is young, the error of
/// its slope widens them. Source: Gardner & McKenzie (1985).
class HoltDamped final : public Model {
 public:
  explicit HoltDamped(int horizon_steps, int fit_steps = 360);
  std::string_view name() const override { return "holt_damped"; }
  /// Errors: kFailedPrecondition with fewer than four finite values.
  Status fit(const History& history) override;
  void update(double value) override;
  Result<Forecast> forecast(int steps) const override;

  const DampedTrendParameters& parameters() const { return parameters_; }
  const DampedTrendFilter& state() const { return filter_; }

 private:
  /// Which origins count, by horizon of scored_horizons().
  using Quiet = std::array<std::vector<bool>, 3>;
  std::array<int, 3> scored_horizons(std::size_t count) const;
  Quiet quiet_origins(std::span<const double> values, const TrendStart& start) const;
  double loss(const DampedTrendParameters& parameters, std::span<const double> values, const TrendTrace& trace,
              const Quiet& quiet) const;
  DampedTrendParameters search(std::span<const double> values, const TrendStart& start) const;

  int horizon_steps_;
  int fit_steps_;
  ErrorTable errors_;
  bool fitted_ = false;
  DampedTrendParameters parameters_;
  DampedTrendFilter filter_;
  Timestamp end_{};
  Nanoseconds step_{};
};

}  // namespace proteus::forecast
