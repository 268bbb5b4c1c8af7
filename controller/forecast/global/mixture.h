#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "controller/forecast/global/matrix.h"
#include "controller/forecast/global/samples.h"

namespace proteus::forecast::global {

/// What rows are mixed from, in one unit (z).
struct Anchors {
  const float* levels = nullptr;   ///< rows × anchors × levels
  const float* spread = nullptr;   ///< rows; of corrections
  const float* signals = nullptr;  ///< rows × levels: the anchor that knows of signals; null if there is none
};

/// How a network's outputs become quantiles: each level is a mix of simple forecasts (anchors), by softmax weights
/// that the network chooses for this level, plus a correction as a multiple of the spread. An untrained network so
/// answers with the anchors' mean, and one that finds nothing to correct with a good textbook forecast.
/// Outputs of a row: for each level its `anchors` weights before softmax, then one correction for each level, then, if
/// there is an anchor that knows of signals, its weight for each level.
class Mixture {
 public:
  explicit Mixture(std::size_t anchors, bool with_signals = false) : anchors_(anchors), with_signals_(with_signals) {}
  std::size_t outputs() const { return kLevels.size() * (anchors_ + (with_signals_ ? 2 : 1)); }

  /// Makes the outputs (rows × outputs()) weights: the shares of each level's anchors, which add up to 1, in place of
  /// what they are the softmax of; the corrections stay. Weights of several networks, or of neighbouring steps, may be
  /// averaged.
  void weigh(const ConstMatrix& outputs, std::vector<float>& weights) const;
  /// weights: rows × outputs(). Result: rows × levels, unsorted, in the unit of the anchors.
  void mix(const float* weights, const Anchors& anchors, const Matrix& levels) const;
  /// What d_levels (rows × levels) makes of the outputs, of which weigh() has made `weights`.
  void gradient(const Anchors& anchors, const std::vector<float>& weights, const ConstMatrix& d_levels,
                const Matrix& d_outputs) const;

 private:
  std::size_t anchors_;
  bool with_signals_;
};

}  // namespace proteus::forecast::global
