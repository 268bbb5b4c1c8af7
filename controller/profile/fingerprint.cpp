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
/// A curve is fitted anew when evidence has changed by this share.
constexpr double kKeptShare = 0.05;
/// A slice of the kernel's scheduler on a host of eight CPUs or more (base_slice_ns).
constexpr Nanoseconds kSlice = std::chrono::milliseconds(3);

constexpr std::size_t kBins = static_cast<std::size_t>(ResponseCurve::kMaxUtilisation / kBinWidth + 0.5);

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

ResponseCurve::ResponseCurve(std::vector<Knot> knots) : shared_(std::make_shared<Shared>()) {
  const auto by_utilisation = [](const Knot& a, const Knot& b) { return a.utilisation < b.utilisation; };
  if (!std::is_sorted(knots.begin(), knots.end(), by_utilisation)) {
    std::sort(knots.begin(), knots.end(), by_utilisation);
  }
  shared_->knots = std::move(knots);
}

std::shared_ptr<const WaitTable> ResponseCurve::table() const {
  std::call_once(shared_->table_made, [this] { shared_->table = std::make_shared<const WaitTable>(*this); });
  return shared_->table;
}

WaitTable::WaitTable(const ResponseCurve& curve) {
  const int cells = static_cast<int>(ResponseCurve::kMaxUtilisation * kCellsPerUnit);
  values_.reserve(static_cast<std::size_t>(cells) + 1);
  ResponseCurve::Walk walk(curve);
  for (int i = 0; i <= cells; ++i) values_.push_back(walk.wait_ratio(static_cast<double>(i) / kCellsPerUnit));
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

ResponseCurve prior_curve(double cpus, Nanoseconds wake_up) {
  const double least = to_seconds(wake_up) / to_seconds(kSlice);
  std::vector<ResponseCurve::Knot> knots;
  const int steps = static_cast<int>(std::lround(kErlangUntil / kPriorKnotSpacing));
  for (int i = 0; i <= steps; ++i) {
    const double utilisation = i * kPriorKnotSpacing;
    knots.push_back({utilisation, least + mean_wait_at(cpus, utilisation), 0, 0});
  }
  // Demand u on capacity 1: u - 1 waits for each 1 that runs. The line starts where the formula ends, so that
  // the curve has no flat piece just before saturation, where it is read most.
  const double wait = knots.back().wait_ratio;
  knots.push_back({ResponseCurve::kMaxUtilisation, wait + ResponseCurve::kMaxUtilisation - kErlangUntil, 0, 0});
  return ResponseCurve(std::move(knots));
}

void Evidence::add(const Evidence& other) {
  if (bins.size() < other.bins.size()) bins.resize(other.bins.size());
  for (std::size_t i = 0; i < other.bins.size(); ++i) {
    bins[i].run_s += other.bins[i].run_s;
    bins[i].wait_s += other.bins[i].wait_s;
    bins[i].run_squares += other.bins[i].run_squares;
    bins[i].wait_squares += other.bins[i].wait_squares;
  }
}

void Evidence::remove(const Evidence& part) {
  // Rounding must not leave less than nothing.
  const auto less = [](double& from, double by) { from = std::max(0.0, from - by); };
  for (std::size_t i = 0; i < std::min(bins.size(), part.bins.size()); ++i) {
    less(bins[i].run_s, part.bins[i].run_s);
    less(bins[i].wait_s, part.bins[i].wait_s);
    less(bins[i].run_squares, part.bins[i].run_squares);
    less(bins[i].wait_squares, part.bins[i].wait_squares);
  }
}

double Evidence::run_s() const {
  double sum_s = 0;
  for (const Bin& bin : bins) sum_s += bin.run_s;
  return sum_s;
}

namespace {

/// Standard error of the bin's mean ratio once the prior has been mixed in, which may be wrong by as much as it says.
double standard_error(const Evidence::Bin& bin, double expected) {
  double squares = kPriorRun_s * expected * kPriorRun_s * expected;
  if (bin.run_s > 0) {
    const double ratio = bin.wait_s / bin.run_s;
    const double variance = std::max(0.0, bin.wait_squares / bin.run_s - ratio * ratio);
    squares += variance * bin.run_squares;  // run² · variance / (run² / Σ run²)
  }
  return std::sqrt(squares) / (bin.run_s + kPriorRun_s);
}

}  // namespace

ResponseCurve fit_curve(const ResponseCurve& prior, const Evidence& evidence) {
  const std::vector<Evidence::Bin>& bins = evidence.bins;
  if (bins.empty()) return prior;
  // How the host compares with the prior on the whole, so that bins it has not been in yet move along with
  // those it has.
  double host_s = kFactorPriorRun_s * kFactorFloor;
  double prior_s = host_s;
  std::vector<double> prior_ratios;
  prior_ratios.reserve(bins.size());
  ResponseCurve::Walk walk(prior);
  for (std::size_t i = 0; i < bins.size(); ++i) {
    prior_ratios.push_back(walk.wait_ratio(bin_centre(i)));
    host_s += bins[i].wait_s + kFactorFloor * bins[i].run_s;
    prior_s += bins[i].run_s * (prior_ratios[i] + kFactorFloor);
  }
  const double factor = host_s / prior_s;

  std::vector<double> ratios;
  std::vector<double> weights;
  std::vector<double> errors;
  for (std::vector<double>* each : {&ratios, &weights, &errors}) each->reserve(bins.size());
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const double expected = factor * prior_ratios[i];
    weights.push_back(bins[i].run_s + kPriorRun_s);
    ratios.push_back((bins[i].wait_s + kPriorRun_s * expected) / weights.back());
    errors.push_back(standard_error(bins[i], expected));
  }
  const std::vector<double> monotone = pool_adjacent_violators(ratios, weights);

  std::vector<ResponseCurve::Knot> knots;
  knots.reserve(bins.size() + 2);
  knots.push_back({0, std::min(factor * prior.wait_ratio(0), monotone.front()), 0, errors.front()});
  for (std::size_t i = 0; i < bins.size(); ++i) {
    knots.push_back({bin_centre(i), monotone[i], bins[i].run_s, errors[i]});
  }
  const double last = factor * prior.wait_ratio(ResponseCurve::kMaxUtilisation);
  knots.push_back({ResponseCurve::kMaxUtilisation, std::max(last, monotone.back()), 0, errors.back()});
  return ResponseCurve(std::move(knots));
}

