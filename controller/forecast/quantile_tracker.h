#pragma once

namespace proteus::forecast {

/// A factor on a quantile's distance from the median, for a model whose quantiles are known to be right on most series:
/// each miss widens it, each hit narrows it a little, so that misses come to 1 − level in the long run whatever the
/// data do. It begins at 1 and moves slowly; a ConformalGuard reads its factor off the extreme scores of this one
/// series, which is quicker, and mostly chance. Thread: owned by one. Source: quantile tracking, Angelopoulos, Candès &
/// Tibshirani (2023), in logarithms; after adaptive conformal inference, Gibbs & Candès (2021).
class QuantileTracker {
 public:
  struct Pace {
    double rate = 0.01;  ///< a miss widens by so much, as a share
    double most = 3;     ///< the tracker corrects a model, it does not replace it
  };
  QuantileTracker(double level, const Pace& pace) : miss_share_(1 - level), pace_(pace) {}

  double factor() const { return factor_; }
  /// missed: the corrected quantile was exceeded.
  void observe(bool missed);

  template <typename Archive>
  void archive(Archive& a) {
    a(factor_);
    if (Archive::kReading) keep_within_bounds();
  }

 private:
  void keep_within_bounds();

  double miss_share_;
  Pace pace_;
  double factor_ = 1;
};

}  // namespace proteus::forecast
