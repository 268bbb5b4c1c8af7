#include "controller/forecast/series.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "common/state_archive.h"
#include "controller/forecast/cold_start.h"

namespace proteus::forecast {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
/// A model must have been scored so often before it may take over, or be set aside.
constexpr std::int64_t kScoredMin = 30;
/// It takes over when its loss is below this share of the chosen one's; it is set aside above that share of
/// the baseline's.
constexpr double kTakeOver = 0.95;
constexpr double kSetAside = 1.05;
/// A provisional choice gives way after so many steps.
constexpr int kProvisionalSteps = 3;
/// Until a step has closed, what is known changes with each tick, and is forecast within half and double of it: less
/// than this share of it makes no difference.
constexpr double kWorthTelling = 0.1;
/// The history of a young series changes quickly: it is refitted each time that it has grown by this share.
constexpr std::int64_t kYoungGrowth = 4;
/// Of the first byte that save() writes. Another: the state is not read, and the series begins anew.
constexpr std::uint8_t kStateVersion = 3;
constexpr std::size_t kStateHeadBytes = 9;   // version, hash of the rest
constexpr std::size_t kStateGridBytes = 12;  // step, horizon
constexpr std::uint32_t kModelsMax = 1000;

}  // namespace

Series::Series(const EngineOptions& options, Resource resource, std::uint64_t phase, const Shared& shared,
               const Covariates* covariates)
    : options_(options),
      resource_(resource),
      phase_(phase),
      shared_(shared),
      covariates_(covariates),
      blend_record_(options.horizon_steps) {
  reset();
}

void Series::reset() {
  candidates_.clear();
  std::vector<Contestant> models = make_models(options_, resource_, shared_);
  candidates_.reserve(models.size());
  for (Contestant& contestant : models) {
    contestant.model->set_covariates(covariates_);
    candidates_.emplace_back(std::move(contestant), options_.horizon_steps);
  }
  shares_.assign(candidates_.size(), Shares{});
  blend_record_ = TrackRecord(options_.horizon_steps);
  forecast_.reset();
  better_steps_.assign(candidates_.size(), 0);
  worse_steps_.assign(candidates_.size(), 0);
  baseline_ = index_of(kBaseline);
  chosen_ = kNone;
  values_.clear();
  closed_steps_ = 0;
  known_steps_ = 0;
  highest_known_ = 0;
}

std::size_t Series::index_of(std::string_view model) const {
  const auto found = std::find_if(candidates_.begin(), candidates_.end(),
                                  [&](const Candidate& candidate) { return candidate.name() == model; });
  return found == candidates_.end() ? kNone : static_cast<std::size_t>(found - candidates_.begin());
}

bool Series::observe(Timestamp time, double value) {
  if (!std::isfinite(value)) return false;
  const std::int64_t step = to_unix_ns(time) / options_.step.count();
  return observe({step, 1, std::max(0.0, value), step});
}

bool Series::observe(const StepTicks& ticks) {
  if (begun_ && ticks.step < open_step_) return false;
  bool closed = false;
  if (ticks.count > 0) {
    closed = open(ticks.step);
    const bool first = open_count_ == 0;
    const double before = first ? 0 : open_value_;
    open_value_ = resource_ == Resource::kMemory ? std::max(before, ticks.value) : before + ticks.value;
    open_count_ += ticks.count;
  }
  if (begun_ && ticks.next > open_step_) closed = open(ticks.next) || closed;
  return closed;
}

/// Closes what lies in front of the step. False: nothing did.
bool Series::open(std::int64_t step) {
  bool closed = false;
  if (begun_ && step > open_step_) {
    const std::int64_t missing = step - open_step_ - 1;
    close_step(open_step_value(), missing == 0);
    // After so long a silence the past says nothing about the phase that the series is in.
    if (missing > std::min<std::int64_t>(options_.season / options_.step, options_.history_steps)) {
      reset();
    } else {
      for (std::int64_t i = 1; i <= missing; ++i) {
        ++open_step_;
        close_step(kMissing, i == missing);
      }
    }
    closed = true;
    open_count_ = 0;
  }
  begun_ = true;
  open_step_ = step;
  return closed;
}

bool Series::take_news() {
  if (!closed_ && closed_steps_ > 0) return false;
  const double value = open_step_value();
  if (!std::exchange(closed_, false) && std::abs(value - told_value_) <= kWorthTelling * told_value_) return false;
  told_value_ = value;
  return true;
}

/// What its ticks so far make of the open step; missing without any.
double Series::open_step_value() const {
  if (open_count_ == 0) return kMissing;
  return resource_ == Resource::kMemory ? open_value_ : open_value_ / open_count_;
}

