#pragma once

#include <cstddef>
#include <random>
#include <span>
#include <vector>

#include "controller/forecast/global/matrix.h"

namespace proteus::forecast::global {

/// A long short-term memory that reads a batch of sequences and leaves its last hidden state.
/// Parameters lie in one flat block: the input matrix (inputs × 4·hidden), the recurrent one (hidden × 4·hidden)
/// and the bias (4·hidden), gates in the order input, forget, output, candidate.
/// Thread: owned by one (it keeps the activations of the newest forward pass).
/// Source: Hochreiter & Schmidhuber (1997), forget gate per Gers et al. (2000); backpropagation through time.
class Lstm {
 public:
  Lstm(std::size_t inputs, std::size_t hidden, std::size_t steps);
  static std::size_t parameter_count(std::size_t inputs, std::size_t hidden);
  /// Uniform by fan-in; the forget gates start open.
  void initialise(std::span<float> parameters, std::mt19937& random) const;

  /// sequences: batch × (steps · inputs), oldest step first. Returns batch × hidden, valid until the next call.
  ConstMatrix forward(std::span<const float> parameters, const ConstMatrix& sequences);
  /// What the newest forward() returned.
  ConstMatrix state() const;
  /// After forward() with the same arguments: adds to `gradients` what d_hidden (batch × hidden) makes of them.
  void backward(std::span<const float> parameters, const ConstMatrix& sequences, const ConstMatrix& d_hidden,
                std::span<float> gradients);

 private:
  std::size_t inputs_;
  std::size_t hidden_;
  std::size_t steps_;
  std::size_t batch_ = 0;
  std::vector<float> x_;              ///< one step's inputs, batch × inputs
  std::vector<float> gates_;          ///< per step: batch × 4·hidden, activated
  std::vector<float> cells_;          ///< per step (and a first of zeros): batch × hidden
  std::vector<float> hidden_states_;  ///< likewise
  std::vector<float> cell_tanh_;      ///< per step: batch × hidden
};

}  // namespace proteus::forecast::global
