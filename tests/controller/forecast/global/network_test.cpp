#include "controller/forecast/global/network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "controller/forecast/global/mixture.h"
#include "controller/forecast/global/trainer.h"

namespace proteus::forecast::global {
namespace {

constexpr std::size_t kAnchors = 3;

/// Random inputs for a network and the mixture behind it.
struct Problem {
  explicit Problem(std::uint32_t lstm_hidden, bool with_signals = false)
      : shape{.window_inputs = 4,
              .row_inputs = 3,
              .hidden1 = 7,
              .hidden2 = 6,
              .outputs = static_cast<std::uint32_t>(Mixture(kAnchors).outputs()),
              .lstm_hidden = lstm_hidden,
              .lstm_inputs = lstm_hidden > 0 ? 2U : 0U,
              .lstm_steps = lstm_hidden > 0 ? 5U : 0U,
              .signal_inputs = with_signals ? 2U : 0U,
              .signal_outputs = with_signals ? static_cast<std::uint32_t>(kLevels.size()) : 0U},
        mixture(kAnchors, with_signals) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& values, std::size_t count) {
      values.resize(count);
      for (float& value : values) value = normal(random);
    };
    fill(window, kWindowCount * shape.window_inputs);
    fill(rows, kRows * shape.row_inputs);
    fill(sequence, kWindowCount * shape.lstm_steps * shape.lstm_inputs);
    fill(anchors, kRows * kAnchors * kLevels.size());
    fill(spread, kRows);
    fill(pull, kRows * kLevels.size());
    if (!with_signals) return;
    fill(signals, kRows * shape.signal_inputs);
    fill(signal_anchors, kRows * kLevels.size());
  }

  /// A smooth function of the levels: sum of pull · level + level² / 2.
  double loss(const std::vector<float>& parameters) {
    Network network(shape);
    std::vector<float> weights;
    std::vector<float> levels(kRows * kLevels.size());
    mixture.weigh(network.forward(parameters, input()), weights);
    mixture.mix(weights.data(), anchors_of_rows(), {levels.data(), kRows, kLevels.size()});
    double sum = 0;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      sum += static_cast<double>(pull[i]) * levels[i] + 0.5 * static_cast<double>(levels[i]) * levels[i];
    }
    return sum;
  }

  std::vector<float> gradient(const std::vector<float>& parameters) {
    Network network(shape);
    std::vector<float> weights;
    std::vector<float> levels(kRows * kLevels.size());
    mixture.weigh(network.forward(parameters, input()), weights);
    mixture.mix(weights.data(), anchors_of_rows(), {levels.data(), kRows, kLevels.size()});
    for (std::size_t i = 0; i < levels.size(); ++i) levels[i] += pull[i];
    std::vector<float> d_outputs(kRows * mixture.outputs());
    mixture.gradient(anchors_of_rows(), weights, {levels.data(), kRows, kLevels.size()},
                     {d_outputs.data(), kRows, mixture.outputs()});
    std::vector<float> gradients(parameters.size(), 0.0F);
    network.backward(parameters, input(), {d_outputs.data(), kRows, mixture.outputs()}, gradients);
    return gradients;
  }

  NetworkInput input() const {
    return {.windows = kWindowCount,
            .rows_per_window = kRows / kWindowCount,
            .window = window.data(),
            .rows = rows.data(),
            .sequence = sequence.data(),
            .signals = signals.empty() ? nullptr : signals.data()};
  }
  Anchors anchors_of_rows() const {
    return {anchors.data(), spread.data(), signal_anchors.empty() ? nullptr : signal_anchors.data()};
  }

  static constexpr std::size_t kWindowCount = 4;
  static constexpr std::size_t kRows = 12;
  NetworkShape shape;
  Mixture mixture;
  std::vector<float> window, rows, sequence, anchors, spread, pull, signals, signal_anchors;
};

