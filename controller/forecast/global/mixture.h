#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "controller/forecast/global/matrix.h"
#include "controller/forecast/global/samples.h"

namespace proteus::forecast::global {

/// How a network's outputs become quantiles: each level is a mix of simple forecasts (anchors), by softmax weights
/// that the network chooses for this level, plus a correction as a multiple of the spread. An untrained network so
/// answers with the anchors' mean, and one that finds nothing to correct with a good textbook forecast.
/// Outputs of a row: for each level its `anchors` weights before softmax, then one correction for each level.
class Mixture {
 public:
  explicit Mixture(std::size_t anchors) : anchors_(anchors) {}
  std::size_t outputs() const { return kLevels.size() * (anchors_ + 1); }

  /// Makes the outputs (rows × outputs()) weights: the shares of each level's anchors, which add up to 1, in place of
  /// what they are the softmax of; the corrections stay. Weights of several networks, or of neighbouring steps, may be
  /// averaged.
  void weigh(const ConstMatrix& outputs, std::vector<float>& weights) const;
  /// weights: rows × outputs(); anchors: rows × anchors × levels; spread: rows. Result: rows × levels, unsorted, in
  /// the unit of the anchors (z).
  void mix(const float* weights, const float* anchors, const float* spread, const Matrix& levels) const;
  /// What d_levels (rows × levels) makes of the outputs, of which weigh() has made `weights`.
  void gradient(const float* anchors, const float* spread, const std::vector<float>& weights,
                const ConstMatrix& d_levels, const Matrix& d_outputs) const;

 private:
  std::size_t anchors_;
};

}  // namespace proteus::forecast::global
