#include "controller/forecast/global/ensemble.h"

#include <algorithm>
#include <cmath>

#include "controller/forecast/global/reservation.h"

namespace proteus::forecast::global {

namespace {

constexpr std::size_t kPendingMax = 12;
constexpr std::int64_t kRememberEvery = 24;  ///< steps
/// A score's weight halves after about five days of remembered forecasts.
constexpr double kKept = 0.995;
/// Weights go with (loss of the best / loss)^kPower once far more than kDoubt scores are in.
constexpr double kPower = 3;
constexpr double kDoubt = 12;
/// The guard's step, as a share of the distance that it corrects, and how far it may go. Our own choice: a series is
/// scored some hundred times a week in a band, so a guard must move by a tenth for each surprise to tell within days
/// that a width is wrong; it swings by as much when it is right. Quantile tracking with a tenth of the largest recent
/// score is of that order. The 0.005 of Gibbs & Candès moves a level, not a width, and is for thousands of scores.
constexpr QuantileTracker::Pace kGuardPace = {.rate = 0.1, .most = 3};
constexpr double kFrugal = 0.1;  ///< of the price of a step above

double pinball_of(const auto& levels, double actual) {
  double sum = 0;
  for (std::size_t k = 0; k < kLevels.size(); ++k) {
    const double error = actual - static_cast<double>(levels[k]);
    sum += error > 0 ? kLevels[k] * error : (kLevels[k] - 1) * error;
  }
  return sum;
}

}  // namespace

Ensemble::Ensemble(std::shared_ptr<const Weights> weights, const Members& members)
    : weights_(std::move(weights)), members_(members) {
  if (weights_->lstm.networks.empty()) members_[static_cast<std::size_t>(Member::kLstm)] = false;
  // What validation gave nothing in any band is not computed, if others are there.
  Members useful = {};
  for (const auto& band : weights_->shares) {
    for (std::size_t m = 0; m < kMembers; ++m) useful[m] = useful[m] || (members_[m] && band[m] > 0);
  }
  if (useful != Members{}) members_ = useful;
  std::vector<QuantileTracker> of_levels;
  for (const double level : kLevels) of_levels.emplace_back(level, kGuardPace);
  guards_.assign(kBands, of_levels);
}

std::array<double, kMembers> Ensemble::shares(std::size_t band) const {
  const std::array<double, kMembers>& losses = losses_[band];
  const double worst = *std::max_element(losses.begin(), losses.end());
  const double floor = 1e-3 * worst;  // a member may have been right to the last bit
  double least = worst;
  for (std::size_t m = 0; m < kMembers; ++m) {
    if (members_[m]) least = std::min(least, losses[m]);
  }
  const double power = kPower * evidence_[band] / (evidence_[band] + kDoubt);
  std::array<double, kMembers> shares{};
  double sum = 0;
  for (std::size_t m = 0; m < kMembers; ++m) {
    if (!members_[m]) continue;
    // A member that validation gave nothing still answers where it is the only one.
    shares[m] = std::max(static_cast<double>(weights_->shares[band][m]), 1e-6);
    if (worst > 0) shares[m] *= std::pow((least + floor) / (losses[m] + floor), power);
    sum += shares[m];
  }
  for (double& share : shares) share /= sum;
  return shares;
}

void Ensemble::score_step(const Pending& pending, std::size_t i, double actual) {
  const std::size_t band = band_of(kScored[i]);
  for (std::size_t m = 0; m < kMembers; ++m) {
    if (members_[m]) losses_[band][m] = kKept * losses_[band][m] + pinball_of(pending.members[m][i], actual);
  }
  evidence_[band] = kKept * evidence_[band] + 1;
  for (std::size_t k = 2; k < kLevels.size(); ++k) {
    // A level that lies on the median says nothing about its width.
    if (pending.mixed[i][k] > pending.mixed[i][1]) guards_[band][k].observe(actual > pending.guarded[i][k]);
  }
}

void Ensemble::score(const Past& past, std::int64_t now) {
  for (Pending& pending : pending_) {
    while (pending.scored < kScored.size()) {
      const std::int64_t due = pending.made_at + static_cast<std::int64_t>(kScored[pending.scored]);
      if (due > now) break;
      const std::int64_t age = now - due;  // 0: the newest value
      if (age < static_cast<std::int64_t>(past.values.size())) {
        score_step(pending, pending.scored, past.values[past.values.size() - 1 - static_cast<std::size_t>(age)]);
      }
      ++pending.scored;
    }
  }
  std::erase_if(pending_, [](const Pending& pending) { return pending.scored == kScored.size(); });
}

Result<EnsembleForecast> Ensemble::forecast(Forecaster& forecaster, const Past& past, std::int64_t now) {
  score(past, now);
  Result<MemberForecasts> made = forecaster.forecast(past, members_);
  if (!made) return made.error();
  const std::array<Path, kMembers>& paths = made->paths;
  EnsembleForecast result;
  result.maxima = made->maxima;
  result.steps.resize(kHorizon);
  std::array<std::array<double, kMembers>, kBands> band_shares{};
  for (std::size_t band = 0; band < kBands; ++band) band_shares[band] = shares(band);
  for (std::size_t h = 1; h <= kHorizon; ++h) {
    ValueLevels& levels = result.steps[h - 1];
    for (std::size_t m = 0; m < kMembers; ++m) {
      if (paths[m].empty()) continue;
      for (std::size_t k = 0; k < kLevels.size(); ++k) levels[k] += band_shares[band_of(h)][m] * paths[m][h - 1][k];
    }
  }
  const Path mixed = result.steps;
  for (std::size_t h = 1; h <= kHorizon; ++h) {
    ValueLevels& levels = result.steps[h - 1];
    const std::vector<QuantileTracker>& guard = guards_[band_of(h)];
    for (std::size_t k = 2; k < kLevels.size(); ++k) {
      levels[k] = std::max(levels[1] + guard[k].factor() * (levels[k] - levels[1]), levels[k - 1]);
    }
  }
  const double unit = std::max(daily_difference(past.values.last(std::min(past.values.size(), kHistoryMax))), 1e-9);
  for (std::size_t w = 0; w < kWindows.size(); ++w) {
    const auto steps = std::span<const ValueLevels>(result.steps).first(kWindows[w]);
    const auto price = static_cast<double>(weights_->prices[w]);
    result.reservations[w] = reservation(steps, unit, price);
    result.frugal[w] = std::min(reservation(steps, unit, kFrugal * price), result.reservations[w]);
  }
  if (pending_.empty() || now - pending_.back().made_at >= kRememberEvery) {
    if (pending_.size() == kPendingMax) pending_.erase(pending_.begin());
    Pending& pending = pending_.emplace_back();
    pending.made_at = now;
    for (std::size_t i = 0; i < kScored.size(); ++i) {
      for (std::size_t m = 0; m < kMembers; ++m) {
        if (paths[m].empty()) continue;
        std::copy(paths[m][kScored[i] - 1].begin(), paths[m][kScored[i] - 1].end(), pending.members[m][i].begin());
      }
      pending.mixed[i] = mixed[kScored[i] - 1];
      pending.guarded[i] = result.steps[kScored[i] - 1];
    }
  }
  return result;
}

}  // namespace proteus::forecast::global
