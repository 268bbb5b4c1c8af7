#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace proteus::forecast {

/// Smoothing parameters of Holt's method with a damped trend, error-correction form:
///   f = level + phi·trend,  e = y − f,  level = f + alpha·e,  trend = phi·trend + alpha·beta·e.
struct DampedTrendParameters {
  double alpha = 0.2;
  double beta = 0;
  double phi = 0.98;
};

/// Level and trend of one series, step by step.
///
/// In quiet times this is Holt's method with fitted, usually small, gains: noise must not look like a trend.
/// A sustained change is found by a two-sided CUSUM of the standardised errors, which also tells when it
/// began. Then the steps since that moment decide whether the level jumped (their mean) or a trend broke away
/// from the old level (a line through it), whichever leaves the smaller squares; the state restarts from the
/// winner, and both are tried again as more steps come in. After that an established trend is followed with
/// the gains of a growing-memory line fit.
///
/// Invariant: finite state after start(). Thread: owned by one.
/// Source: Holt (1957), damped trend per Gardner & McKenzie (1985); CUSUM per Page (1954); growing-memory
/// gains as in the alpha-beta filter, for example Brookner (1998).
class DampedTrendFilter {
 public:
  /// An established trend is damped lightly in forecasts, whatever was fitted in quiet times.
  static constexpr double kTrendDamping = 0.98;

  explicit DampedTrendFilter(DampedTrendParameters parameters = {}) : parameters_(parameters) {}

  /// level: of the first values; noise: standard deviation of one-step errors, > 0 unless the series is
  /// constant.
  void start(double level, double noise);
  /// NaN = missing: the forecast stands in for the value.
  void update(double value);

  double level() const { return level_; }
  double trend() const { return trend_; }
  double noise() const { return noise_; }
  /// Standard error of the trend while one is established, 0 otherwise.
  double trend_error() const;
  /// Damping that holds for forecasts made now.
  double damping() const;

  bool in_trend() const { return regime_ == Regime::kTrend; }
  /// If the newest update found a change: how many steps ago it began (>= 1); else 0.
  int change_found() const { return change_found_; }

 private:
  enum class Regime : std::uint8_t { kQuiet, kTrend };
  struct Point {
    std::int64_t step;
    double value;
  };
  /// One side of the CUSUM.
  struct Excursion {
    double sum = 0;
    std::int64_t began = 0;  ///< the last step at which the sum was zero
    double level = 0;        ///< then
  };
  static constexpr std::size_t kRecent = 24;

  void smooth(double predicted, double error);
  void restart_from(const Excursion& excursion);
  void explain_segment();
  void watch(Excursion& excursion, double drift);
  void reset_watch();

  DampedTrendParameters parameters_;
  double level_ = 0;
  double trend_ = 0;
  double noise_ = 0;
  Regime regime_ = Regime::kQuiet;
  std::int64_t step_ = 0;
  std::int64_t known_steps_ = 0;
  int missing_run_ = 0;
  int trend_steps_ = 0;  ///< steps that the trend rests on
  int change_found_ = 0;
  Excursion up_;
  Excursion down_;
  std::array<Point, kRecent> recent_{};
  std::size_t recent_count_ = 0;

  bool young_ = false;  ///< the last change is still being explained, from segment_
  std::int64_t segment_began_ = 0;
  double segment_level_ = 0;
  std::vector<Point> segment_;
};

}  // namespace proteus::forecast
