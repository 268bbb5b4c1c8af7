#include "controller/forecast/global/trainer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>

#include "controller/forecast/global/adam.h"

namespace proteus::forecast::global {

namespace {

bool sees_signals(const NetworkShape& shape, const TrainingTask& task) {
  return shape.signal_inputs > 0 && !task.rows.signal.empty();
}

/// The inputs of some windows, gathered in one place.
struct Batch {
  std::vector<float> window, sequence, rows, anchor_levels, spread, signals, signal_anchors;
  std::vector<float> swapped;

  void gather(const TrainingTask& task, std::span<const std::size_t> windows, const NetworkShape& shape) {
    const auto take = [&](const std::vector<float>& from, std::vector<float>& to) {
      const std::size_t size = from.size() / task.set.windows;
      to.resize(windows.size() * size);
      for (std::size_t i = 0; i < windows.size(); ++i) {
        std::copy_n(from.data() + windows[i] * size, size, to.data() + i * size);
      }
    };
    take(task.set.window, window);
    if (shape.lstm_hidden > 0) take(task.set.sequence, sequence);
    take(task.rows.input, rows);
    take(task.rows.anchor, anchor_levels);
    take(task.rows.spread, spread);
    if (!sees_signals(shape, task)) return;
    take(task.rows.signal, signals);
    take(task.rows.signal_anchor, signal_anchors);
  }

  /// Lets each window input be another window's with that chance.
  void swap_inputs(float share, std::size_t windows, std::mt19937& random) {
    const auto below = static_cast<std::uint32_t>(share * 4294967295.0F);
    const std::size_t inputs = window.size() / windows;
    swapped = window;
    for (std::size_t i = 0; i < window.size(); ++i) {
      if (random() < below) swapped[i] = window[random() % windows * inputs + i % inputs];
    }
    window.swap(swapped);
  }

  NetworkInput input(std::size_t windows, std::size_t rows_per_window) const {
    return {.windows = windows,
            .rows_per_window = rows_per_window,
            .window = window.data(),
            .rows = rows.data(),
            .sequence = sequence.data(),
            .signals = signals.empty() ? nullptr : signals.data()};
  }
  Anchors anchors() const {
    return {anchor_levels.data(), spread.data(), signal_anchors.empty() ? nullptr : signal_anchors.data()};
  }
};

}  // namespace

std::vector<float> predict_all(Network& network, std::span<const float> parameters, const TrainingTask& task) {
  constexpr std::size_t kAtOnce = 256;
  const Mixture mixture(task.rows.anchors, sees_signals(network.shape(), task));
  const std::size_t per = task.rows.per_window;
  std::vector<float> levels(task.set.windows * per * kLevels.size());
  std::vector<float> weights;
  std::vector<std::size_t> windows;
  Batch batch;
  for (std::size_t begin = 0; begin < task.set.windows; begin += kAtOnce) {
    windows.resize(std::min(kAtOnce, task.set.windows - begin));
    std::iota(windows.begin(), windows.end(), begin);
    batch.gather(task, windows, network.shape());
    const ConstMatrix outputs = network.forward(parameters, batch.input(windows.size(), per));
    mixture.weigh(outputs, weights);
    mixture.mix(weights.data(), batch.anchors(),
                {levels.data() + begin * per * kLevels.size(), windows.size() * per, kLevels.size()});
  }
  return levels;
}

std::vector<float> train(Network& network, std::vector<float> parameters, const TrainingTask& task,
                         Objective& objective, const TrainingTask& validation, const Objective& judge,
                         const TrainingOptions& options, const std::function<void(const Epoch&)>& progress) {
  constexpr float kNormMax = 1.0F;
  const Mixture mixture(task.rows.anchors, sees_signals(network.shape(), task));
  const std::size_t per = task.rows.per_window;
  const auto score_of = [&](std::span<const float> p) {
    const std::vector<float> levels = predict_all(network, p, validation);
    return judge.score({levels.data(), levels.size() / kLevels.size(), kLevels.size()});
  };
  std::vector<float> best = parameters;
  double best_score = score_of(parameters);
  int waited = 0;
  const std::span<float> learned = std::span(parameters).subspan(options.first_parameter);
  Adam adam(learned.size());
  std::vector<float> gradients(parameters.size());
  std::vector<float> weights;
  std::vector<float> levels;
  std::vector<float> d_levels;
  std::vector<float> d_outputs;
  Batch batch;
  std::mt19937 random(options.seed);
  std::vector<std::size_t> order(task.set.windows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t batches = (order.size() + options.batch_windows - 1) / options.batch_windows;
  for (int epoch = 1; epoch <= options.epochs && waited < options.patience; ++epoch) {
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    double sum = 0;
    for (std::size_t b = 0; b < batches; ++b) {
      const std::size_t begin = b * options.batch_windows;
      const std::span<const std::size_t> windows(order.data() + begin,
                                                 std::min(options.batch_windows, order.size() - begin));
      batch.gather(task, windows, network.shape());
      if (options.swapped > 0) batch.swap_inputs(options.swapped, windows.size(), random);
      const NetworkInput input = batch.input(windows.size(), per);
      const ConstMatrix outputs = network.forward(parameters, input);
      const std::size_t rows = outputs.rows;
      levels.resize(rows * kLevels.size());
      d_levels.resize(levels.size());
      d_outputs.resize(outputs.size());
      mixture.weigh(outputs, weights);
      mixture.mix(weights.data(), batch.anchors(), {levels.data(), rows, kLevels.size()});
      sum += objective.loss(windows, {levels.data(), rows, kLevels.size()}, {d_levels.data(), rows, kLevels.size()});
      mixture.gradient(batch.anchors(), weights, {d_levels.data(), rows, kLevels.size()},
                       {d_outputs.data(), rows, outputs.columns});
      std::fill(gradients.begin(), gradients.end(), 0.0F);
      network.backward(parameters, input, {d_outputs.data(), rows, outputs.columns}, gradients);
      const double done = (epoch - 1 + static_cast<double>(b) / static_cast<double>(batches)) / options.epochs;
      const double share = 0.02 + 0.98 * (1 + std::cos(std::numbers::pi * done)) / 2;
      adam.step(learned, std::span(gradients).subspan(options.first_parameter),
                options.rate * static_cast<float>(share), options.weight_decay, kNormMax);
    }
    const Epoch outcome{
        .number = epoch, .train_loss = sum / static_cast<double>(batches), .score = score_of(parameters)};
    if (progress) progress(outcome);
    ++waited;
    if (outcome.score < best_score) {
      best_score = outcome.score;
      best = parameters;
      waited = 0;
    }
  }
  return best;
}

}  // namespace proteus::forecast::global
