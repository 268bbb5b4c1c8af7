#include "controller/forecast/track_record.h"

#include <algorithm>
#include <cmath>

namespace proteus::forecast {
namespace {

/// Recent means: half of the weight lies within a horizon, or this many steps.
constexpr double kHalfLifeStepsMin = 30;
/// A loss beyond so many means is a surprise, whose size says no more about the model. Errors of normal noise
/// stay below.
constexpr double kLossCap = 5;
constexpr int kRemembered = 36;
/// newest_loss() is a mean over about so many steps.
constexpr std::int64_t kNewestSteps = 5;
constexpr int kScoredForTypical = 5;
constexpr double kTypicalGain = 0.03;
constexpr double kTypicalClip = 2.5;
constexpr double kLossGrowth = 0.25;  ///< with the lead, between white noise (0) and a random walk (1/2)

double pinball(double level, double quantile, double actual) {
  return actual >= quantile ? level * (actual - quantile) : (1 - level) * (quantile - actual);
}

/// Of the levels that plans are made of.
double pinball(const Quantiles& q, double actual) {
  return (pinball(0.5, q.p50, actual) + pinball(0.9, q.p90, actual) + pinball(0.99, q.p99, actual)) / 3;
}

double pinball_of_all(const Quantiles& q, double actual) {
  double sum = 0;
  for (std::size_t i = 0; i < kQuantileLevels.size(); ++i) {
    sum += pinball(kQuantileLevels[i], q.*kQuantileMembers[i], actual);
  }
  return sum / kQuantileLevels.size();
}

/// Of a lead of so many steps at most kRemembered forecasts wait for their outcome: the least divisor that sees to it.
int stride_of(int steps) {
  int stride = 1;
  while (steps % stride != 0 || steps / stride > kRemembered) ++stride;
  return stride;
}

/// The p95 lies between the two guarded levels, and so does its factor.
Quantiles widened(const Quantiles& q, double factor_p90, double factor_p99) {
  return tidy({q.p10, q.p50, q.p50 + factor_p90 * (q.p90 - q.p50),
               q.p50 + 0.5 * (factor_p90 + factor_p99) * (q.p95 - q.p50), q.p50 + factor_p99 * (q.p99 - q.p50)});
}

}  // namespace

TrackRecord::TrackRecord(int horizon_steps, bool calibrated)
    : decay_(std::exp2(-1 / std::max<double>(kHalfLifeStepsMin, horizon_steps))), calibrated_(calibrated) {
  const std::array<int, kLeads> steps = {1, (horizon_steps + 1) / 2, horizon_steps, horizon_steps};
  for (std::size_t i = 0; i < kLeads; ++i) {
    leads_[i].steps = steps[i];
    leads_[i].stride = stride_of(steps[i]);
  }
}

/// Records of series by the thousand begin together: what they will hold is taken up as it comes.
TrackRecord::Prediction* TrackRecord::slot_to_fill(Lead& lead) const {
  if (tick_ % lead.stride != 0) return nullptr;
  const std::size_t index = slot_index(lead);
  if (index >= lead.pending.size()) {
    const auto whole = static_cast<std::size_t>(lead.steps / lead.stride);
    lead.pending.reserve(std::min(whole, std::max<std::size_t>(4, 2 * lead.pending.size())));
    lead.pending.resize(index + 1);
  }
  return &lead.pending[index];
}

TrackRecord::PerLead TrackRecord::loss_caps() const {
  PerLead caps;
  double typical = HUGE_VAL;
  double steps = 1;
  for (std::size_t i = 0; i < kScoredLeads; ++i) {
    const Lead& lead = leads_[i];
    // A lead not scored yet is guessed from the shorter one.
    typical = lead.scored >= kScoredForTypical ? lead.typical : typical * std::pow(lead.steps / steps, kLossGrowth);
    steps = lead.steps;
    caps[i] = kLossCap * typical;
  }
  return caps;
}

void TrackRecord::score(Lead& lead, double actual, double cap) {
  const Prediction* const remembered = slot(lead);
  if (remembered == nullptr || !remembered->valid || !std::isfinite(actual)) return;
  const Prediction& prediction = *remembered;
  const double decay = lead.stride == 1 ? decay_ : std::pow(decay_, lead.stride);
  const double loss = pinball(prediction.corrected, actual);
  lead.loss = decay * lead.loss + std::min(cap, loss);
  lead.weight = decay * lead.weight + 1;
  lead.pinball = decay * lead.pinball + pinball_of_all(prediction.corrected, actual);
  lead.absolute_error = decay * lead.absolute_error + std::abs(actual - prediction.corrected.p50);
  for (std::size_t i = 0; i < kQuantileLevels.size(); ++i) {
    lead.covered[i] = decay * lead.covered[i] + (actual <= prediction.corrected.*kQuantileMembers[i] ? 1 : 0);
  }
  ++lead.scored;
  lead.typical += lead.scored <= kScoredForTypical
                      ? (loss - lead.typical) / lead.scored
                      : kTypicalGain * (std::min(loss, kTypicalClip * lead.typical) - lead.typical);
  if (&lead == &leads_[0]) {
    ++scored_steps_;
    covered_ = decay_ * covered_ + (actual <= prediction.corrected.p90 ? 1 : 0);
    covered_weight_ = decay_ * covered_weight_ + 1;
    newest_loss_ += (loss - newest_loss_) / static_cast<double>(std::min(scored_steps_, kNewestSteps));
  }
  // The guard sees windows that do not overlap.
  if (tick_ % lead.steps != 0) return;
  const Quantiles& raw = prediction.raw;
  const auto observe = [&](Correction& correction, double Quantiles::*level) {
    if (!(raw.*level > raw.p50)) return;
    const bool missed = actual > prediction.corrected.*level;
    if (calibrated_) {
      correction.tracker.observe(missed);
    } else {
      correction.guard.observe((actual - raw.p50) / (raw.*level - raw.p50), missed);
    }
  };
  observe(lead.p90, &Quantiles::p90);
  observe(lead.p99, &Quantiles::p99);
}

void TrackRecord::close(double actual, double window_max, const PerLead& caps) {
  ++tick_;
  for (std::size_t i = 0; i < kScoredLeads; ++i) score(leads_[i], actual, caps[i]);
  score(leads_[kWindow], window_max, HUGE_VAL);
}

void TrackRecord::skip() {
  for (Lead& lead : leads_) {
    if (Prediction* const prediction = slot(lead)) prediction->valid = false;
  }
}

void TrackRecord::put(const Forecast& forecast, Quantiles Prediction::*which) {
  for (Lead& lead : leads_) {
    Prediction* const prediction = slot_to_fill(lead);
    if (prediction == nullptr) continue;
    prediction->valid = true;
    prediction->*which =
        &lead == &leads_[kWindow] ? forecast.window_max : forecast.steps[static_cast<std::size_t>(lead.steps - 1)];
  }
}

void TrackRecord::correct_and_remember(Forecast& forecast) {
  put(forecast, &Prediction::raw);
  correct(forecast);
  put(forecast, &Prediction::corrected);
}

void TrackRecord::remember(const Forecast& forecast) {
  put(forecast, &Prediction::raw);
  put(forecast, &Prediction::corrected);
}

void TrackRecord::correct(Forecast& forecast) const {
  // Between the guarded leads the factor is interpolated.
  std::size_t right = 1;
  for (std::size_t i = 0; i < forecast.steps.size(); ++i) {
    const int h = static_cast<int>(i) + 1;
    while (right + 1 < kScoredLeads && leads_[right].steps < h) ++right;
    const Lead& a = leads_[right - 1];
    const Lead& b = leads_[right];
    const double share = a.steps == b.steps ? 1 : std::clamp((h - a.steps) / double(b.steps - a.steps), 0.0, 1.0);
    const auto factor = [this, share](const Correction& left, const Correction& next) {
      return left.factor(calibrated_) + share * (next.factor(calibrated_) - left.factor(calibrated_));
    };
    forecast.steps[i] = widened(forecast.steps[i], factor(a.p90, b.p90), factor(a.p99, b.p99));
  }
  const Lead& window = leads_[kWindow];
  forecast.window_max = widened(forecast.window_max, window.p90.factor(calibrated_), window.p99.factor(calibrated_));
}

std::array<int, TrackRecord::kScoredLeads> TrackRecord::lead_steps() const {
  return {leads_[0].steps, leads_[1].steps, leads_[2].steps};
}

double TrackRecord::loss_at(std::size_t lead) const {
  return leads_[lead].weight > 0 ? leads_[lead].loss / leads_[lead].weight : 0;
}

std::vector<LeadAccuracy> TrackRecord::leads(double scale, const PerLead& shares) const {
  std::vector<LeadAccuracy> rows;
  for (std::size_t i = 0; i < kScoredLeads; ++i) {
    const Lead& lead = leads_[i];
    if (lead.weight == 0 || (i > 0 && lead.steps == leads_[i - 1].steps)) continue;
    LeadAccuracy row{.steps = lead.steps,
                     .pinball_loss = lead.pinball / lead.weight,
                     .mase = scale > 0 ? lead.absolute_error / lead.weight / scale : std::nan(""),
                     .coverage = {},
                     .scored = lead.scored,
                     .share = shares[i]};
    for (std::size_t level = 0; level < row.coverage.size(); ++level) {
      row.coverage[level] = lead.covered[level] / lead.weight;
    }
    rows.push_back(row);
  }
  return rows;
}

double TrackRecord::loss() const {
  double sum = 0;
  int count = 0;
  for (std::size_t i = 0; i < kScoredLeads; ++i) {
    if (leads_[i].weight == 0) continue;
    sum += leads_[i].loss / leads_[i].weight;
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

double TrackRecord::loss_relative_to(const TrackRecord& other) const {
  double mine = 0;
  double theirs = 0;
  for (std::size_t i = 0; i < kScoredLeads; ++i) {
    if (leads_[i].weight == 0 || other.leads_[i].weight == 0) continue;
    mine += leads_[i].loss / leads_[i].weight;
    theirs += other.leads_[i].loss / other.leads_[i].weight;
  }
  if (theirs > 0) return mine / theirs;
  return mine > 0 ? HUGE_VAL : 1;
}

}  // namespace proteus::forecast
