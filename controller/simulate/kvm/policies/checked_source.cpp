#include "controller/simulate/kvm/policies/checked_source.h"

#include <cmath>
#include <utility>

#include "controller/simulate/kvm/policies/outlook_sources.h"

namespace proteus::simulate::kvm {
namespace {

/// Moves are meant to pay within so long.
constexpr int kCheck_ticks = 6 * static_cast<int>(kAheadTicks);

/// E|X − y| − ½ E|X − X'| for X that takes these values with these weights, Σ = 1.
double ranked_probability_score(const std::vector<double>& values, const std::vector<double>& weights, double y) {
  double distance = 0;
  double spread = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    distance += weights[i] * std::abs(values[i] - y);
    for (std::size_t j = 0; j < i; ++j) spread += weights[i] * weights[j] * std::abs(values[i] - values[j]);
  }
  return distance - spread;
}

}  // namespace

CheckedSource::CheckedSource(std::unique_ptr<OutlookSource> plain, std::unique_ptr<OutlookSource> forecasts) {
  plain_.source = std::move(plain);
  forecasts_.source = std::move(forecasts);
}

void CheckedSource::keep(const Console& console, Candidate& candidate) {
  candidate.source->fill(console, scratch_);
  const std::size_t cells = scratch_.cells();
  candidate.weights.resize(cells);
  for (std::size_t cell = 0; cell < cells; ++cell) {
    candidate.weights[cell] = scratch_.weights[cell / scratch_.ticks] / static_cast<double>(scratch_.ticks);
  }
  candidate.said.assign(vms_.size(), std::vector<double>(cells));
  for (std::size_t h = 0; h < vms_.size(); ++h) {
    for (const int v : vms_[h]) {
      const std::size_t base = static_cast<std::size_t>(v) * cells;
      for (std::size_t cell = 0; cell < cells; ++cell) candidate.said[h][cell] += scratch_.cpu_mhz[base + cell];
    }
  }
}

void CheckedSource::score(const Console& console, Candidate& candidate) {
  double sum = 0;
  double count = 0;
  for (std::size_t h = 0; h < vms_.size(); ++h) {
    if (vms_[h].empty()) continue;
    for (int tick = checked_at_; tick < console.tick(); ++tick) {
      double wanted = 0;
      for (const int v : vms_[h]) {
        if (console.vm(v).present) wanted += console.sample(v, Series::kCpu, tick);
      }
      sum += ranked_probability_score(candidate.said[h], candidate.weights, wanted) /
             console.host_class(static_cast<int>(h)).cpu_mhz();
      ++count;
    }
  }
  if (count == 0) return;
  const double fading = std::exp2(-1.0 * kCheck_ticks / kDayTicks);
  candidate.score = checks_ == 0 ? sum / count : fading * candidate.score + (1 - fading) * sum / count;
}

void CheckedSource::observe(const Console& console) {
  plain_.source->observe(console);
  forecasts_.source->observe(console);
  if (checked_at_ != kNever && console.tick() - checked_at_ < kCheck_ticks) return;
  if (checked_at_ != kNever) {
    score(console, plain_);
    score(console, forecasts_);
    ++checks_;
  }
  checked_at_ = console.tick();
  vms_.assign(console.host_count(), {});
  for (std::size_t h = 0; h < vms_.size(); ++h) {
    for (const int v : console.host(static_cast<int>(h)).vms) {
      if (console.first_sample(v) < console.tick()) vms_[h].push_back(v);
    }
  }
  keep(console, plain_);
  keep(console, forecasts_);
}

void CheckedSource::fill(const Console& console, Outlook& outlook) {
  (forecasts_count() ? forecasts_ : plain_).source->fill(console, outlook);
}

std::vector<double> CheckedSource::memory_needs(const Console& console) {
  return (forecasts_count() ? forecasts_ : plain_).source->memory_needs(console);
}

}  // namespace proteus::simulate::kvm
