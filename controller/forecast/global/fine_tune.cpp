#include "controller/forecast/global/fine_tune.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "controller/forecast/global/objective.h"
#include "controller/forecast/global/trainer.h"

namespace proteus::forecast::global {
namespace {

constexpr std::size_t kJudged = 2 * kDay;
constexpr std::size_t kChosen = 2 * kDay;

/// The mean of a committee's answers for every window.
std::vector<float> answers_of(const Committee& committee, const TrainingTask& task) {
  std::vector<float> mean;
  for (const TrainedNetwork& one : committee.networks) {
    Network network(one.shape);
    const std::vector<float> levels = predict_all(network, one.parameters, task);
    mean.resize(levels.size(), 0.0F);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      mean[i] += levels[i] / static_cast<float>(committee.networks.size());
    }
  }
  return mean;
}

ConstMatrix as_matrix(const std::vector<float>& levels) {
  return {levels.data(), levels.size() / kLevels.size(), kLevels.size()};
}

FineTuneScore score_of(const Weights& weights, const TrainingSet& judge) {
  FineTuneScore score;
  score.steps = StepObjective(judge).band_scores(as_matrix(answers_of(weights.mlp, {judge, judge.steps})));
  score.maxima = MaxObjective(judge).score(as_matrix(answers_of(weights.maxima, {judge, judge.maxima})));
  return score;
}

bool takes_part(const Weights& weights, Member member) {
  return std::any_of(weights.shares.begin(), weights.shares.end(),
                     [&](const auto& band) { return band[static_cast<std::size_t>(member)] > 0; });
}

/// Both kinds of objective by their kind of rows.
template <typename Kind>
void train_on(Committee& committee, const TrainingSet& learn, const TrainingSet& choose,
              const TrainingRows TrainingSet::*rows, const TrainingOptions& options, const std::string& name,
              const std::function<void(const std::string&)>& log) {
  Kind objective(learn);
  const Kind judge(choose);
  for (std::size_t n = 0; n < committee.networks.size(); ++n) {
    TrainedNetwork& one = committee.networks[n];
    Network network(one.shape);
    TrainingOptions of_this = options;
    of_this.seed += static_cast<std::uint32_t>(n);
    one.parameters = train(network, std::move(one.parameters), {learn, learn.*rows}, objective, {choose, choose.*rows},
                           judge, of_this, [&](const Epoch& epoch) {
                             if (!log) return;
                             log(fmt::format("{} {}: epoch {}, loss {:.4f}, score {:.4f}", name, n + 1, epoch.number,
                                             epoch.train_loss, epoch.score));
                           });
  }
}

}  // namespace

Result<FineTuned> fine_tune(const Weights& weights, std::span<const TrainingSeries> series,
                            const FineTuneOptions& options, const std::function<void(const std::string&)>& log) {
  std::vector<TrainingSeries> long_enough;
  for (const TrainingSeries& one : series) {
    if (one.values.size() >= kFineTuneStepsMin) long_enough.push_back(one);
  }
  if (long_enough.empty()) {
    return Error{ErrorCode::kFailedPrecondition, "fine-tuning needs a series with seven days of history"};
  }
  WindowChoice choice{.span = kJudged, .per_series = 8, .steps_per_hour = 6, .steps_per_day = 16, .seed = options.seed};
  const Result<TrainingSet> judge = cut_windows(long_enough, choice);
  if (!judge) return judge.error();
  choice.skip_newest = kJudged;
  choice.span = kChosen;
  const Result<TrainingSet> choose = cut_windows(long_enough, choice);
  if (!choose) return choose.error();
  const Result<TrainingSet> learn = cut_windows(
      long_enough, {.skip_newest = kJudged + kChosen, .per_series = options.windows_per_series, .seed = options.seed});
  if (!learn) return learn.error();

  if (learn->windows == 0 || choose->windows == 0 || judge->windows == 0) {
    return Error{ErrorCode::kFailedPrecondition, "fine-tuning needs a series that is not constant"};
  }
  FineTuned tuned;
  tuned.weights = weights;
  tuned.series = long_enough.size();
  tuned.windows = learn->windows;
  tuned.before = score_of(weights, *judge);
  const TrainingOptions training{
      .epochs = options.epochs, .rate = options.rate, .weight_decay = 0.01F, .swapped = 0.3F, .seed = options.seed};
  train_on<StepObjective>(tuned.weights.mlp, *learn, *choose, &TrainingSet::steps, training, "mlp", log);
  if (takes_part(weights, Member::kLstm)) {
    train_on<StepObjective>(tuned.weights.lstm, *learn, *choose, &TrainingSet::steps, training, "lstm", log);
  }
  train_on<MaxObjective>(tuned.weights.maxima, *learn, *choose, &TrainingSet::maxima, training, "maxima", log);
  tuned.after = score_of(tuned.weights, *judge);
  tuned.better = tuned.after.total() < tuned.before.total() - kFineTuneGain;
  if (!tuned.better) tuned.weights = weights;
  return tuned;
}

}  // namespace proteus::forecast::global
