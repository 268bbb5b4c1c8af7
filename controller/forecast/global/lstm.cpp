#include "controller/forecast/global/lstm.h"

#include <algorithm>
#include <cmath>

namespace proteus::forecast::global {

Lstm::Lstm(std::size_t inputs, std::size_t hidden, std::size_t steps)
    : inputs_(inputs), hidden_(hidden), steps_(steps) {}

std::size_t Lstm::parameter_count(std::size_t inputs, std::size_t hidden) {
  return (inputs + hidden + 1) * 4 * hidden;
}

void Lstm::initialise(std::span<float> parameters, std::mt19937& random) const {
  const float bound = 1.0F / std::sqrt(static_cast<float>(hidden_));
  std::uniform_real_distribution<float> uniform(-bound, bound);
  for (float& p : parameters) p = uniform(random);
  const auto bias = parameters.subspan((inputs_ + hidden_) * 4 * hidden_);
  std::fill(bias.begin(), bias.end(), 0.0F);
  std::fill_n(bias.begin() + static_cast<std::ptrdiff_t>(hidden_), hidden_, 1.0F);
}

ConstMatrix Lstm::forward(std::span<const float> parameters, const ConstMatrix& sequences) {
  const std::size_t batch = sequences.rows;
  const std::size_t wide = 4 * hidden_;
  const ConstMatrix input_weights(parameters.data(), inputs_, wide);
  const ConstMatrix state_weights(parameters.data() + inputs_ * wide, hidden_, wide);
  const auto bias = parameters.subspan((inputs_ + hidden_) * wide, wide);
  const std::size_t block = batch * hidden_;
  x_.resize(batch * inputs_);
  gates_.resize(steps_ * batch * wide);
  cells_.assign((steps_ + 1) * block, 0.0F);
  hidden_states_.assign((steps_ + 1) * block, 0.0F);
  cell_tanh_.resize(steps_ * block);
  for (std::size_t t = 0; t < steps_; ++t) {
    for (std::size_t b = 0; b < batch; ++b) {
      std::copy_n(sequences.data + b * sequences.columns + t * inputs_, inputs_, x_.data() + b * inputs_);
    }
    const Matrix gates{gates_.data() + t * batch * wide, batch, wide};
    multiply({x_.data(), batch, inputs_}, Transpose::kNo, input_weights, Transpose::kNo, 0, gates);
    if (t > 0) {
      multiply({hidden_states_.data() + t * block, batch, hidden_}, Transpose::kNo, state_weights, Transpose::kNo, 1,
               gates);
    }
    add_to_rows(gates, bias);
    float* new_cells = cells_.data() + (t + 1) * block;
    const float* old_cells = cells_.data() + t * block;
    for (std::size_t b = 0; b < batch; ++b) {
      float* gate = gates.data + b * wide;
      logistic({gate, 3 * hidden_});
      hyperbolic_tangent({gate + 3 * hidden_, hidden_});
      for (std::size_t j = 0; j < hidden_; ++j) {
        const std::size_t at = b * hidden_ + j;
        new_cells[at] = gate[hidden_ + j] * old_cells[at] + gate[j] * gate[3 * hidden_ + j];
      }
    }
    float* squashed = cell_tanh_.data() + t * block;
    std::copy_n(new_cells, block, squashed);
    hyperbolic_tangent({squashed, block});
    float* state = hidden_states_.data() + (t + 1) * block;
    for (std::size_t b = 0; b < batch; ++b) {
      const float* output_gate = gates.data + b * wide + 2 * hidden_;
      for (std::size_t j = 0; j < hidden_; ++j) {
        state[b * hidden_ + j] = output_gate[j] * squashed[b * hidden_ + j];
      }
    }
  }
  batch_ = batch;
  return state();
}

ConstMatrix Lstm::state() const {
  return {hidden_states_.data() + steps_ * batch_ * hidden_, batch_, hidden_};
}

void Lstm::backward(std::span<const float> parameters, const ConstMatrix& sequences, const ConstMatrix& d_hidden,
                    std::span<float> gradients) {
  const std::size_t batch = sequences.rows;
  const std::size_t wide = 4 * hidden_;
  const std::size_t block = batch * hidden_;
  const ConstMatrix state_weights(parameters.data() + inputs_ * wide, hidden_, wide);
  const Matrix d_input_weights{gradients.data(), inputs_, wide};
  const Matrix d_state_weights{gradients.data() + inputs_ * wide, hidden_, wide};
  const auto d_bias = gradients.subspan((inputs_ + hidden_) * wide, wide);
  std::vector<float> d_state(d_hidden.data, d_hidden.data + block);
  std::vector<float> d_cell(block, 0.0F);
  std::vector<float> d_gates(batch * wide);
  for (std::size_t t = steps_; t-- > 0;) {
    const float* squashed = cell_tanh_.data() + t * block;
    const float* old_cells = cells_.data() + t * block;
    for (std::size_t b = 0; b < batch; ++b) {
      const float* gate = gates_.data() + (t * batch + b) * wide;
      float* d_gate = d_gates.data() + b * wide;
      for (std::size_t j = 0; j < hidden_; ++j) {
        const std::size_t at = b * hidden_ + j;
        const float in = gate[j];
        const float forget = gate[hidden_ + j];
        const float out = gate[2 * hidden_ + j];
        const float candidate = gate[3 * hidden_ + j];
        const float dc = d_cell[at] + d_state[at] * out * (1 - squashed[at] * squashed[at]);
        d_gate[j] = dc * candidate * in * (1 - in);
        d_gate[hidden_ + j] = dc * old_cells[at] * forget * (1 - forget);
        d_gate[2 * hidden_ + j] = d_state[at] * squashed[at] * out * (1 - out);
        d_gate[3 * hidden_ + j] = dc * in * (1 - candidate * candidate);
        d_cell[at] = dc * forget;
      }
      std::copy_n(sequences.data + b * sequences.columns + t * inputs_, inputs_, x_.data() + b * inputs_);
    }
    const ConstMatrix d(d_gates.data(), batch, wide);
    multiply({x_.data(), batch, inputs_}, Transpose::kYes, d, Transpose::kNo, 1, d_input_weights);
    multiply({hidden_states_.data() + t * block, batch, hidden_}, Transpose::kYes, d, Transpose::kNo, 1,
             d_state_weights);
    add_column_sums(d, d_bias);
    multiply(d, Transpose::kNo, state_weights, Transpose::kYes, 0, {d_state.data(), batch, hidden_});
  }
}

}  // namespace proteus::forecast::global
