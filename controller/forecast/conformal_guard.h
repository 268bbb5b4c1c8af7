#pragma once

#include <cstddef>
#include <vector>

namespace proteus::forecast {

/// Keeps the stated level of one quantile true while the world drifts: a factor on its distance from the
/// median. The factor is the (1 − alpha) quantile of recent scores, and alpha itself moves up after each hit
/// and down after each miss, so that misses come to 1 − level in the long run whatever the data do. Scores
/// should not overlap in time, or one surprise counts many times. Thread: owned by one. Source: adaptive
/// conformal inference, Gibbs & Candès (2021).
class ConformalGuard {
 public:
  explicit ConformalGuard(double level);

  /// 1 until enough scores have been seen.
  double factor() const { return factor_; }
  /// score: (actual − p50) / (quantile − p50) of an uncorrected forecast; missed: the corrected one was
  /// exceeded.
  void observe(double score, bool missed);

  template <typename Archive>
  void archive(Archive& a) {
    a(alpha_);
    a(factor_);
    a(scores_);
    a(next_);
    if (Archive::kReading && next_ >= kScoresMax) next_ = 0;
    if (Archive::kReading && scores_.size() > kScoresMax) scores_.resize(kScoresMax);
  }

 private:
  static constexpr std::size_t kScoresMax = 100;

  double target_alpha_;
  double alpha_;
  double factor_ = 1;
  std::vector<double> scores_;  ///< ring of the newest
  std::size_t next_ = 0;
};

}  // namespace proteus::forecast
