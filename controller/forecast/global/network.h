#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "controller/forecast/global/lstm.h"
#include "controller/forecast/global/matrix.h"

namespace proteus::forecast::global {

/// Sizes of a Network. Inputs of a window are seen once, inputs of a row (a step ahead) once per row.
struct NetworkShape {
  std::uint32_t window_inputs = 0;
  std::uint32_t row_inputs = 0;
  std::uint32_t hidden1 = 0;
  std::uint32_t hidden2 = 0;
  std::uint32_t outputs = 0;
  std::uint32_t lstm_hidden = 0;  ///< 0: no LSTM
  std::uint32_t lstm_inputs = 0;
  std::uint32_t lstm_steps = 0;
  std::uint32_t signal_inputs = 0;   ///< of a row, about signals; 0: none
  std::uint32_t signal_outputs = 0;  ///< beside the others, where there are signals
  bool operator==(const NetworkShape&) const = default;
  std::size_t parameter_count() const;
  /// Those from here on are read only where there are signals.
  std::size_t signal_parameters_begin() const;
};

/// What a network reads: `windows` windows, each with the same number of rows.
struct NetworkInput {
  std::size_t windows = 0;
  std::size_t rows_per_window = 0;
  const float* window = nullptr;    ///< windows × window_inputs
  const float* rows = nullptr;      ///< (windows · rows_per_window) × row_inputs
  const float* sequence = nullptr;  ///< windows × (lstm_steps · lstm_inputs); unused without an LSTM
  const float* signals = nullptr;   ///< (windows · rows_per_window) × signal_inputs; null: without signals
};

/// Two rectified layers and a linear one over the inputs of window and row, and over what an LSTM has read of the
/// window's newest steps. Inputs about signals are added to the first layer where a row has them, and outputs beside
/// the others come of it; without them the network is the one that knows of none. The part of the first layer that
/// depends on the window alone is computed once for all its rows. Thread: owned by one (it keeps the activations of the
/// newest forward pass); parameters are the caller's.
class Network {
 public:
  explicit Network(const NetworkShape& shape);
  const NetworkShape& shape() const { return shape_; }

  /// He et al. (2015) for the rectified layers; the last layer starts near zero, so that a new network answers
  /// with the plain mean of what it is given to mix. The parameters for signals come of no draw: with_signals().
  std::vector<float> initial_parameters(std::uint32_t seed) const;
  /// Returns (windows · rows_per_window) × outputs (and signal_outputs, if the input has signals), valid until the next
  /// call.
  ConstMatrix forward(std::span<const float> parameters, const NetworkInput& input);
  /// After forward() with the same arguments: adds to `gradients` what d_all_outputs makes of them.
  void backward(std::span<const float> parameters, const NetworkInput& input, const ConstMatrix& d_all_outputs,
                std::span<float> gradients);

 private:
  NetworkShape shape_;
  std::optional<Lstm> lstm_;
  std::vector<float> from_window_;
  std::vector<float> hidden1_;
  std::vector<float> hidden2_;
  std::vector<float> outputs_;
  std::vector<float> signal_outputs_;
  std::vector<float> all_outputs_;
};

/// Parameters of the shape's network from those of the same network that knows of no signals: what signals add to the
/// first layer is nothing at first, and the outputs that they bring are `outputs_at`.
std::vector<float> with_signals(const NetworkShape& shape, std::span<const float> parameters, float outputs_at);

}  // namespace proteus::forecast::global
