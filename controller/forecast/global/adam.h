#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace proteus::forecast::global {

/// Stochastic gradient descent with moments. Thread: owned by one.
/// Source: Adam, Kingma & Ba (2015), with decoupled weight decay per Loshchilov & Hutter (2019).
class Adam {
 public:
  explicit Adam(std::size_t parameters);
  /// One step. The gradient's norm is cut to `norm_max` first.
  void step(std::span<float> parameters, std::span<float> gradients, float rate, float weight_decay, float norm_max);

 private:
  std::vector<float> mean_;
  std::vector<float> square_;
  double mean_share_ = 1;    ///< beta1^t
  double square_share_ = 1;  ///< beta2^t
};

}  // namespace proteus::forecast::global
