#include "tests/bench/forecast/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "controller/forecast/global/trainer.h"
#include "tests/bench/forecast/calibrate.h"
#include "tests/bench/forecast/training_data.h"

namespace proteus::bench {

using namespace forecast::global;

namespace {

constexpr std::size_t kValidation = 3 * kDay;  ///< steps before the first origin that are not learned from
constexpr std::size_t kCommittee = 3;          ///< networks of MLPs
constexpr std::size_t kMaxCommittee = 2;       ///< networks for the maxima
constexpr std::uint32_t kLstmHidden = 32;
constexpr double kLstmGain = 0.01;  ///< that the LSTM must bring to the sum of the three bands' ln(loss) to take part

using Log = std::function<void(const std::string&)>;

/// Sizes and weight decay of the candidates, small first.
struct Candidate {
  std::uint32_t hidden1;
  std::uint32_t hidden2;
  float weight_decay;
};
constexpr std::array<Candidate, 3> kCandidates = {{{64, 48, 0.02F}, {96, 64, 0.02F}, {128, 96, 0.05F}}};

NetworkShape step_shape(const Candidate& sizes, std::uint32_t lstm_hidden) {
  NetworkShape shape{.window_inputs = kWindowInputs,
                     .row_inputs = kStepInputs,
                     .hidden1 = sizes.hidden1,
                     .hidden2 = sizes.hidden2,
                     .outputs = static_cast<std::uint32_t>(Mixture(kStepAnchors).outputs())};
  if (lstm_hidden > 0) {
    shape.lstm_hidden = lstm_hidden;
    shape.lstm_inputs = kSequenceInputs;
    shape.lstm_steps = kSequenceSteps;
  }
  return shape;
}

TrainedNetwork train_steps(const NetworkShape& shape, const TrainingSet& learn, const TrainingSet& check,
                           const TrainingOptions& options, const std::string& what, const Log& log) {
  Network network(shape);
  StepObjective objective(learn);
  const StepObjective judge(check);
  std::vector<float> parameters = train(network, network.initial_parameters(options.seed), {learn, learn.steps},
                                        objective, {check, check.steps}, judge, options, [&](const Epoch& epoch) {
                                          log(fmt::format("{}: epoch {}, loss {:.4f}, validation score {:.4f}", what,
                                                          epoch.number, epoch.train_loss, epoch.score));
                                        });
  return {shape, std::move(parameters)};
}

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

/// Which candidate does best on VMs that it has not seen.
Result<Candidate> choose(const DataSet& set, const std::vector<TrainingSeries>& all, const TrainChoice& choice,
                         const Log& log) {
  std::vector<TrainingSeries> seen;
  std::vector<TrainingSeries> unseen;
  std::set<std::string> vms;
  for (std::size_t i = 0; i < all.size(); ++i) {
    vms.insert(set.series[i].vm);
    (vms.size() % 5 == 3 ? unseen : seen).push_back(all[i]);
  }
  Result<TrainingSet> learn =
      cut_windows(seen, {.skip_newest = kValidation, .per_series = choice.windows_per_series / 3, .seed = choice.seed});
  if (!learn) return learn.error();
  Result<TrainingSet> check = cut_windows(
      unseen, {.span = 2 * kDay, .per_series = 12, .steps_per_hour = 6, .steps_per_day = 16, .seed = choice.seed});
  if (!check) return check.error();
  const StepObjective judge(*check);
  std::array<double, kCandidates.size()> scores{};
  for (std::size_t c = 0; c < kCandidates.size(); ++c) {
    const TrainedNetwork trained =
        train_steps(step_shape(kCandidates[c], 0), *learn, *check,
                    {.epochs = choice.epochs, .weight_decay = kCandidates[c].weight_decay, .seed = choice.seed},
                    fmt::format("candidate {}-{}", kCandidates[c].hidden1, kCandidates[c].hidden2), log);
    const std::vector<float> levels = mean_answer({trained}, {*check, check->steps});
    scores[c] = judge.score({levels.data(), levels.size() / kLevels.size(), kLevels.size()});
    log(fmt::format("candidate {}-{}: score on VMs not seen {:.4f}", kCandidates[c].hidden1, kCandidates[c].hidden2,
                    scores[c]));
  }
  const double best = *std::min_element(scores.begin(), scores.end());
  const double slack = 0.01 * kBands;  // 1 % of loss in each band
  const auto chosen = std::find_if(scores.begin(), scores.end(), [&](double score) { return score <= best + slack; });
  return kCandidates[static_cast<std::size_t>(chosen - scores.begin())];
}

}  // namespace

Result<Weights> train_weights(const DataSet& set, const TrainChoice& choice, const Log& log) {
  const std::vector<TrainingSeries> series = training_series(set);
  Result<Candidate> sizes = choose(set, series, choice, log);
  if (!sizes) return sizes.error();
  log(fmt::format("chosen: {}-{}", sizes->hidden1, sizes->hidden2));
  Result<TrainingSet> learn =
      cut_windows(series, {.skip_newest = kValidation, .per_series = choice.windows_per_series, .seed = choice.seed});
  if (!learn) return learn.error();
  Result<TrainingSet> check = cut_windows(
      series, {.span = 2 * kDay, .per_series = 8, .steps_per_hour = 6, .steps_per_day = 16, .seed = choice.seed});
  if (!check) return check.error();
  log(fmt::format("{} windows to learn from, {} to validate", learn->windows, check->windows));

  Weights weights;
  TrainingOptions options{.epochs = choice.epochs, .weight_decay = sizes->weight_decay, .seed = choice.seed};
  for (std::size_t n = 0; n < kCommittee; ++n, ++options.seed) {
    weights.mlp.networks.push_back(
        train_steps(step_shape(*sizes, 0), *learn, *check, options, fmt::format("mlp {}", n + 1), log));
  }
  // An epoch of it takes as long as eight of an MLP's.
  options.epochs = (choice.epochs + 1) / 2;
  weights.lstm.networks.push_back(train_steps(step_shape(*sizes, kLstmHidden), *learn, *check, options, "lstm", log));
  options.epochs = choice.epochs;
  const NetworkShape max_shape{.window_inputs = kWindowInputs,
                               .row_inputs = kMaxInputs,
                               .hidden1 = 48,
                               .hidden2 = 32,
                               .outputs = static_cast<std::uint32_t>(Mixture(kMaxAnchors).outputs())};
  options.weight_decay = 0.05F;
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
  auto prices = find_prices(series, weights);
  if (!prices) return prices.error();
  weights.prices = *prices;
  log(fmt::format("price of a step above the reservation: {:.3g} for the hour, {:.3g} for the day", weights.prices[0],
                  weights.prices[1]));
  return weights;
}

}  // namespace proteus::bench