void Series::close_step(double value, bool predict_next) {
  // The front is cut off rarely, in one piece.
  const auto kept = static_cast<std::size_t>(options_.history_steps);
  if (values_.size() >= kept + kept / 4 + 1) {
    values_.erase(values_.begin(), values_.end() - static_cast<std::ptrdiff_t>(kept - 1));
  }
  values_.push_back(value);
  ++closed_steps_;
  closed_ = true;
  if (std::isfinite(value)) {
    ++known_steps_;
    newest_known_ = value;
    highest_known_ = std::max(highest_known_, value);
  }
  const double window_max = newest_window_max();
  const TrackRecord::PerLead caps = candidates_[index_of(kBaseline)].record().loss_caps();
  for (Candidate& candidate : candidates_) candidate.close(value, window_max, caps);
  blend_record_.close(value, window_max, caps);
  if (!predict_next || known_steps_ < options_.min_history_steps) {
    for (Candidate& candidate : candidates_) {
      candidate.update(value);
      candidate.skip();
    }
    blend_record_.skip();
    forecast_.reset();
    return;
  }
  const bool refit = refit_due();
  if (!refit) {
    for (Candidate& candidate : candidates_) candidate.update(value);
  }
  ++open_step_;  // what is predicted follows the step that has closed
  predict(refit);
  --open_step_;
  if (refit && shared_.kin != nullptr)
    append_kin_samples(values_, options_.horizon_steps, phase_, resource_, kin_samples_);
}

void Series::predict(bool refit) {
  if (refit) {
    const History past = history();
    for (Candidate& candidate : candidates_) candidate.refit(past);
  }
  for (Candidate& candidate : candidates_) candidate.predict();
  choose();
  blend();
  for (Candidate& candidate : candidates_) candidate.release();
}

void Series::blend() {
  shares_.assign(candidates_.size(), Shares{});
  forecast_.reset();
  if (chosen_ == kNone) {
    blend_record_.skip();
    return;
  }
  std::vector<BlendMember> learned(candidates_.size());
  std::vector<const Forecast*> made;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (candidates_[i].learned() && !set_aside(i)) learned[i] = {&candidates_[i].record(), candidates_[i].standing()};
  }
  std::vector<Shares> shares = shares_of(learned, candidates_[chosen_].record());
  shares[chosen_] = shares.back();
  shares.pop_back();
  shares_ = std::move(shares);
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    made.push_back(blended_in(i) ? candidates_[i].forecast() : nullptr);
  }
  told_ = sole_in_blend();
  if (told_ != kNone) {
    forecast_ = *made[told_];
    blend_record_.skip();
    return;
  }
  forecast_ = blended(made, shares_, blend_record_.lead_steps());
  forecast_->model = kBlend;
  blend_record_.remember(*forecast_);
}

/// The one model that has all shares; kNone if there are several.
std::size_t Series::sole_in_blend() const {
  std::size_t sole = kNone;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (!blended_in(i)) continue;
    if (sole != kNone) return kNone;
    sole = i;
  }
  return sole;
}

bool Series::blended_in(std::size_t i) const {
  return std::any_of(shares_[i].begin(), shares_[i].end(), [](double share) { return share > 0; });
}

bool Series::refit_due() const {
  if (chosen_ == kNone) return true;
  const std::int64_t every =
      std::clamp<std::int64_t>(known_steps_ / kYoungGrowth, 2, std::max(2, options_.refit_every_steps));
  return (static_cast<std::uint64_t>(closed_steps_) + phase_) % static_cast<std::uint64_t>(every) == 0;
}

double Series::newest_window_max() const {
  const auto count = static_cast<std::size_t>(options_.horizon_steps);
  if (values_.size() < count) return kMissing;
  double highest = 0;
  std::size_t known = 0;
  for (auto value = values_.end() - static_cast<std::ptrdiff_t>(count); value != values_.end(); ++value) {
    if (!std::isfinite(*value)) continue;
    highest = std::max(highest, *value);
    ++known;
  }
  return 2 * known > count ? highest : kMissing;
}

bool Series::set_aside(std::size_t i) const {
  return !candidates_[i].able() || worse_steps_[i] >= options_.horizon_steps;
}

