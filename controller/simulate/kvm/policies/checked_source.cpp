#include "controller/simulate/kvm/policies/checked_source.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "controller/simulate/kvm/policies/outlook_sources.h"

namespace proteus::simulate::kvm {
namespace {

/// Moves are meant to pay within so long.
constexpr int kCheck_ticks = 6 * static_cast<int>(kAheadTicks);

constexpr double kCertain = 1.64;  ///< standard errors: one of twenty is ahead by so much by chance

double squared(double x) {
  return x * x;
}

}  // namespace

CheckedSource::CheckedSource(std::unique_ptr<OutlookSource> plain, std::unique_ptr<OutlookSource> forecasts) {
  plain_.source = std::move(plain);
  forecasts_.source = std::move(forecasts);
}

double CheckedSource::waiting_mhz(const Console& console, std::size_t h, double demand_mhz) const {
  const double ratio = response_.cpu_curve(h)->at(demand_mhz / console.host_class(static_cast<int>(h)).cpu_mhz());
  return demand_mhz * ratio / (1 + ratio);
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

double CheckedSource::expected_mhz(const Console& console, const Candidate& candidate, std::size_t h) const {
  double sum = 0;
  for (std::size_t cell = 0; cell < candidate.weights.size(); ++cell) {
    sum += candidate.weights[cell] * waiting_mhz(console, h, candidate.said[h][cell]);
  }
  return sum;
}

void CheckedSource::score(const Console& console) {
  double ahead = 0;
  for (std::size_t h = 0; h < vms_.size(); ++h) {
    double came = 0;
    for (int tick = checked_at_; tick < console.tick(); ++tick) {
      double demand = 0;
      for (const int v : vms_[h]) {
        if (console.vm(v).present) demand += console.sample(v, Series::kCpu, tick);
      }
      came += waiting_mhz(console, h, demand) / (console.tick() - checked_at_);
    }
    ahead += squared(expected_mhz(console, plain_, h) - came) - squared(expected_mhz(console, forecasts_, h) - came);
  }
  const double fading = std::exp2(-1.0 * kCheck_ticks / kDayTicks);
  ahead_ = fading * ahead_ + ahead;
  ahead_squares_ = squared(fading) * ahead_squares_ + squared(ahead);
  ++checks_;
}

bool CheckedSource::forecasts_count() const {
  return checks_ >= kChecksMin && ahead_ > kCertain * std::sqrt(ahead_squares_);
}

void CheckedSource::observe(const Console& console) {
  plain_.source->observe(console);
  forecasts_.source->observe(console);
  response_.observe(console);
  if (checked_at_ != kNever && console.tick() - checked_at_ < kCheck_ticks) return;
  if (checked_at_ != kNever) score(console);
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
