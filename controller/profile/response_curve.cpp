#include "controller/profile/response_curve.h"

#include <algorithm>
#include <cmath>

#include "controller/profile/isotonic.h"

namespace proteus::profile {
namespace {

/// A curve is fitted anew when evidence has changed by this share.
constexpr double kKeptShare = 0.05;

}  // namespace

ResponseCurve::ResponseCurve(std::vector<Knot> knots) : shared_(std::make_shared<Shared>()) {
  const auto by_load = [](const Knot& a, const Knot& b) { return a.load < b.load; };
  if (!std::is_sorted(knots.begin(), knots.end(), by_load)) std::sort(knots.begin(), knots.end(), by_load);
  shared_->knots = std::move(knots);
}

std::shared_ptr<const WaitTable> ResponseCurve::table() const {
  std::call_once(shared_->table_made, [this] { shared_->table = std::make_shared<const WaitTable>(*this); });
  return shared_->table;
}

namespace {

using Knot = ResponseCurve::Knot;

ResponseCurve::Answer answer_of(const Knot& knot) {
  return {knot.response, knot.error};
}

/// Between two neighbours, of which `right` is the first beyond the load.
ResponseCurve::Answer between(const Knot& left, const Knot& right, double load) {
  const double share = (load - left.load) / (right.load - left.load);
  return {left.response + share * (right.response - left.response), left.error + share * (right.error - left.error)};
}

}  // namespace

ResponseCurve::Answer ResponseCurve::answer(double load) const {
  const std::vector<Knot>& knots = shared_->knots;
  if (knots.empty()) return {};
  if (!(load > knots.front().load)) return answer_of(knots.front());
  if (load >= knots.back().load) return answer_of(knots.back());
  const auto right =
      std::upper_bound(knots.begin(), knots.end(), load, [](double x, const Knot& knot) { return x < knot.load; });
  return between(*(right - 1), *right, load);
}

ResponseCurve::Answer ResponseCurve::Walk::answer(double load) {
  if (knots_.empty()) return {};
  if (!(load > knots_.front().load)) return answer_of(knots_.front());
  if (load >= knots_.back().load) return answer_of(knots_.back());
  while (knots_[right_].load <= load) ++right_;
  return between(knots_[right_ - 1], knots_[right_], load);
}

WaitTable::WaitTable(const ResponseCurve& curve) {
  constexpr auto kCells = static_cast<std::size_t>(ResponseCurve::kMaxUtilisation * kCellsPerUnit) + 1;
  responses_.resize(kCells);
  errors_.resize(kCells);
  const std::vector<Knot>& knots = curve.knots();
  if (knots.empty()) return;
  const auto load_of = [](std::size_t cell) { return static_cast<double>(cell) / kCellsPerUnit; };
  std::size_t cell = 0;
  const auto fill_to = [&](std::size_t end, const auto& answer_at) {
    for (end = std::min(end, kCells); cell < end; ++cell) {
      const ResponseCurve::Answer answer = answer_at(load_of(cell));
      responses_[cell] = answer.response;
      errors_[cell] = answer.error;
    }
  };
  // Piece by piece of the curve: a new host's curve changes often, and asking for each cell would be most of it.
  const auto cells_below = [](double load) {
    return static_cast<std::size_t>(std::ceil(std::clamp(load * kCellsPerUnit, 0.0, static_cast<double>(kCells))));
  };
  while (cell < kCells && load_of(cell) <= knots.front().load)
    fill_to(cell + 1, [&](double) { return answer_of(knots.front()); });
  for (std::size_t right = 1; right < knots.size(); ++right) {
    fill_to(cells_below(knots[right].load), [&](double load) { return between(knots[right - 1], knots[right], load); });
  }
  fill_to(kCells, [&](double) { return answer_of(knots.back()); });
}

std::size_t CurveShape::bin_of(double load) const {
  const double widths = load / bin_width;
  // Bin b of a doubling scale is [2^b − 1, 2^(b+1) − 1) widths.
  const double bin = scale == Scale::kLinear ? widths : static_cast<double>(std::ilogb(1 + std::min(widths, 1e300)));
  return bin < static_cast<double>(bins) ? static_cast<std::size_t>(bin) : bins - 1;
}

double CurveShape::centre(std::size_t bin) const {
  if (scale == Scale::kLinear) return (static_cast<double>(bin) + 0.5) * bin_width;
  return (1.5 * std::ldexp(1.0, static_cast<int>(bin)) - 1) * bin_width;
}

double CurveShape::end() const {
  if (scale == Scale::kLinear) return static_cast<double>(bins) * bin_width;
  return (std::ldexp(1.0, static_cast<int>(bins)) - 1) * bin_width;
}

void Evidence::add(const Evidence& other) {
  if (bins.size() < other.bins.size()) bins.resize(other.bins.size());
  for (std::size_t i = 0; i < other.bins.size(); ++i) {
    bins[i].weight += other.bins[i].weight;
    bins[i].amount += other.bins[i].amount;
    bins[i].weight_squares += other.bins[i].weight_squares;
    bins[i].amount_squares += other.bins[i].amount_squares;
  }
}

void Evidence::remove(const Evidence& part) {
  // Rounding must not leave less than nothing.
  const auto less = [](double& from, double by) { from = std::max(0.0, from - by); };
  for (std::size_t i = 0; i < std::min(bins.size(), part.bins.size()); ++i) {
    less(bins[i].weight, part.bins[i].weight);
    less(bins[i].amount, part.bins[i].amount);
    less(bins[i].weight_squares, part.bins[i].weight_squares);
    less(bins[i].amount_squares, part.bins[i].amount_squares);
  }
}

double Evidence::weight() const {
  double sum = 0;
  for (const Bin& bin : bins) sum += bin.weight;
  return sum;
}

namespace {

/// Standard error of the bin's mean answer once the prior has been mixed in, which may be wrong by as much as it says.
double standard_error(const Evidence::Bin& bin, double prior_weight, double expected) {
  double squares = prior_weight * expected * prior_weight * expected;
  if (bin.weight > 0) {
    const double ratio = bin.amount / bin.weight;
    const double variance = std::max(0.0, bin.amount_squares / bin.weight - ratio * ratio);
    squares += variance * bin.weight_squares;  // weight² · variance / (weight² / Σ weight²)
  }
  return std::sqrt(squares) / (bin.weight + prior_weight);
}

}  // namespace

ResponseCurve fit_curve(const CurveShape& shape, const ResponseCurve& prior, const Evidence& evidence) {
  const std::vector<Evidence::Bin>& bins = evidence.bins;
  if (bins.empty()) return prior;
  // How the host compares with the prior on the whole, so that bins it has not been in yet move along with
  // those it has.
  double host_amount = shape.factor_prior_weight * shape.factor_floor;
  double prior_amount = host_amount;
  std::vector<double> priors;
  priors.reserve(bins.size());
  ResponseCurve::Walk walk(prior);
  for (std::size_t i = 0; i < bins.size(); ++i) {
    priors.push_back(walk.at(shape.centre(i)));
    host_amount += bins[i].amount + shape.factor_floor * bins[i].weight;
    prior_amount += bins[i].weight * (priors[i] + shape.factor_floor);
  }
  const double factor = host_amount / prior_amount;

  std::vector<double> ratios;
  std::vector<double> weights;
  std::vector<double> errors;
  for (std::vector<double>* each : {&ratios, &weights, &errors}) each->reserve(bins.size());
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const double expected = factor * priors[i];
    weights.push_back(bins[i].weight + shape.prior_weight);
    ratios.push_back((bins[i].amount + shape.prior_weight * expected) / weights.back());
    errors.push_back(standard_error(bins[i], shape.prior_weight, expected));
  }
  const std::vector<double> monotone = pool_adjacent_violators(ratios, weights);