void Series::choose() {
  const auto scored = [this](std::size_t i) {
    return candidates_[i].able() && candidates_[i].record().scored_steps() >= kScoredMin;
  };
  const std::size_t seasonal = index_of(kSeasonalBaseline);
  baseline_ = scored(seasonal) ? seasonal : index_of(kBaseline);
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const bool worse = i != baseline_ && scored(i) && scored(baseline_) &&
                       candidates_[i].record().loss_relative_to(candidates_[baseline_].record()) > kSetAside;
    worse_steps_[i] = worse ? worse_steps_[i] + 1 : 0;
  }
  const auto relative_to_chosen = [this](std::size_t i) {
    return candidates_[i].record().loss_relative_to(candidates_[chosen_].record());
  };
  if (chosen_ == kNone || set_aside(chosen_)) {
    chosen_ = kNone;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (candidates_[i].learned() || set_aside(i)) continue;
      if (chosen_ == kNone || (scored(i) && relative_to_chosen(i) < 1)) chosen_ = i;
    }
    better_steps_.assign(candidates_.size(), 0);
    return;
  }
  // One surprise is in the scores of a whole horizon of forecasts; a model must stay better for as long.
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const bool better =
        i != chosen_ && !candidates_[i].learned() && !set_aside(i) && scored(i) && relative_to_chosen(i) < kTakeOver;
    better_steps_[i] = better ? better_steps_[i] + 1 : 0;
  }
  const auto longest = std::max_element(better_steps_.begin(), better_steps_.end());
  const bool provisional = candidates_[chosen_].name() == kProvisional;
  if (*longest >= (provisional ? std::min(kProvisionalSteps, options_.horizon_steps) : options_.horizon_steps)) {
    chosen_ = static_cast<std::size_t>(longest - better_steps_.begin());
    better_steps_.assign(candidates_.size(), 0);
  }
}

Timestamp Series::end() const {
  return Timestamp{open_step_ * options_.step};
}

/// Below min_history_steps. Borrowed from like series, if there are any, it still says that little is known.
Forecast Series::cold_start() const {
  const double newest = known_steps_ == 0 && open_count_ > 0 ? open_step_value() : newest_known_;
  Forecast forecast = forecast::cold_start(end(), options_.step, options_.horizon_steps, newest, highest_known_);
  const KinTable* const kin = shared_.kin;
  if (kin != nullptr && kin->usable(resource_)) {
    const std::vector<double> only = {newest};
    kin->forecast(resource_, known_steps_ > 0 ? values_ : only, forecast);
  }
  return forecast;
}

Forecast Series::forecast() const {
  return forecast_ ? *forecast_ : cold_start();
}

History Series::history() const {
  const std::size_t count = std::min(values_.size(), static_cast<std::size_t>(options_.history_steps));
  return {end(), options_.step, {values_.end() - static_cast<std::ptrdiff_t>(count), values_.end()}};
}

/// Mean change over `lag` steps, of the history; 0 if there is too little of it.
double Series::scale(std::size_t lag) const {
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t i = lag; i < values_.size(); ++i) {
    const double change = std::abs(values_[i] - values_[i - lag]);
    if (!std::isfinite(change)) continue;
    sum += change;
    ++count;
  }
  return count >= static_cast<std::size_t>(options_.min_history_steps) ? sum / static_cast<double>(count) : 0;
}

SeriesAccuracy Series::accuracy() const {
  SeriesAccuracy accuracy;
  accuracy.scale = scale(static_cast<std::size_t>(options_.season / options_.step));
  accuracy.seasonal = accuracy.scale > 0;
  if (!accuracy.seasonal) accuracy.scale = scale(1);
  const auto add = [&](const std::string& name, const TrackRecord& record, const Shares& shares) -> Accuracy& {
    return accuracy.models.emplace_back(Accuracy{.model = name,
                                                 .pinball_loss = record.loss(),
                                                 .coverage_p90 = record.coverage_p90(),
                                                 .scored_steps = record.scored_steps(),
                                                 .chosen = false,
                                                 .set_aside = false,
                                                 .reason = {},
                                                 .leads = record.leads(accuracy.scale, shares)});
  };
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const Candidate& candidate = candidates_[i];
    Accuracy& row = add(candidate.name(), candidate.record(), shares_[i]);
    row.chosen = forecast_ && i == told_;
    row.set_aside = set_aside(i);
    if (!candidate.able()) {
      row.reason = candidate.failure();
    } else if (row.set_aside) {
      row.reason = "worse than " + candidates_[baseline_].name() + " lately";
    } else if (candidate.learned() && !blended_in(i) && candidate.record().scored_steps() >= kScoredMin) {
      row.set_aside = true;
      row.reason = "worse than " + (chosen_ == kNone ? "its fallback" : candidates_[chosen_].name()) + " lately";
    }
  }
  const bool blending = forecast_ && told_ == kNone;
  if (blending || blend_record_.scored_steps() > 0) add(kBlend, blend_record_, Shares{}).chosen = blending;
  return accuracy;
}

void Series::take_kin_samples(std::vector<KinSample>& samples) {
  samples.insert(samples.end(), kin_samples_.begin(), kin_samples_.end());
  kin_samples_.clear();
}

