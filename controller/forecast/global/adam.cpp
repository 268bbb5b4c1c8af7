#include "controller/forecast/global/adam.h"

#include <cmath>

namespace proteus::forecast::global {

Adam::Adam(std::size_t parameters) : mean_(parameters, 0.0F), square_(parameters, 0.0F) {}

void Adam::step(std::span<float> parameters, std::span<float> gradients, float rate, float weight_decay,
                float norm_max) {
  constexpr float kMean = 0.9F;
  constexpr float kSquare = 0.999F;
  double norm = 0;
  for (const float g : gradients) norm += static_cast<double>(g) * g;
  norm = std::sqrt(norm);
  const float cut = norm > norm_max ? static_cast<float>(norm_max / norm) : 1.0F;
  mean_share_ *= kMean;
  square_share_ *= kSquare;
  const auto mean_scale = static_cast<float>(1 / (1 - mean_share_));
  const auto square_scale = static_cast<float>(1 / (1 - square_share_));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const float g = gradients[i] * cut;
    mean_[i] = kMean * mean_[i] + (1 - kMean) * g;
    square_[i] = kSquare * square_[i] + (1 - kSquare) * g * g;
    const float move = mean_[i] * mean_scale / (std::sqrt(square_[i] * square_scale) + 1e-8F);
    parameters[i] -= rate * (move + weight_decay * parameters[i]);
  }
}

}  // namespace proteus::forecast::global
