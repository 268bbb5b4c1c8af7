#include "controller/forecast/blend.h"

#include <algorithm>
#include <cmath>

namespace proteus::forecast {
namespace {

/// Scores that make a model known: at the first lead, and at one further ahead; until then the lead before it speaks
/// for that one.
constexpr std::int64_t kScoredMin = 30;
constexpr int kScoredMinAhead = 10;
/// Shares go with (loss of the fallback / loss) to this power.
constexpr double kPower = 6;
/// Above this share of the fallback's loss a model loses to it.
constexpr double kLoses = 1.05;
/// So much worse than the fallback may the newest steps look by chance.
constexpr double kChance = 1.5;
/// Horizons scored at which the losses of a model of good standing count half: scores of one horizon are nearly one.
constexpr double kDoubt = 5;
/// Smaller shares are none.
constexpr double kShareMin = 0.02;

/// Loss relative to the fallback's at each lead, infinite where the model has no say.
Shares relative_losses(const BlendMember& member, const TrackRecord& fallback) {
  const TrackRecord& record = *member.record;
  Shares ratios;
  ratios.fill(HUGE_VAL);
  if (record.scored_steps() < kScoredMin) return ratios;
  const auto ratio_of = [](double mine, double theirs) {
    return theirs > 0 ? mine / theirs : mine > 0 ? HUGE_VAL : 1.0;
  };
  const double sudden = ratio_of(record.newest_loss(), fallback.newest_loss());
  const double alarm = std::max(1.0, sudden / kChance);
  double ratio = 1;
  for (std::size_t i = 0; i < ratios.size(); ++i) {
    if (i == 0 || (record.scored_at(i) >= kScoredMinAhead && fallback.scored_at(i) >= kScoredMinAhead)) {
      ratio = ratio_of(record.loss_at(i), fallback.loss_at(i));
      const double horizons = record.horizons_scored(i);
      if (member.standing < 1) ratio = member.standing * std::pow(ratio, horizons / (horizons + kDoubt));
    }
    ratios[i] = ratio > kLoses ? HUGE_VAL : ratio * alarm;
  }
  return ratios;
}

}  // namespace

std::vector<Shares> shares_of(std::span<const BlendMember> others, const TrackRecord& fallback) {
  std::vector<Shares> shares(others.size() + 1, Shares{});
  for (std::size_t m = 0; m < others.size(); ++m) {
    if (others[m].record == nullptr) continue;
    const Shares ratios = relative_losses(others[m], fallback);
    for (std::size_t i = 0; i < ratios.size(); ++i) shares[m][i] = std::pow(std::max(ratios[i], 1e-3), -kPower);
  }
  shares.back().fill(1);
  for (std::size_t i = 0; i < TrackRecord::kScoredLeads; ++i) {
    double sum = 0;
    for (const Shares& share : shares) sum += share[i];
    double kept = 0;
    for (Shares& share : shares) {
      share[i] = share[i] / sum >= kShareMin ? share[i] / sum : 0;
      kept += share[i];
    }
    for (Shares& share : shares) share[i] /= kept;
  }
  return shares;
}

Forecast blended(std::span<const Forecast* const> forecasts, std::span<const Shares> shares,
                 const std::array<int, TrackRecord::kScoredLeads>& lead_steps) {
  const auto add = [](Quantiles& sum, const Quantiles& q, double share) {
    for (const auto member : kQuantileMembers) sum.*member += share * (q.*member);
  };
  Forecast blend;
  for (std::size_t m = 0; m < forecasts.size(); ++m) {
    if (forecasts[m] == nullptr) continue;
    const Forecast& forecast = *forecasts[m];
    blend.made_at = forecast.made_at;
    blend.step = forecast.step;
    blend.steps.resize(forecast.steps.size());
    double mean = 0;
    for (const double share : shares[m]) mean += share / static_cast<double>(shares[m].size());
    if (mean == 0) continue;
    add(blend.window_max, forecast.window_max, mean);
    std::size_t right = 1;
    for (std::size_t i = 0; i < forecast.steps.size(); ++i) {
      const int h = static_cast<int>(i) + 1;
      while (right + 1 < lead_steps.size() && lead_steps[right] < h) ++right;
      const double from = lead_steps[right - 1];
      const double to = lead_steps[right];
      const double part = from == to ? 1 : std::clamp(std::log(h / from) / std::log(to / from), 0.0, 1.0);
      add(blend.steps[i], forecast.steps[i], shares[m][right - 1] + part * (shares[m][right] - shares[m][right - 1]));
    }
  }
  raise_to_steps(blend);
  return blend;
}

}  // namespace proteus::forecast
