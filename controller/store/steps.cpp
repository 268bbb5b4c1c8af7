#include "controller/store/steps.h"

#include <algorithm>
#include <cmath>

namespace proteus::store {
namespace {

constexpr double kMicrosecondsPerSecond = 1e6;
constexpr double kRateMax = 9.2e18;  // what 64 bits hold

std::int64_t rate_of(std::int64_t increase, std::int64_t microseconds) {
  const double rate = static_cast<double>(increase) * kMicrosecondsPerSecond / static_cast<double>(microseconds);
  return static_cast<std::int64_t>(std::min(rate + 0.5, kRateMax));
}

/// Nearest rank; reorders the values, of which there is one at least.
std::int64_t take_p95(std::vector<std::int64_t>& values) {
  const std::size_t rank = (95 * values.size() + 99) / 100 - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(rank), values.end());
  return values[rank];
}

/// What a counter grew by from `before` to `now`; nullopt if it began anew, or 64 bits do not hold it.
std::optional<std::int64_t> increase_of(std::int64_t before, std::int64_t now) {
  std::int64_t increase = 0;
  if (now < before || __builtin_sub_overflow(now, before, &increase)) return std::nullopt;
  return increase;
}

}  // namespace

StepTicks::StepTicks(const StepGrid& grid, std::int64_t from_us, std::int64_t to_us, std::vector<std::int64_t> times,
                     std::uint32_t clock_run)
    : run(clock_run), times_us(std::move(times)) {
  steps.reserve(times_us.size());
  ends.push_back(0);
  for (std::size_t i = 0; i < times_us.size(); ++i) {
    const std::int64_t time = times_us[i];
    const bool inside = grid.holds(time) && time >= from_us && time < to_us;
    steps.push_back(inside ? static_cast<std::int32_t>(grid.step_of(time)) : -1);
    if (inside) steps_end = std::max(steps_end, grid.step_of(time) + 1);
    if (inside && i > 0 && time < times_us[i - 1]) rising = std::min(rising, grid.step_of(time));
    if (!inside || i == 0 || time <= times_us[i - 1] || time - times_us[i - 1] > kGapUs) continue;
    if (runs.empty() || ends.back() + 1 != i || runs.back().step != steps.back()) {
      if (ends.back() + 1 != i) ends.push_back(static_cast<std::uint32_t>(i - 1));
      ends.push_back(static_cast<std::uint32_t>(i));
      runs.push_back({ends.size() - 2, ends.size() - 1, steps.back(), 0});
    }
    ends.back() = static_cast<std::uint32_t>(i);
    runs.back().weight_us = time - times_us[ends[runs.back().before]];
  }
  if (ends.back() + 1 != times_us.size()) ends.push_back(static_cast<std::uint32_t>(times_us.size() - 1));
}

void StepFigures::join(const StepFigures& later) {
  if (later.weight == 0 && !later.overflow) return;
  if (weight == 0 && !overflow) {
    *this = later;
    return;
  }
  overflow = overflow || later.overflow;
  sum += later.sum;
  weight += later.weight;
  min = std::min(min, later.min);
  max = std::max(max, later.max);
  last = later.last;
}

void StepCollector::enter_run(std::uint32_t run) {
  other_.push_back({run_, before_, before_us_});
  const auto known = std::find_if(other_.begin(), other_.end(), [&](const Run& one) { return one.run == run; });
  const Run entered = known == other_.end() ? Run{.run = run, .before = {}, .before_us = 0} : *known;
  if (known != other_.end()) other_.erase(known);
  run_ = run;
  before_ = entered.before;
  before_us_ = entered.before_us;
}

void StepCollector::open(std::int32_t step) {
  if (step == step_) return;
  close();
  step_ = step;
  if (waiting_.empty()) return;
  auto before = waiting_.extract(step);
  if (before.empty()) return;
  ranked_ = std::move(before.mapped());
  waiting_count_ -= ranked_.size();
}

void StepCollector::close() {
  if (step_ >= 0 && !ranked_.empty()) {
    if (static_cast<std::size_t>(step_) < complete_) {
      settle(step_, ranked_);
    } else {
      waiting_count_ += ranked_.size();
      waiting_[step_] = std::move(ranked_);
    }
  }
  ranked_.clear();
  step_ = -1;
}