  std::vector<ResponseCurve::Knot> knots;
  knots.reserve(bins.size() + 2);
  knots.push_back({0, std::min(factor * prior.at(0), monotone.front()), 0, errors.front()});
  for (std::size_t i = 0; i < bins.size(); ++i) {
    knots.push_back({shape.centre(i), monotone[i], bins[i].weight, errors[i]});
  }
  const double last = factor * prior.at(shape.end());
  knots.push_back({shape.end(), std::max(last, monotone.back()), 0, errors.back()});
  return ResponseCurve(std::move(knots));
}

CurveLearner::CurveLearner(ResponseCurve prior, Nanoseconds half_life, CurveShape shape)
    : prior_(std::move(prior)), half_life_(half_life), shape_(shape) {
  evidence_.bins.resize(shape_.bins);
}

void CurveLearner::observe(Timestamp time, double load, double weight, double amount) {
  if (!std::isfinite(load) || load < 0 || !(weight > 0) || !(amount >= 0)) return;
  double counts = 1;
  if (time > newest_) {
    const double faded = std::exp2(-to_seconds(time - newest_) / to_seconds(half_life_));
    for (Evidence::Bin& bin : evidence_.bins) {
      bin.weight *= faded;
      bin.amount *= faded;
      bin.weight_squares *= faded * faded;
      bin.amount_squares *= faded;
    }
    newest_ = time;
  } else {
    counts = std::exp2(-to_seconds(newest_ - time) / to_seconds(half_life_));
  }
  Evidence::Bin& bin = evidence_.bins[shape_.bin_of(load)];
  bin.weight += counts * weight;
  bin.amount += counts * amount;
  bin.weight_squares += counts * counts * weight * weight;
  bin.amount_squares += counts * amount * amount / weight;
}

ResponseCurve CurveLearner::curve(const Evidence& others) const {
  if (others.weight() <= 0) return fit_curve(shape_, prior_, evidence_);
  return fit_curve(shape_, fit_curve(shape_, prior_, others), evidence_);
}

namespace {

bool moved(const CurveShape& shape, const Evidence& from, const Evidence& to) {
  if (from.bins.size() != to.bins.size()) return true;
  for (std::size_t i = 0; i < from.bins.size(); ++i) {
    const Evidence::Bin& before = from.bins[i];
    const Evidence::Bin& after = to.bins[i];
    // What the prior counts as is there in any case: both as it is weighed, and as what it makes of next to nothing.
    const double weight = before.weight + shape.prior_weight;
    if (std::abs(after.weight - before.weight) > kKeptShare * weight) return true;
    if (std::abs(after.amount - before.amount) > kKeptShare * (before.amount + shape.factor_floor * weight))
      return true;
  }
  return false;
}

}  // namespace

const ResponseCurve& KeptCurve::of(const CurveLearner& learner, const Evidence& of_class) {
  if (!moved(learner.shape(), own_, learner.evidence()) && !moved(learner.shape(), of_class_, of_class) &&
      (prior_ == learner.prior() || prior_.knots() == learner.prior().knots())) {
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
