#include "tests/bench/forecast/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "controller/forecast/global/mixture.h"
#include "controller/forecast/global/objective.h"
#include "controller/forecast/global/trainer.h"
#include "tests/bench/forecast/folds.h"
#include "tests/bench/forecast/mixed_series.h"

namespace proteus::bench {

using namespace forecast::global;

namespace {

constexpr std::size_t kFolds = 3;
constexpr double kEqual = 0.01;  ///< difference of sums of ln(loss) that is none
/// Larger networks do a little better still, but a forecast is to cost 2 ms.
constexpr std::array<Recipe, 3> kRecipes = {
    {{96, 64, 0.02F, 0.0F, false}, {96, 64, 0.05F, 0.2F, true}, {112, 80, 0.05F, 0.2F, true}}};

NetworkShape shape_of(const Recipe& recipe, std::uint32_t lstm_hidden) {
  NetworkShape shape{.window_inputs = kWindowInputs,
                     .row_inputs = kStepInputs,
                     .hidden1 = recipe.hidden1,
                     .hidden2 = recipe.hidden2,
                     .outputs = static_cast<std::uint32_t>(Mixture(kStepAnchors).outputs())};
  if (lstm_hidden > 0) {
    shape.lstm_hidden = lstm_hidden;
    shape.lstm_inputs = kSequenceInputs;
    shape.lstm_steps = kSequenceSteps;
  }
  return shape;
}

}  // namespace

std::string to_string(const Recipe& recipe) {
  return fmt::format("{}-{}, decay {}, swapped {}, {}", recipe.hidden1, recipe.hidden2, recipe.weight_decay,
                     recipe.swapped, recipe.mixed ? "mixed series" : "real series only");
}

Result<TrainingSet> learning_set(const std::vector<TrainingSeries>& series, std::size_t windows_per_series, bool mixed,
                                 std::uint32_t seed) {
  const WindowChoice windows{.skip_newest = kValidation, .per_series = windows_per_series, .seed = seed};
  Result<TrainingSet> learn = cut_windows(series, windows);
  if (!learn || !mixed) return learn;
  const MixedSeries more =
      mix_series(series, static_cast<std::size_t>(kMixedShare * static_cast<double>(series.size())), seed);
  const Result<TrainingSet> of_mixed = cut_windows(more.series, windows);
  if (!of_mixed) return of_mixed.error();
  append(*learn, *of_mixed, static_cast<std::uint32_t>(series.size()));
  return learn;
}

Result<TrainingSet> validation_set(const std::vector<TrainingSeries>& series, std::uint32_t seed) {
  return cut_windows(series,
                     {.span = 2 * kDay, .per_series = 8, .steps_per_hour = 6, .steps_per_day = 16, .seed = seed});
}

TrainedNetwork train_steps(const Recipe& recipe, std::uint32_t lstm_hidden, const TrainingSet& learn,
                           const TrainingSet& check, int epochs, std::uint32_t seed, const std::string& what,
                           const Log& log) {
  const NetworkShape shape = shape_of(recipe, lstm_hidden);
  Network network(shape);
  StepObjective objective(learn);
  const StepObjective judge(check);
  const TrainingOptions options{.epochs = epochs,
                                .patience = epochs,
                                .rate = kRate,
                                .weight_decay = recipe.weight_decay,
                                .swapped = recipe.swapped,
                                .seed = seed};
  std::vector<float> parameters = train(network, network.initial_parameters(seed), {learn, learn.steps}, objective,
                                        {check, check.steps}, judge, options, [&](const Epoch& epoch) {
                                          log(fmt::format("{}: epoch {}, loss {:.4f}, validation score {:.4f}", what,
                                                          epoch.number, epoch.train_loss, epoch.score));
                                        });
  return {shape, std::move(parameters)};
}

Result<Recipe> choose_recipe(const DataSet& set, const std::vector<TrainingSeries>& series, const TrainChoice& choice,
                             const Log& log) {
  const std::vector<std::size_t> folds = folds_of(set, kFolds);
  const Result<TrainingSet> everywhere =
      cut_windows(series, {.per_series = 24, .steps_per_hour = 6, .steps_per_day = 16, .seed = choice.seed});
  if (!everywhere) return everywhere.error();
  std::array<std::array<double, kBands>, kRecipes.size()> scores{};
  for (std::size_t fold = 0; fold < kFolds; ++fold) {
    std::vector<TrainingSeries> seen;
    std::vector<bool> unseen(series.size());
    for (std::size_t i = 0; i < series.size(); ++i) {
      unseen[i] = folds[i] == fold;
      if (!unseen[i]) seen.push_back(series[i]);
    }
    const Result<TrainingSet> learn = learning_set(seen, choice.windows_per_series / 2, true, choice.seed);
    if (!learn) return learn.error();
    std::vector<bool> real(*std::max_element(learn->series.begin(), learn->series.end()) + std::size_t{1});
    std::fill_n(real.begin(), seen.size(), true);
    const TrainingSet learn_real = windows_of(*learn, real);
    const Result<TrainingSet> check = validation_set(seen, choice.seed);
    if (!check) return check.error();
    const TrainingSet test = windows_of(*everywhere, unseen);
    const StepObjective judge(test);
    const double share = static_cast<double>(series.size() - seen.size()) / static_cast<double>(series.size());
    for (std::size_t r = 0; r < kRecipes.size(); ++r) {
      const TrainedNetwork made = train_steps(kRecipes[r], 0, kRecipes[r].mixed ? *learn : learn_real, *check,
                                              choice.epochs, choice.seed, "", [](const std::string&) {});
      Network network(made.shape);
      const std::vector<float> levels = predict_all(network, made.parameters, {test, test.steps});
      const auto bands = judge.band_scores({levels.data(), levels.size() / kLevels.size(), kLevels.size()});
      for (std::size_t b = 0; b < kBands; ++b) scores[r][b] += share * bands[b];
      log(fmt::format("fold {}, {}: {:.4f} {:.4f} {:.4f}", fold + 1, to_string(kRecipes[r]), bands[0], bands[1],
                      bands[2]));
    }
  }
  std::array<double, kRecipes.size()> sums{};
  for (std::size_t r = 0; r < kRecipes.size(); ++r) {
    sums[r] = scores[r][0] + scores[r][1] + scores[r][2];
    log(fmt::format("VMs not seen, {}: ln(loss) of the next step {:.4f}, of the hour {:.4f}, of the day {:.4f}",
                    to_string(kRecipes[r]), scores[r][0], scores[r][1], scores[r][2]));
  }
  const double best = *std::min_element(sums.begin(), sums.end());
  const auto chosen = std::find_if(sums.begin(), sums.end(), [&](double sum) { return sum <= best + kEqual; });
  return kRecipes[static_cast<std::size_t>(chosen - sums.begin())];
}

}  // namespace proteus::bench