void StepCollector::settle(std::int32_t step, std::vector<std::int64_t>& ranked) {
  at(step).p95 = take_p95(ranked);
  if (wants_.whole) ranked_before_.insert(ranked_before_.end(), ranked.begin(), ranked.end());
}

void StepCollector::settle_waiting(std::size_t end) {
  while (!waiting_.empty() && static_cast<std::size_t>(waiting_.begin()->first) < end) {
    auto first = waiting_.extract(waiting_.begin());
    waiting_count_ -= first.mapped().size();
    settle(first.key(), first.mapped());
  }
}

void StepCollector::add(const StepTicks& ticks, std::span<const std::int64_t> values,
                        std::span<const std::uint32_t> at) {
  // The step under way is over by what the window before it said, not by what this one says: it may be entered here.
  if (!ranked_.empty() && !values.empty() && ticks.steps[at.empty() ? 0 : at[0]] != step_) close();
  complete_ = std::max(complete_, std::min(ticks.complete, ticks.rising));
  if (kind_ == KpiKind::kGauge) {
    add_gauge(ticks, values, at);
  } else {
    if (ticks.run != run_) enter_run(ticks.run);
    add_counter(ticks, values, at);
  }
  complete_ = std::max(complete_, ticks.complete);
}

void StepCollector::add_ends(const StepTicks& ticks, std::span<const std::int64_t> values) {
  if (ticks.run != run_) enter_run(ticks.run);
  add_increase(values[0], ticks.times_us[0], ticks.steps[0]);
  for (const StepTicks::Run& run : ticks.runs) {
    StepFigures& figures = at(run.step);
    figures.sum += Int128{values[run.last]} - values[run.before];
    figures.weight += run.weight_us;
  }
  before_ = values.back();
  before_us_ = ticks.times_us.back();
  complete_ = std::max(complete_, ticks.complete);
}

void StepCollector::add_gauge(const StepTicks& ticks, std::span<const std::int64_t> values,
                              std::span<const std::uint32_t> at) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int32_t step = ticks.steps[at.empty() ? i : at[i]];
    if (step < 0) continue;
    open(step);
    const std::int64_t value = values[i];
    StepFigures& figures = this->at(step);
    figures.min = figures.weight == 0 ? value : std::min(figures.min, value);
    figures.max = figures.weight == 0 ? value : std::max(figures.max, value);
    figures.sum += value;
    figures.last = value;
    ++figures.weight;
    if (wants_.p95) ranked_.push_back(value);
  }
}

void StepCollector::add_counter(const StepTicks& ticks, std::span<const std::int64_t> values,
                                std::span<const std::uint32_t> at) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t tick = at.empty() ? i : at[i];
    add_increase(values[i], ticks.times_us[tick], ticks.steps[tick]);
  }
}

void StepCollector::add_increase(std::int64_t value, std::int64_t time_us, std::int32_t step) {
  const std::int64_t elapsed_us = time_us - before_us_;
  const bool follows = before_ && elapsed_us > 0 && elapsed_us <= kGapUs;
  const std::int64_t before = before_.value_or(0);
  before_ = value;
  before_us_ = time_us;
  if (!follows || step < 0) return;
  const auto increase = increase_of(before, value);
  if (!increase) return;
  open(step);
  StepFigures& figures = this->at(step);
  figures.sum += *increase;
  if (wants_.extremes || wants_.p95) {
    const std::int64_t rate = rate_of(*increase, elapsed_us);
    figures.min = figures.weight == 0 ? rate : std::min(figures.min, rate);
    figures.max = figures.weight == 0 ? rate : std::max(figures.max, rate);
    if (wants_.p95) ranked_.push_back(rate);
  }
  figures.weight += elapsed_us;
}

const std::vector<StepFigures>& StepCollector::finish() {
  close();
  settle_waiting(std::numeric_limits<std::size_t>::max());
  return figures_;
}

std::vector<StepFigures> StepCollector::take() {
  finish();
  return std::move(figures_);
}

StepFigures StepCollector::whole() {
  StepFigures all;
  for (const StepFigures& step : figures_) all.join(step);
  if (!ranked_before_.empty()) all.p95 = take_p95(ranked_before_);
  return all;
}

}  // namespace proteus::store
