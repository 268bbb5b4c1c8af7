#include "controller/forecast/global/mixture.h"

#include <algorithm>

namespace proteus::forecast::global {

void Mixture::weigh(const ConstMatrix& outputs, std::vector<float>& weights) const {
  const std::size_t count = kLevels.size();
  const std::size_t gates = count * anchors_;
  weights.assign(outputs.data, outputs.data + outputs.size());
  for (std::size_t r = 0; r < outputs.rows; ++r) {
    float* row = weights.data() + r * outputs.columns;
    for (std::size_t k = 0; k < count; ++k) {
      float* share = row + k * anchors_;
      const float top = *std::max_element(share, share + anchors_);
      for (std::size_t j = 0; j < anchors_; ++j) share[j] -= top;
    }
    exponential({row, gates});
    for (std::size_t k = 0; k < count; ++k) {
      float* share = row + k * anchors_;
      float sum = 0;
      for (std::size_t j = 0; j < anchors_; ++j) sum += share[j];
      for (std::size_t j = 0; j < anchors_; ++j) share[j] /= sum;
    }
  }
}

void Mixture::mix(const float* weights, const float* anchors, const float* spread, const Matrix& levels) const {
  const std::size_t count = kLevels.size();
  const std::size_t gates = count * anchors_;
  for (std::size_t r = 0; r < levels.rows; ++r) {
    const float* weight = weights + r * outputs();
    const float* anchor = anchors + r * gates;  // anchors × levels
    for (std::size_t k = 0; k < count; ++k) {
      float mixed = 0;
      for (std::size_t j = 0; j < anchors_; ++j) mixed += weight[k * anchors_ + j] * anchor[j * count + k];
      levels.data[r * count + k] = mixed + spread[r] * weight[gates + k];
    }
  }
}

void Mixture::gradient(const float* anchors, const float* spread, const std::vector<float>& weights,
                       const ConstMatrix& d_levels, const Matrix& d_outputs) const {
  const std::size_t count = kLevels.size();
  const std::size_t gates = count * anchors_;
  for (std::size_t r = 0; r < d_levels.rows; ++r) {
    const float* anchor = anchors + r * gates;
    float* d_out = d_outputs.data + r * d_outputs.columns;
    for (std::size_t k = 0; k < count; ++k) {
      const float* share = weights.data() + r * outputs() + k * anchors_;
      const float d = d_levels.data[r * count + k];
      float mixed = 0;
      for (std::size_t j = 0; j < anchors_; ++j) mixed += share[j] * anchor[j * count + k];
      for (std::size_t j = 0; j < anchors_; ++j) {
        d_out[k * anchors_ + j] = d * share[j] * (anchor[j * count + k] - mixed);
      }
      d_out[gates + k] = d * spread[r];
    }
  }
}

}  // namespace proteus::forecast::global
