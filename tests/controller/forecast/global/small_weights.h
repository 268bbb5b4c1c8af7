#pragma once

#include "controller/forecast/global/features.h"
#include "controller/forecast/global/mixture.h"
#include "controller/forecast/global/weights.h"

namespace proteus::forecast::global {

/// Untrained networks of the right form: they answer with the mean of their anchors.
inline Weights small_weights() {
  Weights weights;
  NetworkShape shape{.window_inputs = kWindowInputs,
                     .row_inputs = kStepInputs,
                     .hidden1 = 4,
                     .hidden2 = 3,
                     .outputs = static_cast<std::uint32_t>(Mixture(kStepAnchors).outputs())};
  weights.mlp.networks.push_back({shape, Network(shape).initial_parameters(1)});
  shape.lstm_hidden = 2;
  shape.lstm_inputs = kSequenceInputs;
  shape.lstm_steps = kSequenceSteps;
  weights.lstm.networks.push_back({shape, Network(shape).initial_parameters(2)});
  const NetworkShape max_shape{.window_inputs = kWindowInputs,
                               .row_inputs = kMaxInputs,
                               .hidden1 = 4,
                               .hidden2 = 3,
                               .outputs = static_cast<std::uint32_t>(Mixture(kMaxAnchors).outputs())};
  weights.maxima.networks.push_back({max_shape, Network(max_shape).initial_parameters(3)});
  for (Committee* committee : {&weights.mlp, &weights.lstm}) committee->calibration.assign(kBands, {1, 1, 1, 1, 1});
  weights.maxima.calibration.assign(kWindows.size(), {1, 1, 1, 1, 1});
  for (auto& band : weights.shares) band = {0.25F, 0.25F, 0.25F, 0.25F};
  weights.prices = {30, 300};
  return weights;
}

}  // namespace proteus::forecast::global
