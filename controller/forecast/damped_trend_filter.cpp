#include "controller/forecast/damped_trend_filter.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace proteus::forecast {
namespace {

/// CUSUM in units of the noise: errors below the allowance do not add up, an alarm is raised at the
/// threshold. For independent normal errors that is one false alarm in some 19,000 steps a side (Siegmund's
/// approximation), and a ramp of half the noise a step is found after six.
constexpr double kAllowance = 0.5;
constexpr double kThreshold = 8;
/// One error counts for no more than this, so that a single spike is not a change, and two alike are.
constexpr double kErrorClip = 5;
/// A trend counts as one from this many standard errors.
constexpr double kTrendSignificance = 3;
/// Either may have begun so many steps after the CUSUM left zero, which noise alone can make it do.
constexpr int kStartsLater = 2;
/// Steps after which a change has been explained.
constexpr std::size_t kYoungSteps = 12;
/// Memory of a trend in steps; more would be slow to follow a bend, less noisy.
constexpr int kTrendMemory = 20;
/// How fast the noise estimate follows, and the error beyond which it does not.
constexpr double kNoiseGain = 0.03;
constexpr double kNoiseClip = 4;
/// The noise is not well known at first: after so many steps it is taken for twice what it seems to be.
constexpr double kNoiseDoubt = 5;
constexpr double kMeanToDeviation = 1.2533;  ///< standard deviation / mean absolute deviation, normal
/// A trend not seen for so many steps is no longer believed.
constexpr int kMissingMax = 5;

}  // namespace

void DampedTrendFilter::start(double level, double noise) {
  *this = DampedTrendFilter(parameters_);
  level_ = level;
  noise_ = noise;
  reset_watch();
}

double DampedTrendFilter::damping() const {
  return in_trend() ? kTrendDamping : parameters_.phi;
}

double DampedTrendFilter::trend_error() const {
  if (!in_trend()) return 0;
  // Of a line through a known level while young, of a free line later.
  const double n = trend_steps_;
  return noise_ * std::sqrt((young_ ? 3 : 12) / (n * n * n));
}

void DampedTrendFilter::reset_watch() {
  up_ = {0, step_, level_};
  down_ = up_;
}

void DampedTrendFilter::smooth(double predicted, double error) {
  if (regime_ == Regime::kQuiet) {
    level_ = predicted + parameters_.alpha * error;
    trend_ = parameters_.phi * trend_ + parameters_.alpha * parameters_.beta * error;
    return;
  }
  trend_steps_ = std::min(trend_steps_ + 1, kTrendMemory);
  const double n = trend_steps_;
  level_ = predicted + std::max(parameters_.alpha, 2 * (2 * n - 1) / (n * (n + 1))) * error;
  trend_ += 6 / (n * (n + 1)) * error;
  if (std::abs(trend_) < trend_error()) {
    regime_ = Regime::kQuiet;
    trend_ = 0;
  }
}

void DampedTrendFilter::update(double value) {
  ++step_;
  change_found_ = 0;
  // An established trend is followed undamped: damping is about how long it will last, not about what it is.
  const double predicted = level_ + (in_trend() ? 1 : parameters_.phi) * trend_;
  if (!std::isfinite(value)) {
    level_ = predicted;
    if (!in_trend()) trend_ *= parameters_.phi;
    if (++missing_run_ > kMissingMax) {
      regime_ = Regime::kQuiet;
      young_ = false;
      trend_ = 0;
      reset_watch();
    }
    return;
  }
  missing_run_ = 0;
  const double error = value - predicted;
  recent_[recent_count_++ % kRecent] = {step_, value};
  if (young_) {
    segment_.push_back({step_, value});
    explain_segment();
    young_ = segment_.size() < kYoungSteps;
  } else {
    smooth(predicted, error);
  }
  if (noise_ > 0) {
    ++known_steps_;
    const double deviation = noise_ * (1 + kNoiseDoubt / static_cast<double>(known_steps_));
    const double clipped = std::clamp(error / deviation, -kErrorClip, kErrorClip);
    watch(up_, clipped - kAllowance);
    watch(down_, -clipped - kAllowance);
    noise_ += kNoiseGain * (kMeanToDeviation * std::min(std::abs(error), kNoiseClip * noise_) - noise_);
    if (up_.sum > kThreshold) {
      restart_from(up_);
    } else if (down_.sum > kThreshold) {
      restart_from(down_);
    }
  } else {
    noise_ = std::abs(error);  // was constant until now
  }
}

