#include "controller/forecast/global/forecaster.h"

#include <algorithm>
#include <numeric>

#include "controller/forecast/global/mixture.h"

namespace proteus::forecast::global {

namespace {

constexpr Calibration kNone = {1, 1, 1, 1, 1};

std::vector<Network> networks_of(const Committee& committee) {
  std::vector<Network> networks;
  for (const TrainedNetwork& trained : committee.networks) networks.emplace_back(trained.shape);
  return networks;
}

/// Null if the window has none, or the networks know of none.
const float* signals_for(const Committee& committee, const std::vector<float>& signals) {
  const bool known = !committee.networks.empty() && committee.networks.front().shape.signal_inputs > 0;
  return known && !signals.empty() ? signals.data() : nullptr;
}

Path path_of_anchor(const Features& features, std::size_t anchor, std::size_t horizon) {
  Path path;
  path.reserve(horizon);
  for (std::size_t row = 0; row < horizon; ++row) {
    const float* z = features.step_anchors.data() + (row * kStepAnchors + anchor) * kLevels.size();
    path.push_back(calibrated(z, features.scale, kNone));
  }
  return path;
}

}  // namespace

ValueLevels calibrated(const float* z, const AsinhScale& scale, const Calibration& calibration) {
  Levels sorted;
  std::copy_n(z, kLevels.size(), sorted.begin());
  std::sort(sorted.begin(), sorted.end());
  ValueLevels values{};
  const double middle = scale.from_z(sorted[1]);
  for (std::size_t k = 0; k < kLevels.size(); ++k) {
    values[k] = middle + static_cast<double>(calibration[k]) * (scale.from_z(sorted[k]) - middle);
  }
  std::sort(values.begin(), values.end());
  for (double& value : values) value = std::max(value, 0.0);
  return values;
}

Forecaster::Forecaster(std::shared_ptr<const Weights> weights)
    : weights_(std::move(weights)),
      mlp_(networks_of(weights_->mlp)),
      lstm_(networks_of(weights_->lstm)),
      maxima_(networks_of(weights_->maxima)) {}

std::vector<float> Forecaster::answer(std::vector<Network>& networks, const Committee& committee,
                                      const NetworkInput& input, std::size_t anchors) {
  const Mixture mixture(anchors, input.signals != nullptr);
  std::vector<float> sum(input.windows * input.rows_per_window * mixture.outputs(), 0.0F);
  std::vector<float> weights;
  for (std::size_t n = 0; n < networks.size(); ++n) {
    mixture.weigh(networks[n].forward(committee.networks[n].parameters, input), weights);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += weights[i] / static_cast<float>(networks.size());
  }
  return sum;
}

Result<MemberForecasts> Forecaster::forecast(const Past& past, const std::array<bool, kMembers>& wanted,
                                             std::size_t horizon) {
  std::vector<std::size_t> steps(horizon);
  std::iota(steps.begin(), steps.end(), std::size_t{1});
  const Result<Features> made = make_features(past, steps);
  if (!made) return made.error();
  const Features& features = made.value();
  MemberForecasts result;
  const auto wants = [&](Member member) { return wanted[static_cast<std::size_t>(member)]; };
  const auto path = [&](Member member) -> Path& { return result.paths[static_cast<std::size_t>(member)]; };
  const NetworkInput input{.windows = 1,
                           .rows_per_window = horizon,
                           .window = features.window.data(),
                           .rows = features.steps.data(),
                           .sequence = features.sequence.data()};
  const Anchors step_anchors{features.step_anchors.data(), features.step_spread.data(),
                             features.step_signal_anchors.data()};
  const auto put = [&](Member member, std::vector<Network>& networks, const Committee& committee) {
    if (!wants(member) || networks.empty()) return;
    NetworkInput seen = input;
    seen.signals = signals_for(committee, features.step_signals);
    const std::vector<float> weights = answer(networks, committee, seen, kStepAnchors);
    std::vector<float> z(horizon * kLevels.size());
    Mixture(kStepAnchors, seen.signals != nullptr)
        .mix(weights.data(), step_anchors, {z.data(), horizon, kLevels.size()});
    path(member).reserve(horizon);
    for (std::size_t h = 1; h <= horizon; ++h) {
      path(member).push_back(
          calibrated(z.data() + (h - 1) * kLevels.size(), features.scale, committee.calibration[band_of(h)]));
    }
  };
  put(Member::kMlp, mlp_, weights_->mlp);
  put(Member::kLstm, lstm_, weights_->lstm);
  if (wants(Member::kAr)) path(Member::kAr) = path_of_anchor(features, 0, horizon);
  if (wants(Member::kSeasonalAr)) path(Member::kSeasonalAr) = path_of_anchor(features, 1, horizon);

  const NetworkInput maxima_input{.windows = 1,
                                  .rows_per_window = kWindows.size(),
                                  .window = features.window.data(),
                                  .rows = features.maxima.data(),
                                  .sequence = features.sequence.data(),
                                  .signals = signals_for(weights_->maxima, features.max_signals)};
  const Anchors max_anchors{features.max_anchors.data(), features.max_spread.data(),
                            features.max_signal_anchors.data()};
  std::array<float, kWindows.size() * kLevels.size()> z{};
  Mixture(kMaxAnchors, maxima_input.signals != nullptr)
      .mix(answer(maxima_, weights_->maxima, maxima_input, kMaxAnchors).data(), max_anchors,
           {z.data(), kWindows.size(), kLevels.size()});
  for (std::size_t w = 0; w < kWindows.size(); ++w) {
    result.maxima[w] = calibrated(z.data() + w * kLevels.size(), features.scale, weights_->maxima.calibration[w]);
  }
  return result;
}

Result<MixedForecast> Forecaster::forecast_mixed(const Past& past, std::size_t horizon) {
  std::array<bool, kMembers> wanted{};
  for (const auto& band : weights_->shares) {
    for (std::size_t m = 0; m < kMembers; ++m) wanted[m] = wanted[m] || band[m] > 0;
  }
  const Result<MemberForecasts> made = forecast(past, wanted, horizon);
  if (!made) return made.error();
  MixedForecast mixed{.steps = Path(horizon), .maxima = made->maxima};
  for (std::size_t h = 1; h <= horizon; ++h) {
    double sum = 0;
    std::array<double, kMembers> shares{};
    for (std::size_t m = 0; m < kMembers; ++m) {
      // A member that has no share in a band still answers where it is the only one.
      if (!made->paths[m].empty()) sum += shares[m] = std::max<double>(weights_->shares[band_of(h)][m], 1e-6);
    }
    for (std::size_t m = 0; m < kMembers; ++m) {
      if (made->paths[m].empty()) continue;
      for (std::size_t k = 0; k < kLevels.size(); ++k)
        mixed.steps[h - 1][k] += shares[m] / sum * made->paths[m][h - 1][k];
    }
  }
  return mixed;
}

}  // namespace proteus::forecast::global
