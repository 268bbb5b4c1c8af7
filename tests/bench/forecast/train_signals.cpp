#include "tests/bench/forecast/train_signals.h"

#include <fmt/format.h>

#include <cmath>

#include "controller/forecast/global/objective.h"
#include "controller/forecast/global/trainer.h"
#include "tests/bench/forecast/folds.h"
#include "tests/bench/forecast/recipe.h"
#include "tests/bench/forecast/signalled_series.h"

namespace proteus::bench {

using namespace forecast::global;

namespace {

constexpr std::size_t kPerSeries = 4;      ///< made-up series for each real one
constexpr std::uint32_t kCheckSeed = 977;  ///< further on, for those that validate
/// The new anchor's weight before softmax at first: little, but enough to be learned from.
constexpr float kGateAtFirst = -2.0F;

ConstMatrix as_matrix(const std::vector<float>& levels) {
  return {levels.data(), levels.size() / kLevels.size(), kLevels.size()};
}

/// Those whose series were made up like that.
TrainingSet windows_with(const TrainingSet& set, const SignalledSeries& series, Made made) {
  std::vector<bool> wanted;
  for (const Made of : series.made) wanted.push_back(of == made);
  return windows_of(set, wanted);
}

struct Lesson {
  const TrainingSet& learn;
  const TrainingSet& check;
  const TrainingRows TrainingSet::*rows;
  int epochs;
  std::uint32_t seed;
};

template <typename Kind>
void teach(Committee& committee, const Lesson& lesson, const std::string& name,
           const std::function<void(const std::string&)>& log) {
  Kind objective(lesson.learn);
  const Kind judge(lesson.check);
  std::uint32_t seed = lesson.seed;
  for (TrainedNetwork& one : committee.networks) {
    one.shape.signal_inputs = kSignalInputs;
    one.shape.signal_outputs = kLevels.size();
    Network network(one.shape);
    const TrainingOptions options{.epochs = lesson.epochs,
                                  .patience = lesson.epochs,
                                  .rate = kRate,
                                  .weight_decay = 0.02F,
                                  .first_parameter = one.shape.signal_parameters_begin(),
                                  .seed = seed++};
    one.parameters =
        train(network, with_signals(one.shape, one.parameters, kGateAtFirst), {lesson.learn, lesson.learn.*lesson.rows},
              objective, {lesson.check, lesson.check.*lesson.rows}, judge, options, [&](const Epoch& epoch) {
                log(fmt::format("signals, {}: epoch {}, loss {:.4f}, validation score {:.4f}", name, epoch.number,
                                epoch.train_loss, epoch.score));
              });
  }
}

/// The first network's, with and without what it knows of signals.
void report(const Committee& committee, const TrainingSet& check, const SignalledSeries& series,
            const std::function<void(const std::string&)>& log) {
  const TrainedNetwork& one = committee.networks.front();
  for (std::size_t kind = 0; kind < kMadeKinds; ++kind) {
    const TrainingSet part = windows_with(check, series, static_cast<Made>(kind));
    if (part.windows == 0) continue;
    TrainingRows blind = part.steps;
    blind.signal.clear();
    const StepObjective judge(part);
    Network network(one.shape);
    const auto with = judge.band_scores(as_matrix(predict_all(network, one.parameters, {part, part.steps})));
    const auto without = judge.band_scores(as_matrix(predict_all(network, one.parameters, {part, blind})));
    log(
        fmt::format("{}: loss with what is known of signals and pressure, relative to without: next step {:.3f}, hour "
                    "{:.3f}, day {:.3f} ({} windows)",
                    to_string(static_cast<Made>(kind)), std::exp(with[0] - without[0]), std::exp(with[1] - without[1]),
                    std::exp(with[2] - without[2]), part.windows));
  }
}

}  // namespace

Status train_signals(Weights& weights, const std::vector<TrainingSeries>& series, const TrainChoice& choice,
                     const std::function<void(const std::string&)>& log) {
  const std::size_t count = kPerSeries * series.size();
  const SignalledSeries learned = add_signals(series, count, choice.seed);
  const SignalledSeries checked = add_signals(series, count, choice.seed + kCheckSeed);
  const Result<TrainingSet> learn = learning_set(learned.series, choice.windows_per_series / 4, false, choice.seed);
  if (!learn) return learn.error();
  const Result<TrainingSet> check = cut_windows(
      checked.series,
      {.span = 2 * kDay, .per_series = 3, .steps_per_hour = 6, .steps_per_day = 16, .seed = choice.seed + kCheckSeed});
  if (!check) return check.error();
  log(fmt::format("signals: {} windows to learn from, {} to validate", learn->windows, check->windows));
  Lesson lesson{*learn, *check, &TrainingSet::steps, choice.epochs / 2, choice.seed};
  teach<StepObjective>(weights.mlp, lesson, "mlp", log);
  report(weights.mlp, *check, checked, log);
  lesson.epochs = (choice.epochs + 5) / 6;
  teach<StepObjective>(weights.lstm, lesson, "lstm", log);
  if (!weights.lstm.networks.empty()) report(weights.lstm, *check, checked, log);
  lesson.epochs = choice.epochs / 2;
  lesson.rows = &TrainingSet::maxima;
  teach<MaxObjective>(weights.maxima, lesson, "maxima", log);
  return {};
}

}  // namespace proteus::bench
