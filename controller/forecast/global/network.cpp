#include "controller/forecast/global/network.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace proteus::forecast::global {

namespace {

/// Where each part lies in the flat block of parameters.
struct Layout {
  explicit Layout(const NetworkShape& s)
      : window(0),
        memory(window + std::size_t{s.window_inputs} * s.hidden1),
        row(memory + std::size_t{s.lstm_hidden} * s.hidden1),
        bias1(row + std::size_t{s.row_inputs} * s.hidden1),
        layer2(bias1 + s.hidden1),
        bias2(layer2 + std::size_t{s.hidden1} * s.hidden2),
        layer3(bias2 + s.hidden2),
        bias3(layer3 + std::size_t{s.hidden2} * s.outputs),
        lstm(bias3 + s.outputs),
        signal(lstm + (s.lstm_hidden > 0 ? Lstm::parameter_count(s.lstm_inputs, s.lstm_hidden) : 0)),
        signal_layer(signal + std::size_t{s.signal_inputs} * s.hidden1),
        signal_bias(signal_layer + std::size_t{s.hidden2} * s.signal_outputs),
        end(signal_bias + s.signal_outputs) {}
  std::size_t window, memory, row, bias1, layer2, bias2, layer3, bias3, lstm;
  std::size_t signal, signal_layer, signal_bias, end;
};

}  // namespace

std::size_t NetworkShape::parameter_count() const {
  return Layout(*this).end;
}

std::size_t NetworkShape::signal_parameters_begin() const {
  return Layout(*this).signal;
}

std::vector<float> with_signals(const NetworkShape& shape, std::span<const float> parameters, float outputs_at) {
  const Layout at(shape);
  std::vector<float> result(at.end, 0.0F);
  std::copy_n(parameters.begin(), at.signal, result.begin());
  std::fill(result.begin() + static_cast<std::ptrdiff_t>(at.signal_bias), result.end(), outputs_at);
  return result;
}

Network::Network(const NetworkShape& shape) : shape_(shape) {
  if (shape.lstm_hidden > 0) lstm_.emplace(shape.lstm_inputs, shape.lstm_hidden, shape.lstm_steps);
}

std::vector<float> Network::initial_parameters(std::uint32_t seed) const {
  const Layout at(shape_);
  std::mt19937 random(seed);
  std::vector<float> parameters(at.end, 0.0F);
  const auto fill = [&](std::size_t from, std::size_t to, double deviation) {
    std::normal_distribution<float> normal(0.0F, static_cast<float>(deviation));
    for (std::size_t i = from; i < to; ++i) parameters[i] = normal(random);
  };
  const double inputs = shape_.window_inputs + shape_.row_inputs + shape_.lstm_hidden;
  fill(at.window, at.bias1, std::sqrt(2.0 / inputs));
  fill(at.layer2, at.bias2, std::sqrt(2.0 / shape_.hidden1));
  fill(at.layer3, at.bias3, 0.1 * std::sqrt(1.0 / shape_.hidden2));
  if (lstm_) lstm_->initialise(std::span(parameters).subspan(at.lstm, at.signal - at.lstm), random);
  return parameters;
}

