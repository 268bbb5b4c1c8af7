#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "controller/forecast/global/matrix.h"
#include "controller/forecast/global/training_set.h"

namespace proteus::forecast::global {

/// What a network is trained for. Thread: owned by one.
class Objective {
 public:
  virtual ~Objective() = default;
  /// Mean loss of a batch of windows and, if d_levels has data, its gradient. levels: the rows of those windows
  /// (z, unsorted).
  virtual double loss(std::span<const std::size_t> windows, const ConstMatrix& levels, const Matrix& d_levels) = 0;
  /// By which networks are compared (lower is better), from the levels of every window of the set.
  virtual double score(const ConstMatrix& levels) const = 0;
};

/// Pinball loss of the steps, in each band relative to what the series' own autoregression loses there: the
/// gradient of the benchmark's geometric mean over series (rel_sql). Source: Koenker & Bassett (1978).
class StepObjective final : public Objective {
 public:
  explicit StepObjective(const TrainingSet& set);
  double loss(std::span<const std::size_t> windows, const ConstMatrix& levels, const Matrix& d_levels) override;
  /// Sum over the bands of the mean over series of ln(loss).
  double score(const ConstMatrix& levels) const override;
  /// By band: the mean over series of ln(loss).
  std::array<double, kBands> band_scores(const ConstMatrix& levels) const;

 private:
  const TrainingSet& set_;
  std::vector<float> weight_;  ///< of each row
};

/// Pinball loss of the largest step of the coming hour and of the coming day, relative to what the series' own
/// autoregression loses there.
class MaxObjective final : public Objective {
 public:
  explicit MaxObjective(const TrainingSet& set);
  double loss(std::span<const std::size_t> windows, const ConstMatrix& levels, const Matrix& d_levels) override;
  /// Sum over the two windows of the mean over series of ln(loss).
  double score(const ConstMatrix& levels) const override;

 private:
  const TrainingSet& set_;
  std::vector<float> top_;     ///< of each row, u
  std::vector<float> weight_;  ///< likewise
};

}  // namespace proteus::forecast::global
