#include "tests/bench/forecast/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "controller/forecast/global/trainer.h"
#include "tests/bench/forecast/calibrate.h"
#include "tests/bench/forecast/recipe.h"
#include "tests/bench/forecast/train_signals.h"
#include "tests/bench/forecast/training_data.h"

namespace proteus::bench {

using namespace forecast::global;

namespace {

constexpr std::size_t kCommittee = 2;     ///< networks of MLPs
constexpr std::size_t kMaxCommittee = 2;  ///< networks for the maxima
constexpr std::uint32_t kLstmHidden = 32;
/// What the LSTM must bring to the sum of the three bands' ln(loss) to take part: 1 % in each, for it makes a forecast
/// two fifths dearer.
constexpr double kLstmGain = 0.03;

std::vector<float> mean_answer(const std::vector<TrainedNetwork>& committee, const TrainingTask& task) {
  std::vector<float> sum;
  for (const TrainedNetwork& one : committee) {
    Network network(one.shape);
    const std::vector<float> levels = predict_all(network, one.parameters, task);
    sum.resize(levels.size(), 0.0F);
    for (std::size_t i = 0; i < levels.size(); ++i) sum[i] += levels[i] / static_cast<float>(committee.size());
  }
  return sum;
}

std::vector<float> anchor_levels(const TrainingSet& set, std::size_t anchor) {
  std::vector<float> levels;
  for (std::size_t row = 0; row < set.step_value.size(); ++row) {
    const float* from = set.steps.anchor.data() + (row * kStepAnchors + anchor) * kLevels.size();
    levels.insert(levels.end(), from, from + kLevels.size());
  }
  return levels;
}

std::vector<float> tops_of(const TrainingSet& set) {
  std::vector<float> tops;
  for (std::size_t w = 0; w < set.windows; ++w) {
    const float* future = set.future.data() + w * kHorizon;
    for (const std::size_t width : kWindows) tops.push_back(*std::max_element(future, future + width));
  }
  return tops;
}

}  // namespace

Result<Weights> train_weights(const DataSet& set, const TrainChoice& choice, const Log& log) {
  const std::vector<TrainingSeries> series = training_series(set);
  Result<Recipe> recipe = choose_recipe(set, series, choice, log);
  if (!recipe) return recipe.error();
  log("chosen: " + to_string(*recipe));
  Result<TrainingSet> learn = learning_set(series, choice.windows_per_series, recipe->mixed, choice.seed);
  if (!learn) return learn.error();
  Result<TrainingSet> check = validation_set(series, choice.seed);
  if (!check) return check.error();
  log(fmt::format("{} windows to learn from, {} to validate", learn->windows, check->windows));

  Weights weights;
  std::uint32_t seed = choice.seed;
  for (std::size_t n = 0; n < kCommittee; ++n, ++seed) {
    weights.mlp.networks.push_back(
        train_steps(*recipe, 0, *learn, *check, choice.epochs, seed, fmt::format("mlp {}", n + 1), log));
  }
  // An epoch of it takes as long as eight of an MLP's.
  weights.lstm.networks.push_back(
      train_steps(*recipe, kLstmHidden, *learn, *check, (choice.epochs + 2) / 3, seed, "lstm", log));
  const NetworkShape max_shape{.window_inputs = kWindowInputs,
                               .row_inputs = kMaxInputs,
                               .hidden1 = 48,
                               .hidden2 = 32,
                               .outputs = static_cast<std::uint32_t>(Mixture(kMaxAnchors).outputs())};
  TrainingOptions options{.epochs = choice.epochs / 2, .weight_decay = 0.05F, .swapped = recipe->swapped, .seed = seed};
  MaxObjective objective(*learn);
  const MaxObjective judge(*check);
  for (std::size_t n = 0; n < kMaxCommittee; ++n, ++options.seed) {
    Network network(max_shape);
    weights.maxima.networks.push_back(
        {max_shape, train(network, network.initial_parameters(options.seed), {*learn, learn->maxima}, objective,
                          {*check, check->maxima}, judge, options, [&](const Epoch& epoch) {
                            log(fmt::format("maxima {}: epoch {}, loss {:.4f}, validation score {:.4f}", n + 1,
                                            epoch.number, epoch.train_loss, epoch.score));
                          })});
  }

  std::array<std::vector<float>, kMembers> answers = {mean_answer(weights.mlp.networks, {*check, check->steps}),
                                                      mean_answer(weights.lstm.networks, {*check, check->steps}),
                                                      anchor_levels(*check, 0), anchor_levels(*check, 1)};
  const auto band = [&](std::size_t row) { return band_of(check->step_ahead[row]); };
  weights.mlp.calibration = calibrate({answers[0], check->step_value}, kBands, band);
  weights.lstm.calibration = calibrate({answers[1], check->step_value}, kBands, band);
  weights.maxima.calibration =
      calibrate({mean_answer(weights.maxima.networks, {*check, check->maxima}), tops_of(*check)}, kWindows.size(),
                [](std::size_t row) { return row % kWindows.size(); });
  const SharesFound with = find_shares(*check, answers);
  answers[static_cast<std::size_t>(Member::kLstm)].clear();
  const SharesFound without = find_shares(*check, answers);
  const bool earned = with.score < without.score - kLstmGain;
  log(fmt::format("ensemble score {:.4f} with the LSTM, {:.4f} without: {}", with.score, without.score,
                  earned ? "it takes part" : "it is left out"));
  weights.shares = earned ? with.shares : without.shares;
  for (const auto& shares : weights.shares) {
    log(fmt::format("shares: mlp {:.1f}, lstm {:.1f}, ar {:.1f}, seasonal_ar {:.1f}", shares[0], shares[1], shares[2],
                    shares[3]));
  }
  if (const Status taught = train_signals(weights, series, choice, log); !taught) return taught.error();
  auto prices = find_prices(series, weights);
  if (!prices) return prices.error();
  weights.prices = *prices;
  log(fmt::format("price of a step above the reservation: {:.3g} for the hour, {:.3g} for the day", weights.prices[0],
                  weights.prices[1]));
  return weights;
}

}  // namespace proteus::bench