ConstMatrix Network::forward(std::span<const float> parameters, const NetworkInput& input) {
  const Layout at(shape_);
  const float* p = parameters.data();
  const std::size_t rows = input.windows * input.rows_per_window;
  from_window_.resize(input.windows * shape_.hidden1);
  hidden1_.resize(rows * shape_.hidden1);
  hidden2_.resize(rows * shape_.hidden2);
  outputs_.resize(rows * shape_.outputs);

  const Matrix from_window{from_window_.data(), input.windows, shape_.hidden1};
  multiply({input.window, input.windows, shape_.window_inputs}, Transpose::kNo,
           {p + at.window, shape_.window_inputs, shape_.hidden1}, Transpose::kNo, 0, from_window);
  if (lstm_) {
    const ConstMatrix memory =
        lstm_->forward(parameters.subspan(at.lstm),
                       {input.sequence, input.windows, std::size_t{shape_.lstm_steps} * shape_.lstm_inputs});
    multiply(memory, Transpose::kNo, {p + at.memory, shape_.lstm_hidden, shape_.hidden1}, Transpose::kNo, 1,
             from_window);
  }
  add_to_rows(from_window, parameters.subspan(at.bias1, shape_.hidden1));

  const Matrix hidden1{hidden1_.data(), rows, shape_.hidden1};
  for (std::size_t r = 0; r < rows; ++r) {
    std::copy_n(from_window.data + r / input.rows_per_window * shape_.hidden1, shape_.hidden1,
                hidden1.data + r * shape_.hidden1);
  }
  multiply({input.rows, rows, shape_.row_inputs}, Transpose::kNo, {p + at.row, shape_.row_inputs, shape_.hidden1},
           Transpose::kNo, 1, hidden1);
  if (input.signals != nullptr) {
    multiply({input.signals, rows, shape_.signal_inputs}, Transpose::kNo,
             {p + at.signal, shape_.signal_inputs, shape_.hidden1}, Transpose::kNo, 1, hidden1);
  }
  rectify(hidden1);
  const Matrix hidden2{hidden2_.data(), rows, shape_.hidden2};
  multiply(hidden1, Transpose::kNo, {p + at.layer2, shape_.hidden1, shape_.hidden2}, Transpose::kNo, 0, hidden2);
  add_to_rows(hidden2, parameters.subspan(at.bias2, shape_.hidden2));
  rectify(hidden2);
  const Matrix outputs{outputs_.data(), rows, shape_.outputs};
  multiply(hidden2, Transpose::kNo, {p + at.layer3, shape_.hidden2, shape_.outputs}, Transpose::kNo, 0, outputs);
  add_to_rows(outputs, parameters.subspan(at.bias3, shape_.outputs));
  if (input.signals == nullptr) return outputs;

  signal_outputs_.resize(rows * shape_.signal_outputs);
  const Matrix of_signals{signal_outputs_.data(), rows, shape_.signal_outputs};
  multiply(hidden2, Transpose::kNo, {p + at.signal_layer, shape_.hidden2, shape_.signal_outputs}, Transpose::kNo, 0,
           of_signals);
  add_to_rows(of_signals, parameters.subspan(at.signal_bias, shape_.signal_outputs));
  const std::size_t columns = outputs.columns + of_signals.columns;
  all_outputs_.resize(rows * columns);
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = all_outputs_.data() + r * columns;
    std::copy_n(outputs.data + r * outputs.columns, outputs.columns, row);
    std::copy_n(of_signals.data + r * of_signals.columns, of_signals.columns, row + outputs.columns);
  }
  return {all_outputs_.data(), rows, columns};
}