void DampedTrendFilter::watch(Excursion& excursion, double drift) {
  excursion.sum += drift;
  if (excursion.sum <= 0) excursion = {0, step_, level_};
}

void DampedTrendFilter::restart_from(const Excursion& excursion) {
  change_found_ = static_cast<int>(step_ - excursion.began);
  segment_began_ = excursion.began;
  segment_level_ = excursion.level;
  segment_.clear();
  const std::size_t count = std::min(recent_count_, kRecent);
  for (std::size_t i = recent_count_ - count; i < recent_count_; ++i) {
    const Point& point = recent_[i % kRecent];
    if (point.step > segment_began_) segment_.push_back(point);
  }
  explain_segment();
  young_ = segment_.size() < kYoungSteps;
  reset_watch();
}

void DampedTrendFilter::explain_segment() {
  // The level jumped, when the CUSUM left zero or a little later: the mean of the steps since, or their
  // recent part if the fitted gain says that levels wander.
  double jump_squares = std::numeric_limits<double>::infinity();
  double jumped = 0;
  double before_squares = 0;
  const std::size_t last_start = std::min<std::size_t>(kStartsLater, segment_.size() < 2 ? 0 : segment_.size() - 2);
  for (std::size_t start = 0; start <= last_start; ++start) {
    double mean = 0;
    double recent = 0;
    double squares = before_squares;
    double count = 0;
    for (std::size_t i = start; i < segment_.size(); ++i) {
      count += 1;
      const double off = segment_[i].value - mean;
      mean += off / count;
      squares += off * (segment_[i].value - mean);
      recent += std::max(parameters_.alpha, 1 / count) * (segment_[i].value - recent);
    }
    if (squares < jump_squares) {
      jump_squares = squares;
      jumped = recent;
    }
    before_squares += (segment_[start].value - segment_level_) * (segment_[start].value - segment_level_);
  }

  // A trend broke away from the old level, a step before or a few after the CUSUM left zero.
  double best_squares = std::numeric_limits<double>::infinity();
  double best_slope = 0;
  double best_error = 0;
  std::int64_t best_began = segment_began_;
  for (std::int64_t shift = -1; shift <= kStartsLater; ++shift) {
    double xx = 0;
    double xy = 0;
    for (const Point& point : segment_) {
      const auto x = static_cast<double>(std::max<std::int64_t>(0, point.step - segment_began_ - shift));
      xx += x * x;
      xy += x * (point.value - segment_level_);
    }
    if (xx == 0) continue;
    const double slope = xy / xx;
    double squares = 0;
    for (const Point& point : segment_) {
      const auto x = static_cast<double>(std::max<std::int64_t>(0, point.step - segment_began_ - shift));
      const double left = point.value - segment_level_ - slope * x;
      squares += left * left;
    }
    if (squares < best_squares) {
      best_squares = squares;
      best_slope = slope;
      best_error = noise_ / std::sqrt(xx);
      best_began = segment_began_ + shift;
    }
  }

  if (best_squares < jump_squares && std::abs(best_slope) > kTrendSignificance * best_error) {
    regime_ = Regime::kTrend;
    trend_ = best_slope;
    trend_steps_ = std::clamp(static_cast<int>(step_ - best_began), 2, kTrendMemory);
    level_ = segment_level_ + best_slope * static_cast<double>(step_ - best_began);
  } else {
    regime_ = Regime::kQuiet;
    trend_ = 0;
    level_ = jumped;
  }
}

}  // namespace proteus::forecast
