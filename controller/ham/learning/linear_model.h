#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace proteus::ham::learning {

/// What a linear model thinks of an action.
struct Belief {
  double mean = 0;
  double deviation = 0;  ///< standard deviation of the mean, not of single outcomes
  /// What of the mean is certain: its bound nearest to 0, at one-sided 95 %; 0 if the interval holds 0.
  double certain() const;
};

/// Bayesian linear regression with unknown noise (normal-inverse-gamma) whose evidence fades towards the prior, so that
/// what holds no longer is forgotten: contextual bandit with a linear reward. Prior: all coefficients are 0 (the score
/// is right). Deterministic: same observations, same bits. Thread: owned by one; believe() from any meanwhile not.
/// Sources: Li, Chu, Langford, Schapire, A contextual-bandit approach to personalized news article recommendation
/// (LinUCB), WWW 2010; Agrawal, Goyal, Thompson sampling for contextual bandits with linear payoffs, ICML 2013; Bishop,
/// Pattern Recognition and Machine Learning, 3.3.
class LinearModel {
 public:
  explicit LinearModel(std::size_t features);

  /// x: as many as features; y: clipped to ±kLargest; weight: 1 for a whole observation, in (0, 1].
  void observe(std::span<const double> x, double y, double weight);
  Belief believe(std::span<const double> x) const;
  /// Keeps this share of the evidence, in [0, 1].
  void fade(double keep);
  /// Observations that count, the faded ones in part.
  double evidence() const { return evidence_; }
  const std::vector<double>& coefficients() const { return mean_; }

  template <typename Archive>
  void archive(Archive& a) {
    a(precision_);
    a(moment_);
    a(squares_);
    a(evidence_);
    if constexpr (Archive::kReading) {
      if (a.ok() && !refit()) a.fail();
    }
  }

  static constexpr double kLargest = 5;

 private:
  /// False: what has been read is no model.
  bool refit();

  std::size_t size_;
  std::vector<double> precision_;  ///< row-major; without the prior's
  std::vector<double> moment_;     ///< Σ w·x·y
  double squares_ = 0;             ///< Σ w·y²
  double evidence_ = 0;            ///< Σ w
  // From these:
  std::vector<double> covariance_;  ///< in units of the noise's variance
  std::vector<double> mean_;
  double noise_variance_ = 0;
};

}  // namespace proteus::ham::learning