void Network::backward(std::span<const float> parameters, const NetworkInput& input, const ConstMatrix& d_all_outputs,
                       std::span<float> gradients) {
  const Layout at(shape_);
  const float* p = parameters.data();
  float* g = gradients.data();
  const std::size_t rows = d_all_outputs.rows;
  std::vector<float> d_plain;
  std::vector<float> d_signals;
  for (std::size_t r = 0; input.signals != nullptr && r < rows; ++r) {
    const float* row = d_all_outputs.data + r * d_all_outputs.columns;
    d_plain.insert(d_plain.end(), row, row + shape_.outputs);
    d_signals.insert(d_signals.end(), row + shape_.outputs, row + d_all_outputs.columns);
  }
  const ConstMatrix d_outputs =
      input.signals == nullptr ? d_all_outputs : ConstMatrix(d_plain.data(), rows, shape_.outputs);
  const ConstMatrix hidden1(hidden1_.data(), rows, shape_.hidden1);
  const ConstMatrix hidden2(hidden2_.data(), rows, shape_.hidden2);

  multiply(hidden2, Transpose::kYes, d_outputs, Transpose::kNo, 1, {g + at.layer3, shape_.hidden2, shape_.outputs});
  add_column_sums(d_outputs, gradients.subspan(at.bias3, shape_.outputs));
  std::vector<float> d2(hidden2.size());
  const Matrix d_hidden2{d2.data(), rows, shape_.hidden2};
  multiply(d_outputs, Transpose::kNo, {p + at.layer3, shape_.hidden2, shape_.outputs}, Transpose::kYes, 0, d_hidden2);
  if (input.signals != nullptr) {
    const ConstMatrix d_of_signals(d_signals.data(), rows, shape_.signal_outputs);
    multiply(hidden2, Transpose::kYes, d_of_signals, Transpose::kNo, 1,
             {g + at.signal_layer, shape_.hidden2, shape_.signal_outputs});
    add_column_sums(d_of_signals, gradients.subspan(at.signal_bias, shape_.signal_outputs));
    multiply(d_of_signals, Transpose::kNo, {p + at.signal_layer, shape_.hidden2, shape_.signal_outputs},
             Transpose::kYes, 1, d_hidden2);
  }
  rectify_gradient(hidden2, d_hidden2);

  multiply(hidden1, Transpose::kYes, d_hidden2, Transpose::kNo, 1, {g + at.layer2, shape_.hidden1, shape_.hidden2});
  add_column_sums(d_hidden2, gradients.subspan(at.bias2, shape_.hidden2));
  std::vector<float> d1(hidden1.size());
  const Matrix d_hidden1{d1.data(), rows, shape_.hidden1};
  multiply(d_hidden2, Transpose::kNo, {p + at.layer2, shape_.hidden1, shape_.hidden2}, Transpose::kYes, 0, d_hidden1);
  rectify_gradient(hidden1, d_hidden1);

  multiply({input.rows, rows, shape_.row_inputs}, Transpose::kYes, d_hidden1, Transpose::kNo, 1,
           {g + at.row, shape_.row_inputs, shape_.hidden1});
  if (input.signals != nullptr) {
    multiply({input.signals, rows, shape_.signal_inputs}, Transpose::kYes, d_hidden1, Transpose::kNo, 1,
             {g + at.signal, shape_.signal_inputs, shape_.hidden1});
  }
  std::vector<float> dw(input.windows * shape_.hidden1, 0.0F);
  const Matrix d_window{dw.data(), input.windows, shape_.hidden1};
  for (std::size_t w = 0; w < input.windows; ++w) {
    const std::size_t block = input.rows_per_window * shape_.hidden1;
    add_column_sums({d1.data() + w * block, input.rows_per_window, shape_.hidden1},
                    {dw.data() + w * shape_.hidden1, shape_.hidden1});
  }
  multiply({input.window, input.windows, shape_.window_inputs}, Transpose::kYes, d_window, Transpose::kNo, 1,
           {g + at.window, shape_.window_inputs, shape_.hidden1});
  add_column_sums(d_window, gradients.subspan(at.bias1, shape_.hidden1));
  if (!lstm_) return;
  const ConstMatrix sequences(input.sequence, input.windows, std::size_t{shape_.lstm_steps} * shape_.lstm_inputs);
  const ConstMatrix memory = lstm_->state();
  multiply(memory, Transpose::kYes, d_window, Transpose::kNo, 1, {g + at.memory, shape_.lstm_hidden, shape_.hidden1});
  std::vector<float> dm(input.windows * shape_.lstm_hidden);
  const Matrix d_memory{dm.data(), input.windows, shape_.lstm_hidden};
  multiply(d_window, Transpose::kNo, {p + at.memory, shape_.lstm_hidden, shape_.hidden1}, Transpose::kYes, 0, d_memory);
  lstm_->backward(parameters.subspan(at.lstm), sequences, d_memory, gradients.subspan(at.lstm));
}

}  // namespace proteus::forecast::global