CurveLearner::CurveLearner(ResponseCurve prior, Nanoseconds half_life)
    : prior_(std::move(prior)), half_life_(half_life) {
  evidence_.bins.resize(kBins);
}

void CurveLearner::observe(Timestamp time, double utilisation, Nanoseconds run, Nanoseconds wait) {
  if (!std::isfinite(utilisation) || utilisation < 0 || run <= Nanoseconds::zero() || wait < Nanoseconds::zero())
    return;
  double weight = 1;
  if (time > newest_) {
    const double faded = std::exp2(-to_seconds(time - newest_) / to_seconds(half_life_));
    for (Evidence::Bin& bin : evidence_.bins) {
      bin.run_s *= faded;
      bin.wait_s *= faded;
      bin.run_squares *= faded * faded;
      bin.wait_squares *= faded;
    }
    newest_ = time;
  } else {
    weight = std::exp2(-to_seconds(newest_ - time) / to_seconds(half_life_));
  }
  const auto index = std::min(static_cast<std::size_t>(utilisation / kBinWidth), kBins - 1);
  Evidence::Bin& bin = evidence_.bins[index];
  const double run_s = to_seconds(run);
  const double wait_s = to_seconds(wait);
  bin.run_s += weight * run_s;
  bin.wait_s += weight * wait_s;
  bin.run_squares += weight * weight * run_s * run_s;
  bin.wait_squares += weight * wait_s * wait_s / run_s;
}

ResponseCurve CurveLearner::curve(const Evidence& others) const {
  if (others.run_s() <= 0) return fit_curve(prior_, evidence_);
  return fit_curve(fit_curve(prior_, others), evidence_);
}

namespace {

bool moved(const Evidence& from, const Evidence& to) {
  if (from.bins.size() != to.bins.size()) return true;
  for (std::size_t i = 0; i < from.bins.size(); ++i) {
    const Evidence::Bin& before = from.bins[i];
    const Evidence::Bin& after = to.bins[i];
    // What the prior counts as is there in any case: both as it is weighed, and as what it makes of hardly any wait.
    const double run_s = before.run_s + kPriorRun_s;
    if (std::abs(after.run_s - before.run_s) > kKeptShare * run_s) return true;
    if (std::abs(after.wait_s - before.wait_s) > kKeptShare * (before.wait_s + kFactorFloor * run_s)) return true;
  }
  return false;
}

}  // namespace

const ResponseCurve& KeptCurve::of(const CurveLearner& learner, const Evidence& of_class) {
  if (!moved(own_, learner.evidence()) && !moved(of_class_, of_class) && prior_.knots() == learner.prior().knots()) {
    return curve_;
  }
  own_ = learner.evidence();
  of_class_ = of_class;
  prior_ = learner.prior();
  Evidence others = of_class;
  others.remove(own_);
  curve_ = learner.curve(others);
  return curve_;
}

}  // namespace proteus::profile