/// One description of what is kept, for writing and reading. Layout: open step, counts, values in single precision; per
/// model its name, how long it has been better or worse, and its scores (Candidate::archive); the blend's; the
/// chosen model's name.
template <typename Archive>
void Series::archive(Archive& a) {
  a(open_step_);
  a(closed_steps_);
  a(known_steps_);
  a(highest_known_);
  std::vector<float> values;
  if (!Archive::kReading) {
    const std::vector<double> kept = history().values;
    values.assign(kept.begin(), kept.end());
  }
  a(values);
  if (Archive::kReading) values_.assign(values.begin(), values.end());
  auto count = static_cast<std::uint32_t>(candidates_.size());
  a(count);
  for (std::uint32_t i = 0; i < count && (!Archive::kReading || i < kModelsMax); ++i) {
    std::string name;
    std::string scores;
    int better = 0;
    int worse = 0;
    if (!Archive::kReading) {
      name = candidates_[i].name();
      better = better_steps_[i];
      worse = worse_steps_[i];
      StateWriter writer(scores);
      candidates_[i].archive(writer);
    }
    a(name);
    a(better);
    a(worse);
    a(scores);
    const std::size_t at = index_of(name);  // a model that is no more is passed over
    if (!Archive::kReading || at == kNone) continue;
    better_steps_[at] = better;
    worse_steps_[at] = worse;
    StateReader reader(scores);
    candidates_[at].archive(reader);
    scores_ok_ = scores_ok_ && reader.ok() && reader.at_end();
  }
  std::string blend;
  if (!Archive::kReading) {
    StateWriter writer(blend);
    blend_record_.archive(writer);
  }
  a(blend);
  if (Archive::kReading) {
    StateReader reader(blend);
    blend_record_.archive(reader);
    scores_ok_ = scores_ok_ && reader.ok() && reader.at_end();
  }
  std::string chosen = chosen_ == kNone ? "" : candidates_[chosen_].name();
  a(chosen);
  if (Archive::kReading) chosen_ = index_of(chosen);
  std::string pressure;
  if (!Archive::kReading && shared_.pressure != nullptr) {
    StateWriter writer(pressure);
    shared_.pressure->archive(writer);
  }
  a(pressure);
  if (Archive::kReading && shared_.pressure != nullptr && !pressure.empty()) {
    StateReader reader(pressure);
    HostPressure kept;
    kept.archive(reader);
    scores_ok_ = scores_ok_ && reader.ok() && reader.at_end();
    if (scores_ok_) *shared_.pressure = kept;
  }
}

std::string Series::save() {
  std::string body;
  StateWriter writer(body);
  writer(options_.step.count());
  writer(options_.horizon_steps);
  archive(writer);
  std::string bytes;
  StateWriter head(bytes);
  head(kStateVersion);
  head(stable_hash(body));
  return bytes + body;
}

Status Series::check(const std::string& bytes, const EngineOptions& options) {
  StateReader reader(bytes);
  std::uint8_t version = 0;
  std::uint64_t hash = 0;
  reader(version);
  if (reader.ok() && version != kStateVersion) {
    return Error{ErrorCode::kUnsupported, "the state of a series is of another version"};
  }
  reader(hash);
  if (!reader.ok() || hash != stable_hash(std::string_view(bytes).substr(kStateHeadBytes))) {
    return Error{ErrorCode::kCorrupt, "the state of a series is damaged"};
  }
  Nanoseconds::rep step = 0;
  int horizon = 0;
  reader(step);
  reader(horizon);
  if (step != options.step.count() || horizon != options.horizon_steps) {
    return Error{ErrorCode::kUnsupported, "the state of a series is of another step or horizon"};
  }
  return {};
}

Status Series::restore(const std::string& bytes) {
  if (Status whole = check(bytes, options_); !whole) return whole;
  StateReader reader(std::string_view(bytes).substr(kStateHeadBytes + kStateGridBytes));
  archive(reader);
  // A step that begins when no clock can say cannot be; what lies ahead of it must have a time as well.
  const Nanoseconds::rep latest = std::numeric_limits<Nanoseconds::rep>::max() / 2 / options_.step.count();
  const bool sound = reader.ok() && reader.at_end() && scores_ok_ && open_step_ >= 0 && open_step_ < latest &&
                     !values_.empty() &&
                     std::none_of(values_.begin(), values_.end(), [](double v) { return v < 0 || std::isinf(v); });
  if (!sound) return Error{ErrorCode::kCorrupt, "the state of a series does not decode"};
  begun_ = true;
  const auto newest = std::find_if(values_.rbegin(), values_.rend(), [](double v) { return std::isfinite(v); });
  newest_known_ = newest == values_.rend() ? 0 : *newest;
  if (known_steps_ >= options_.min_history_steps) predict(true);
  return {};
}

}  // namespace proteus::forecast
