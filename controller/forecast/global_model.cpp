#include "controller/forecast/global_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "controller/forecast/gaps.h"

namespace proteus::forecast {
namespace {

constexpr Nanoseconds kBin = std::chrono::minutes(5);
constexpr Nanoseconds kDay = kBin * global::kDay;

Quantiles to_quantiles(const global::ValueLevels& levels) {
  static_assert(global::kLevels == kQuantileLevels);
  return {levels[0], levels[1], levels[2], levels[3], levels[4]};
}

Quantiles between(const Quantiles& a, const Quantiles& b, double share) {
  Quantiles q;
  for (const auto member : kQuantileMembers) q.*member = a.*member + share * (b.*member - a.*member);
  return q;
}

}  // namespace

global::Kind kind_of(Resource resource) {
  switch (resource) {
    case Resource::kCpu: return global::Kind::kCpu;
    case Resource::kMemory: return global::Kind::kMemory;
    case Resource::kBlockIo: return global::Kind::kDiskWrite;
    case Resource::kNetwork: return global::Kind::kNetReceived;
  }
  return global::Kind::kOther;
}

bool GlobalModel::suits(Nanoseconds step, Nanoseconds season, int horizon_steps) {
  return step > Nanoseconds{0} && kBin % step == Nanoseconds{0} && season == kDay && step * horizon_steps <= kDay;
}

GlobalModel::GlobalModel(global::Forecaster& forecaster, Resource resource, Nanoseconds step, int horizon_steps,
                         Siblings* siblings, const HostPressure* pressure)
    : forecaster_(forecaster),
      resource_(resource),
      siblings_(siblings),
      pressure_(pressure),
      bin_steps_(static_cast<std::size_t>(std::max<std::int64_t>(1, kBin / step))),
      // The first step may be the last of its bin.
      horizon_bins_(
          std::min(global::kHorizon, (static_cast<std::size_t>(horizon_steps) + 2 * bin_steps_ - 2) / bin_steps_)) {
  if (siblings_ != nullptr) (*siblings_)[static_cast<std::size_t>(resource_)] = this;
}

GlobalModel::~GlobalModel() {
  if (siblings_ == nullptr) return;
  GlobalModel*& mine = (*siblings_)[static_cast<std::size_t>(resource_)];
  if (mine == this) mine = nullptr;  // a successor may have taken the place
}

/// What the others have seen until now; one that closes its steps later than this one is a bin behind.
std::vector<global::Past::Companion> GlobalModel::companions() const {
  std::vector<global::Past::Companion> found;
  if (siblings_ == nullptr) return found;
  for (const GlobalModel* other : *siblings_) {
    if (other == nullptr || other == this || !other->fitted_) continue;
    if (other->bins_end_ > bins_end_ + kBin || other->bins_end_ < bins_end_ - kBin) continue;
    found.push_back({kind_of(other->resource_), other->bins_});
  }
  return found;
}

/// Signals over the newest `bins` bins and those ahead, each the mean of what is known within it. Empty: there are
/// none.
std::vector<float> GlobalModel::signal_rows(std::size_t bins) const {
  std::vector<float> rows;
  if (covariates_ == nullptr || covariates_->names().empty()) return rows;
  const std::size_t count = covariates_->names().size();
  rows.reserve((bins + global::kHorizon) * count);
  std::vector<double> now(count);
  std::vector<double> sums(count);
  std::vector<int> known(count);
  for (std::size_t bin = 0; bin < bins + global::kHorizon; ++bin) {
    std::fill(sums.begin(), sums.end(), 0.0);
    std::fill(known.begin(), known.end(), 0);
    const Timestamp begin = bins_end_ + kBin * (static_cast<std::int64_t>(bin) - static_cast<std::int64_t>(bins));
    for (std::size_t i = 0; i < bin_steps_; ++i) {
      covariates_->at(begin + step_ * static_cast<std::int64_t>(i), now);
      for (std::size_t k = 0; k < count; ++k) {
        if (!std::isfinite(now[k])) continue;
        sums[k] += now[k];
        ++known[k];
      }
    }
    for (std::size_t k = 0; k < count; ++k) {
      rows.push_back(known[k] > 0 ? static_cast<float>(sums[k] / known[k]) : std::numeric_limits<float>::quiet_NaN());
    }
  }
  return rows;
}

Status GlobalModel::fit(const History& history) {
  fitted_ = false;
  if (!all_usable(history.values)) return Error{ErrorCode::kInvalidArgument, "global: a value is too large"};
  const std::span<const double> known =
      newest_known(history.values, static_cast<int>(bin_steps_ * global::kHistoryMax));
  if (known.size() < bin_steps_ * global::kHistoryMin) {
    return Error{ErrorCode::kFailedPrecondition, "global: needs two days of history"};
  }
  const std::vector<double> values = without_gaps(known);
  bins_.assign(values.size() / bin_steps_, 0);
  const std::size_t first = values.size() % bin_steps_;
  for (std::size_t i = first; i < values.size(); ++i) {
    bins_[(i - first) / bin_steps_] += values[i];
  }
  for (double& bin : bins_) bin /= static_cast<double>(bin_steps_);
  open_sum_ = 0;
  open_count_ = 0;
  newest_ = values.back();
  bins_end_ = history.end;
  step_ = history.step;
  made_.reset();
  fitted_ = true;
  return {};
}

void GlobalModel::update(double value) {
  if (!fitted_) return;
  if (usable(value)) newest_ = value;
  open_sum_ += newest_;
  if (++open_count_ < bin_steps_) return;
  if (bins_.size() >= 2 * global::kHistoryMax) {
    bins_.erase(bins_.begin(), bins_.end() - static_cast<std::ptrdiff_t>(global::kHistoryMax));
  }
  bins_.push_back(open_sum_ / static_cast<double>(bin_steps_));
  open_sum_ = 0;
  open_count_ = 0;
  bins_end_ += kBin;
  made_.reset();
}

Result<Forecast> GlobalModel::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "global: not fitted"};
  if (!made_) {
    const std::size_t count = std::min(bins_.size(), global::kHistoryMax);
    const std::vector<global::Past::Companion> others = companions();
    const std::vector<float> signals = signal_rows(count);
    const std::vector<float> pressure = pressure_ != nullptr ? pressure_->hour_until(bins_end_) : std::vector<float>();
    const global::Past past{.kind = kind_of(resource_),
                            .values = std::span(bins_).last(count),
                            .companions = others,
                            .next_epoch_s = to_unix_ns(bins_end_) / 1'000'000'000,
                            .signals = {signals.size() / (count + global::kHorizon), signals},
                            .pressure = pressure};
    Result<global::MixedForecast> made = forecaster_.forecast_mixed(past, horizon_bins_);
    if (!made) return made.error();
    made_ = std::move(*made);
  }
  Forecast forecast{.made_at = bins_end_ + step_ * static_cast<std::int64_t>(open_count_),
                    .step = step_,
                    .steps = {},
                    .window_max = {},
                    .model = std::string(name())};
  forecast.steps.reserve(static_cast<std::size_t>(steps));
  for (std::size_t h = 0; h < static_cast<std::size_t>(steps); ++h) {
    const std::size_t bin = std::min((open_count_ + h) / bin_steps_, made_->steps.size() - 1);
    forecast.steps.push_back(to_quantiles(made_->steps[bin]));
  }
  const double length =
      std::clamp(static_cast<double>(steps) / static_cast<double>(bin_steps_), 1.0, static_cast<double>(global::kDay));
  const double hour = std::log(static_cast<double>(global::kHour));
  const double day = std::log(static_cast<double>(global::kDay));
  const Quantiles of_hour = to_quantiles(made_->maxima[0]);
  forecast.window_max = std::log(length) <= hour ? between(forecast.steps.front(), of_hour, std::log(length) / hour)
                                                 : between(of_hour, to_quantiles(made_->maxima[1]),
                                                           (std::log(length) - hour) / (day - hour));
  raise_to_steps(forecast);
  return forecast;
}

}  // namespace proteus::forecast
