#include "controller/forecast/global/mixture.h"

#include <algorithm>

namespace proteus::forecast::global {

void Mixture::combine(const ConstMatrix& outputs, const float* anchors, const float* spread, std::vector<float>& shares,
                      const Matrix& levels) const {
  const std::size_t count = kLevels.size();
  const std::size_t gates = count * anchors_;
  shares.resize(outputs.rows * gates);
  for (std::size_t r = 0; r < outputs.rows; ++r) {
    const float* out = outputs.data + r * outputs.columns;
    float* share = shares.data() + r * gates;
    for (std::size_t k = 0; k < count; ++k) {
      const float top = *std::max_element(out + k * anchors_, out + (k + 1) * anchors_);
      for (std::size_t j = 0; j < anchors_; ++j) share[k * anchors_ + j] = out[k * anchors_ + j] - top;
    }
  }
  exponential(shares);
  for (std::size_t r = 0; r < outputs.rows; ++r) {
    const float* out = outputs.data + r * outputs.columns;
    const float* anchor = anchors + r * gates;  // anchors × levels
    for (std::size_t k = 0; k < count; ++k) {
      float* share = shares.data() + r * gates + k * anchors_;
      float sum = 0;
      for (std::size_t j = 0; j < anchors_; ++j) sum += share[j];
      float mixed = 0;
      for (std::size_t j = 0; j < anchors_; ++j) {
        share[j] /= sum;
        mixed += share[j] * anchor[j * count + k];
      }
      levels.data[r * count + k] = mixed + spread[r] * out[gates + k];
    }
  }
}

void Mixture::gradient(const float* anchors, const float* spread, const std::vector<float>& shares,
                       const ConstMatrix& d_levels, const Matrix& d_outputs) const {
  const std::size_t count = kLevels.size();
  const std::size_t gates = count * anchors_;
  for (std::size_t r = 0; r < d_levels.rows; ++r) {
    const float* anchor = anchors + r * gates;
    float* d_out = d_outputs.data + r * d_outputs.columns;
    for (std::size_t k = 0; k < count; ++k) {
      const float* share = shares.data() + r * gates + k * anchors_;
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
