#include "controller/forecast/global/mixture.h"

#include <algorithm>

namespace proteus::forecast::global {

namespace {

constexpr std::size_t kCount = kLevels.size();

}  // namespace

void Mixture::weigh(const ConstMatrix& outputs, std::vector<float>& weights) const {
  const std::size_t gates = kCount * anchors_;
  weights.assign(outputs.data, outputs.data + outputs.size());
  for (std::size_t r = 0; r < outputs.rows; ++r) {
    float* row = weights.data() + r * outputs.columns;
    float* last = row + gates + kCount;  // the shares of the anchor that knows of signals
    for (std::size_t k = 0; k < kCount; ++k) {
      float* share = row + k * anchors_;
      float top = *std::max_element(share, share + anchors_);
      if (with_signals_) {
        top = std::max(top, last[k]);
        last[k] -= top;
      }
      for (std::size_t j = 0; j < anchors_; ++j) share[j] -= top;
    }
    exponential({row, gates});
    if (with_signals_) exponential({last, kCount});
    for (std::size_t k = 0; k < kCount; ++k) {
      float* share = row + k * anchors_;
      float sum = 0;
      for (std::size_t j = 0; j < anchors_; ++j) sum += share[j];
      if (with_signals_) {
        sum += last[k];
        last[k] /= sum;
      }
      for (std::size_t j = 0; j < anchors_; ++j) share[j] /= sum;
    }
  }
}

void Mixture::mix(const float* weights, const Anchors& anchors, const Matrix& levels) const {
  const std::size_t gates = kCount * anchors_;
  for (std::size_t r = 0; r < levels.rows; ++r) {
    const float* weight = weights + r * outputs();
    const float* anchor = anchors.levels + r * gates;  // anchors × levels
    for (std::size_t k = 0; k < kCount; ++k) {
      float mixed = 0;
      for (std::size_t j = 0; j < anchors_; ++j) mixed += weight[k * anchors_ + j] * anchor[j * kCount + k];
      if (with_signals_) mixed += weight[gates + kCount + k] * anchors.signals[r * kCount + k];
      levels.data[r * kCount + k] = mixed + anchors.spread[r] * weight[gates + k];
    }
  }
}

void Mixture::gradient(const Anchors& anchors, const std::vector<float>& weights, const ConstMatrix& d_levels,
                       const Matrix& d_outputs) const {
  const std::size_t gates = kCount * anchors_;
  for (std::size_t r = 0; r < d_levels.rows; ++r) {
    const float* anchor = anchors.levels + r * gates;
    const float* weight = weights.data() + r * outputs();
    float* d_out = d_outputs.data + r * d_outputs.columns;
    for (std::size_t k = 0; k < kCount; ++k) {
      const float* share = weight + k * anchors_;
      const float d = d_levels.data[r * kCount + k];
      float mixed = 0;
      for (std::size_t j = 0; j < anchors_; ++j) mixed += share[j] * anchor[j * kCount + k];
      if (with_signals_) {
        const float last = weight[gates + kCount + k];
        const float from_signals = anchors.signals[r * kCount + k];
        mixed += last * from_signals;
        d_out[gates + kCount + k] = d * last * (from_signals - mixed);
      }
      for (std::size_t j = 0; j < anchors_; ++j) {
        d_out[k * anchors_ + j] = d * share[j] * (anchor[j * kCount + k] - mixed);
      }
      d_out[gates + k] = d * anchors.spread[r];
    }
  }
}

}  // namespace proteus::forecast::global