void expect_gradient_matches_differences(std::uint32_t lstm_hidden, bool with_signals = false) {
  Problem problem(lstm_hidden, with_signals);
  std::vector<float> parameters = Network(problem.shape).initial_parameters(11);
  std::mt19937 random(13);
  std::normal_distribution<float> normal(0, 0.5F);
  for (std::size_t i = problem.shape.signal_parameters_begin(); i < parameters.size(); ++i) {
    parameters[i] = normal(random);
  }
  const std::vector<float> gradient = problem.gradient(parameters);
  double squares = 0;
  double error_squares = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    constexpr float kStep = 1e-3F;
    std::vector<float> moved = parameters;
    moved[i] = parameters[i] + kStep;
    const double above = problem.loss(moved);
    moved[i] = parameters[i] - kStep;
    const double numeric = (above - problem.loss(moved)) / (2 * static_cast<double>(kStep));
    squares += numeric * numeric;
    error_squares += (numeric - gradient[i]) * (numeric - gradient[i]);
    EXPECT_NEAR(gradient[i], numeric, 0.02 + 0.02 * std::abs(numeric)) << "parameter " << i;
  }
  EXPECT_GT(squares, 1);
  EXPECT_LT(std::sqrt(error_squares / squares), 1e-2);
}

TEST(Network, GradientOfTheMlpMatchesDifferences) {
  expect_gradient_matches_differences(0);
}

TEST(Network, GradientThroughTheLstmMatchesDifferences) {
  expect_gradient_matches_differences(5);
}

TEST(Network, GradientsThroughSignalsMatchDifferences) {
  expect_gradient_matches_differences(0, true);
  expect_gradient_matches_differences(5, true);
}

TEST(Network, ThatKnowsOfSignalsAnswersAsBeforeWithoutThem) {
  Problem blind(5);
  const std::vector<float> parameters = Network(blind.shape).initial_parameters(11);
  NetworkShape shape = blind.shape;
  shape.signal_inputs = 2;
  shape.signal_outputs = kLevels.size();
  const std::vector<float> more = with_signals(shape, parameters, -2);
  EXPECT_EQ(more.size(), shape.parameter_count());
  Network before(blind.shape);
  Network after(shape);
  const ConstMatrix a = before.forward(parameters, blind.input());
  const ConstMatrix b = after.forward(more, blind.input());
  ASSERT_EQ(a.size(), b.size());
  EXPECT_TRUE(std::equal(a.data, a.data + a.size(), b.data));
}

/// A set in which the right answer is the second anchor where the window's input is positive, else the first.
TrainingSet switching_set(std::size_t windows, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  TrainingSet set;
  set.windows = windows;
  set.steps = {.per_window = 1, .inputs = 1, .anchors = 2, .input = {}, .anchor = {}, .spread = {}};
  for (std::size_t w = 0; w < windows; ++w) {
    set.series.push_back(static_cast<std::uint32_t>(w % 10));
    set.window.push_back(normal(random));
    set.steps.input.push_back(0);
    for (const float anchor : {-1.0F, 1.0F}) set.steps.anchor.insert(set.steps.anchor.end(), kLevels.size(), anchor);
    set.steps.spread.push_back(0.1F);
    set.step_ahead.push_back(1);
    set.step_value.push_back(std::sinh(set.window.back() > 0 ? 1.0F : -1.0F));
    set.unit.push_back(1);
  }
  return set;
}

TEST(Trainer, LearnsWhichAnchorToTrustAndRepeatsItself) {
  const TrainingSet learn = switching_set(400, 1);
  const TrainingSet check = switching_set(200, 2);
  Network network({.window_inputs = 1,
                   .row_inputs = 1,
                   .hidden1 = 8,
                   .hidden2 = 8,
                   .outputs = static_cast<std::uint32_t>(Mixture(2).outputs())});
  StepObjective objective(learn);
  const StepObjective judge(check);
  std::vector<double> scores;
  const auto run = [&] {
    return train(network, network.initial_parameters(5), {learn, learn.steps}, objective, {check, check.steps}, judge,
                 {.epochs = 40, .patience = 40, .batch_windows = 32, .rate = 0.01F},
                 [&](const Epoch& epoch) { scores.push_back(epoch.score); });
  };
  const std::vector<float> first = run();
  const std::vector<float> untrained = predict_all(network, network.initial_parameters(5), {check, check.steps});
  const std::vector<float> trained = predict_all(network, first, {check, check.steps});
  const double before = judge.score({untrained.data(), untrained.size() / kLevels.size(), kLevels.size()});
  const double after = judge.score({trained.data(), trained.size() / kLevels.size(), kLevels.size()});
  EXPECT_LT(after, before - 1.5) << "a loss less than a quarter of that of the untrained network";
  EXPECT_EQ(after, *std::min_element(scores.begin(), scores.end())) << "the best epoch is kept";
  EXPECT_EQ(first, run());
}

}  // namespace
}  // namespace proteus::forecast::global
