#include "controller/profile/fingerprint.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "controller/profile/isotonic.h"

namespace proteus::profile {
namespace {

/// The queue's mean wait grows without bound towards 1, a host's does not: it serves a finite number of
/// vCPUs. The prior leaves the formula here.
constexpr double kErlangUntil = 0.9;
constexpr double kPriorKnotSpacing = 0.1;

/// Width of the learner's bins.
constexpr double kBinWidth = 0.05;
/// The prior counts in a bin as much as so many seconds of CPU run observed there.
constexpr double kPriorRun_s = 30;
/// The same for the host's factor, which all bins share.
constexpr double kFactorPriorRun_s = 60;
/// A wait ratio of this is added on both sides when host and prior are compared, so that the factor is
/// defined, and near 1, where both wait next to nothing.
constexpr double kFactorFloor = 0.05;

double bin_centre(std::size_t bin) {
  return (static_cast<double>(bin) + 0.5) * kBinWidth;
}

/// Probability that a job finds all of `servers` busy (Erlang C), by the recurrence of Erlang B, which cannot
/// overflow.
double erlang_c(int servers, double utilisation) {
  const double load = servers * utilisation;
  double blocked = 1;
  for (int k = 1; k <= servers; ++k) blocked = load * blocked / (k + load * blocked);
  return blocked / (1 - utilisation * (1 - blocked));
}

/// Mean wait in an M/M/c queue in units of the mean service time.
double mean_wait(int servers, double utilisation) {
  return erlang_c(servers, utilisation) / (servers * (1 - utilisation));
}

/// The same for a fractional number of CPUs (a host behind a quota), between the whole numbers around it.
double mean_wait_at(double cpus, double utilisation) {
  const double servers = std::max(1.0, cpus);
  const double below = std::floor(servers);
  const double share = servers - below;
  const double wait = mean_wait(static_cast<int>(below), utilisation);
  if (share == 0) return wait;
  return (1 - share) * wait + share * mean_wait(static_cast<int>(below) + 1, utilisation);
}

}  // namespace

ResponseCurve::ResponseCurve(std::vector<Knot> knots) : knots_(std::move(knots)) {
  std::sort(knots_.begin(), knots_.end(), [](const Knot& a, const Knot& b) { return a.utilisation < b.utilisation; });
}

double ResponseCurve::wait_ratio(double utilisation) const {
  return Walk(*this).wait_ratio(utilisation);
}

double ResponseCurve::Walk::wait_ratio(double utilisation) {
  if (knots_.empty()) return 0;
  if (!(utilisation > knots_.front().utilisation)) return knots_.front().wait_ratio;
  if (utilisation >= knots_.back().utilisation) return knots_.back().wait_ratio;
  while (knots_[right_].utilisation <= utilisation) ++right_;
  const Knot& right = knots_[right_];
  const Knot& left = knots_[right_ - 1];
  const double share = (utilisation - left.utilisation) / (right.utilisation - left.utilisation);
  return left.wait_ratio + share * (right.wait_ratio - left.wait_ratio);
}

ResponseCurve prior_curve(double cpus) {
  std::vector<ResponseCurve::Knot> knots;
  const int steps = static_cast<int>(std::lround(kErlangUntil / kPriorKnotSpacing));
  for (int i = 0; i <= steps; ++i) {
    const double utilisation = i * kPriorKnotSpacing;
    knots.push_back({utilisation, mean_wait_at(cpus, utilisation), 0});
  }
  // Demand u on capacity 1: u - 1 waits for each 1 that runs. The line starts where the formula ends, so that
  // the curve has no flat piece just before saturation, where it is read most.
  const double wait = knots.back().wait_ratio;
  knots.push_back({ResponseCurve::kMaxUtilisation, wait + ResponseCurve::kMaxUtilisation - kErlangUntil, 0});
  return ResponseCurve(std::move(knots));
}

CurveLearner::CurveLearner(double cpus, Nanoseconds half_life)
    : half_life_(half_life),
      bins_(static_cast<std::size_t>(std::lround(ResponseCurve::kMaxUtilisation / kBinWidth))),
      prior_(prior_curve(cpus)) {
  for (std::size_t i = 0; i < bins_.size(); ++i) prior_of_bins_.push_back(prior_.wait_ratio(bin_centre(i)));
}

void CurveLearner::observe(Timestamp time, double utilisation, Nanoseconds run, Nanoseconds wait) {
  if (!std::isfinite(utilisation) || utilisation < 0 || run <= Nanoseconds::zero() || wait < Nanoseconds::zero())
    return;
  double weight = 1;
  if (time > newest_) {
    const double faded = std::exp2(-to_seconds(time - newest_) / to_seconds(half_life_));
    for (Bin& bin : bins_) {
      bin.run_s *= faded;
      bin.wait_s *= faded;
    }
    newest_ = time;
  } else {
    weight = std::exp2(-to_seconds(newest_ - time) / to_seconds(half_life_));
  }
  const auto index = std::min(static_cast<std::size_t>(utilisation / kBinWidth), bins_.size() - 1);
  bins_[index].run_s += weight * to_seconds(run);
  bins_[index].wait_s += weight * to_seconds(wait);
}

ResponseCurve CurveLearner::curve() const {
  // How the host compares with the prior on the whole, so that bins it has not been in yet move along with
  // those it has.
  double host_s = kFactorPriorRun_s * kFactorFloor;
  double prior_s = host_s;
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    host_s += bins_[i].wait_s + kFactorFloor * bins_[i].run_s;
    prior_s += bins_[i].run_s * (prior_of_bins_[i] + kFactorFloor);
  }
  const double factor = host_s / prior_s;

  std::vector<double> ratios;
  std::vector<double> weights;
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    const double expected = factor * prior_of_bins_[i];
    weights.push_back(bins_[i].run_s + kPriorRun_s);
    ratios.push_back((bins_[i].wait_s + kPriorRun_s * expected) / weights.back());
  }
  const std::vector<double> monotone = pool_adjacent_violators(ratios, weights);

  std::vector<ResponseCurve::Knot> knots;
  knots.push_back({0, std::min(factor * prior_.wait_ratio(0), monotone.front()), 0});
  for (std::size_t i = 0; i < bins_.size(); ++i) knots.push_back({bin_centre(i), monotone[i], bins_[i].run_s});
  const double last = factor * prior_.wait_ratio(ResponseCurve::kMaxUtilisation);
  knots.push_back({ResponseCurve::kMaxUtilisation, std::max(last, monotone.back()), 0});
  return ResponseCurve(std::move(knots));
}

double CurveLearner::evidence_s() const {
  double sum_s = 0;
  for (const Bin& bin : bins_) sum_s += bin.run_s;
  return sum_s;
}

}  // namespace proteus::profile
