#include "controller/forecast/regression.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace proteus::forecast {
namespace {

constexpr std::size_t kRowsMin = 60;
constexpr std::size_t kInputsMax = 6;
/// A signal must be known for this share of the history.
constexpr double kKnownMin = 0.8;
/// Of the penalty, relative to the number of rows; columns have variance 1.
constexpr double kRidge = 1e-3;
/// A path may rise this far above the highest value seen, on the asinh scale: about sevenfold.
constexpr double kRise = 2;

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Where asinh turns from linear to logarithmic: about the spread of the values.
double scale_of(const std::vector<double>& values) {
  const double median = median_of(values);
  double spread = 0;
  double steps = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    spread += std::abs(values[i] - median);
    if (i > 0) steps += std::abs(values[i] - values[i - 1]);
  }
  const auto n = static_cast<double>(values.size());
  return spread / n + 0.1 * steps / n + 1e-4 * std::abs(median) + 1e-9;
}

}  // namespace

/// Columns of the regression, centred and scaled to variance 1, with all their products.
struct Regression::Design {
  std::size_t rows = 0;
  std::size_t width = 0;  ///< columns; the last one is the target
  std::vector<double> means;
  std::vector<double> deviations;  ///< 0: the column is constant and takes no part
  std::vector<double> products;    ///< width × width, sums over rows of centred and scaled columns

  explicit Design(const std::vector<std::vector<double>>& columns) : rows(columns[0].size()), width(columns.size()) {
    const auto n = static_cast<double>(rows);
    std::vector<std::vector<double>> scaled = columns;
    for (std::vector<double>& column : scaled) {
      double mean = 0;
      for (const double v : column) mean += v;
      mean /= n;
      double square = 0;
      for (double& v : column) {
        v -= mean;
        square += v * v;
      }
      const double deviation = std::sqrt(square / n);
      means.push_back(mean);
      deviations.push_back(deviation > 1e-9 * (1 + std::abs(mean)) ? deviation : 0);
      for (double& v : column) v = deviations.back() > 0 ? v / deviations.back() : 0;
    }
    products.resize(width * width);
    for (std::size_t a = 0; a < width; ++a) {
      for (std::size_t b = 0; b <= a; ++b) {
        double sum = 0;
        for (std::size_t row = 0; row < rows; ++row) sum += scaled[a][row] * scaled[b][row];
        products[a * width + b] = products[b * width + a] = sum;
      }
    }
  }

  struct Solution {
    std::vector<double> coefficients;  ///< of scaled columns
    double residual = 0;               ///< sum of squares, penalty aside
  };
  /// Ridge regression of the target on some columns, by Cholesky's method.
  Solution solve(const std::vector<std::size_t>& chosen) const {
    const std::size_t p = chosen.size();
    const std::size_t target = width - 1;
    const double penalty = kRidge * static_cast<double>(rows);
    std::vector<double> factor(p * p);
    std::vector<double> x(p);
    for (std::size_t i = 0; i < p; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        double sum = products[chosen[i] * width + chosen[j]] + (i == j ? penalty : 0);
        for (std::size_t k = 0; k < j; ++k) sum -= factor[i * p + k] * factor[j * p + k];
        factor[i * p + j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / factor[j * p + j];
      }
      double sum = products[chosen[i] * width + target];
      for (std::size_t k = 0; k < i; ++k) sum -= factor[i * p + k] * x[k];
      x[i] = sum / factor[i * p + i];
    }
    for (std::size_t i = p; i-- > 0;) {
      for (std::size_t k = i + 1; k < p; ++k) x[i] -= factor[k * p + i] * x[k];
      x[i] /= factor[i * p + i];
    }
    double residual = products[target * width + target];
    for (std::size_t i = 0; i < p; ++i) {
      residual -= 2 * x[i] * products[chosen[i] * width + target];
      for (std::size_t j = 0; j < p; ++j) residual += x[i] * x[j] * products[chosen[i] * width + chosen[j]];
    }
    return {std::move(x), std::max(residual, 1e-9)};
  }
};

Regression::Regression(int season_steps, int horizon_steps, int fit_steps)
    : season_steps_(static_cast<std::size_t>(std::max(1, season_steps))),
      horizon_steps_(horizon_steps),
      fit_steps_(static_cast<std::size_t>(fit_steps)),
      errors_(horizon_steps) {}

double Regression::to_z(double value) const {
  return std::min(std::asinh(value / scale_), z_max_);
}

std::vector<std::string> Regression::signals() const {
  std::vector<std::string> taken;
  for (const Input& input : inputs_) taken.push_back(names_[input.index]);
  return taken;
}

/// Takes in signals while they help. Columns: the lags, the season, then two per signal, then the target.
bool Regression::select(const Design& design, std::string& trouble) {
  const std::size_t first_input = kLags + 1;
  const std::size_t count = inputs_.size();
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < first_input; ++i) {
    if (design.deviations[i] > 0) chosen.push_back(i);
  }
  Design::Solution best = design.solve(chosen);
  std::vector<bool> taken(count, false);
  const auto n = static_cast<double>(design.rows);
  // Two parameters each; with many to choose from, one fits by chance.
  const double price = 2 * std::log(n) + 2 * std::log(static_cast<double>(count) + 1);
  for (std::size_t round = 0; round < std::min(count, kInputsMax); ++round) {
    std::optional<std::size_t> winner;
    Design::Solution winning;
    std::vector<std::size_t> with;
    for (std::size_t i = 0; i < count; ++i) {
      if (taken[i] || design.deviations[first_input + 2 * i] == 0) continue;
      std::vector<std::size_t> tried = chosen;
      tried.push_back(first_input + 2 * i);
      tried.push_back(first_input + 2 * i + 1);
      Design::Solution solution = design.solve(tried);
      if (winner && solution.residual >= winning.residual) continue;
      winner = i;
      winning = std::move(solution);
      with = std::move(tried);
    }
    if (!winner || n * std::log(best.residual / winning.residual) <= price) break;
    taken[*winner] = true;
    best = std::move(winning);
    chosen = std::move(with);
  }
  if (std::find(taken.begin(), taken.end(), true) == taken.end()) {
    trouble = "no signal explains this series";
    return false;
  }
  // Back to the units of the columns.
  std::vector<double> coefficients(design.width, 0);
  const double target_deviation = design.deviations.back();
  constant_ = design.means.back();
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (design.deviations[chosen[i]] == 0) continue;
    coefficients[chosen[i]] = best.coefficients[i] * target_deviation / design.deviations[chosen[i]];
    constant_ -= coefficients[chosen[i]] * design.means[chosen[i]];
  }
  std::copy(coefficients.begin(), coefficients.begin() + kLags, lags_.begin());
  season_ = coefficients[kLags];
  for (std::size_t i = 0; i < count; ++i) {
    inputs_[i].now = coefficients[first_input + 2 * i];
    inputs_[i].before = coefficients[first_input + 2 * i + 1];
  }
  std::vector<Input> kept;
  for (std::size_t i = 0; i < count; ++i) {
    if (taken[i]) kept.push_back(inputs_[i]);
  }
  inputs_ = std::move(kept);
  return true;
}

/// z at position `at`, from past[at - 1] and before.
double Regression::step(std::span<const double> past, std::size_t at, double from_inputs) const {
  double z = constant_ + from_inputs;
  for (std::size_t lag = 0; lag < kLags; ++lag) z += lags_[lag] * past[at - 1 - lag];
  if (season_ != 0) z += season_ * past[at - season_steps_];
  return std::clamp(z, 0.0, z_max_);
}

/// values[i]: what inputs_[i] is at a step, on the asinh scale; left as it is where that is not known.
void Regression::read_inputs(Timestamp begin, std::vector<double>& values) const {
  if (covariates_ == nullptr || covariates_->names() != names_) return;
  std::vector<double> row(names_.size());
  covariates_->at(begin, row);
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const double value = row[inputs_[i].index];
    if (std::isfinite(value)) values[i] = std::asinh(value / inputs_[i].scale);
  }
}

Status Regression::fit(const History& history) {
  fitted_ = false;
  const auto failed = [](const std::string& why) {
    return Error{ErrorCode::kFailedPrecondition, "regression: " + why};
  };
  names_ = covariates_ == nullptr ? std::vector<std::string>() : covariates_->names();
  if (names_.empty()) return failed("no signals");
  const std::size_t n = std::min(history.values.size(), fit_steps_);
  const std::span<const double> values(history.values.data() + history.values.size() - n, n);
  const auto first_known = std::find_if(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  const bool seasonal = n >= season_steps_ + kRowsMin && season_steps_ > kLags;
  const std::size_t first_row = seasonal ? season_steps_ : kLags;
  if (first_known == values.end() || n < first_row + kRowsMin) return failed("needs 63 steps");

  std::vector<double> filled(values.begin(), values.end());
  std::fill(filled.begin(), filled.begin() + (first_known - values.begin()), *first_known);
  for (std::size_t i = 1; i < n; ++i) {
    if (!std::isfinite(filled[i])) filled[i] = filled[i - 1];
  }
  scale_ = scale_of(filled);
  z_max_ = std::asinh(*std::max_element(filled.begin(), filled.end()) / scale_) + kRise;
  std::vector<double> z(n);
  for (std::size_t i = 0; i < n; ++i) z[i] = to_z(filled[i]);

  // Signals over the history; those known long enough are to be chosen from.
  end_ = history.end;
  step_ = history.step;
  std::vector<double> rows(n * names_.size());
  for (std::size_t i = 0; i < n; ++i) {
    covariates_->at(end_ - step_ * static_cast<std::int64_t>(n - i), {rows.data() + i * names_.size(), names_.size()});
  }
  inputs_.clear();
  std::vector<std::vector<double>> signals;  // by input, on the asinh scale, gaps held
  for (std::size_t k = 0; k < names_.size(); ++k) {
    std::vector<double> signal;
    std::size_t unknown_at_end = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double value = rows[i * names_.size() + k];
      if (std::isfinite(value)) signal.push_back(value);
      unknown_at_end = std::isfinite(value) ? 0 : unknown_at_end + 1;
    }
    if (static_cast<double>(signal.size()) < kKnownMin * static_cast<double>(n)) continue;
    Input input{.index = k, .scale = scale_of(signal), .ahead = -static_cast<int>(unknown_at_end)};
    const double first = signal.front();
    signal.assign(n, 0);
    for (std::size_t i = 0; i < n; ++i) {
      const double value = rows[i * names_.size() + k];
      signal[i] = std::isfinite(value) ? std::asinh(value / input.scale)
                  : i == 0             ? std::asinh(first / input.scale)
                                       : signal[i - 1];
    }
    input.held = signal.back();
    inputs_.push_back(input);
    signals.push_back(std::move(signal));
  }
  if (inputs_.empty()) return failed("no signal has been known for long enough");

  std::vector<std::vector<double>> columns(kLags + 1 + 2 * inputs_.size() + 1);
  for (std::size_t i = first_row; i < n; ++i) {
    if (!std::isfinite(values[i])) continue;
    for (std::size_t lag = 0; lag < kLags; ++lag) columns[lag].push_back(z[i - 1 - lag]);
    columns[kLags].push_back(seasonal ? z[i - season_steps_] : 0);
    for (std::size_t k = 0; k < inputs_.size(); ++k) {
      columns[kLags + 1 + 2 * k].push_back(signals[k][i]);
      columns[kLags + 2 + 2 * k].push_back(signals[k][i - 1]);
    }
    columns.back().push_back(z[i]);
  }
  if (columns.back().size() < kRowsMin) return failed("too many steps are missing");
  std::string trouble;
  std::vector<std::size_t> positions;
  const std::vector<Input> before = inputs_;
  if (!select(Design(columns), trouble)) return failed(trouble);
  for (const Input& input : inputs_) {
    positions.push_back(static_cast<std::size_t>(
        std::find_if(before.begin(), before.end(), [&](const Input& b) { return b.index == input.index; }) -
        before.begin()));
  }
  // How far ahead each is known, now as at any time.
  std::vector<bool> open(inputs_.size());
  for (std::size_t k = 0; k < inputs_.size(); ++k) open[k] = inputs_[k].ahead == 0;
  std::vector<double> row(names_.size());
  for (int h = 0; h < horizon_steps_ && std::find(open.begin(), open.end(), true) != open.end(); ++h) {
    covariates_->at(end_ + step_ * h, row);
    for (std::size_t k = 0; k < inputs_.size(); ++k) {
      open[k] = open[k] && std::isfinite(row[inputs_[k].index]);
      if (open[k]) ++inputs_[k].ahead;
    }
  }

  std::vector<double> trial = z;
  const auto path_of = [&](std::size_t origin, std::span<double> path) {
    // What was after the origin is overwritten by the path, and put back.
    for (std::size_t j = 0; j < path.size(); ++j) {
      const std::size_t at = origin + 1 + j;
      double from_inputs = 0;
      for (std::size_t k = 0; k < inputs_.size(); ++k) {
        const std::int64_t known = static_cast<std::int64_t>(origin) + inputs_[k].ahead;
        const auto seen = [&](std::size_t i) {
          const std::int64_t index =
              std::clamp<std::int64_t>(static_cast<std::int64_t>(i), 0, std::max<std::int64_t>(0, known));
          return signals[positions[k]][static_cast<std::size_t>(index)];
        };
        from_inputs += inputs_[k].now * seen(at) + inputs_[k].before * seen(at - 1);
      }
      trial[at] = path[j] = step(trial, at, from_inputs);
    }
    std::copy(z.begin() + static_cast<std::ptrdiff_t>(origin) + 1,
              z.begin() + static_cast<std::ptrdiff_t>(origin + 1 + path.size()),
              trial.begin() + static_cast<std::ptrdiff_t>(origin) + 1);
  };
  std::vector<double> actual(n);
  for (std::size_t i = 0; i < n; ++i) actual[i] = std::isfinite(values[i]) ? z[i] : values[i];
  if (!errors_.learn(actual, first_row, path_of)) return failed("no errors to learn from");
  const std::size_t kept = std::max(kLags, season_steps_);
  past_.assign(z.end() - static_cast<std::ptrdiff_t>(std::min(n, kept)), z.end());
  if (past_.size() < kept && season_ != 0) return failed("needs a season");
  fitted_ = true;
  return {};
}

void Regression::update(double value) {
  if (!fitted_) return;
  std::vector<double> held;
  for (const Input& input : inputs_) held.push_back(input.held);
  read_inputs(end_, held);  // the step that has just closed began at the end of what was known
  for (std::size_t i = 0; i < inputs_.size(); ++i) inputs_[i].held = held[i];
  end_ += step_;
  past_.erase(past_.begin());
  past_.push_back(std::isfinite(value) ? to_z(std::max(0.0, value)) : past_.back());
}

Result<Forecast> Regression::forecast(int steps) const {
  if (!fitted_) return Error{ErrorCode::kFailedPrecondition, "regression: not fitted"};
  std::vector<double> z = past_;
  const std::size_t known = z.size();
  z.resize(known + static_cast<std::size_t>(steps));
  std::vector<double> before;
  for (const Input& input : inputs_) before.push_back(input.held);
  for (std::size_t h = 0; h < static_cast<std::size_t>(steps); ++h) {
    std::vector<double> now = before;
    read_inputs(end_ + step_ * static_cast<std::int64_t>(h), now);
    double from_inputs = 0;
    for (std::size_t k = 0; k < inputs_.size(); ++k) {
      from_inputs += inputs_[k].now * now[k] + inputs_[k].before * before[k];
    }
    z[known + h] = step(z, known + h, from_inputs);
    before = std::move(now);
  }
  Forecast forecast{.made_at = end_, .step = step_, .steps = {}, .window_max = {}, .model = "regression"};
  put_errors_around({z.data() + known, static_cast<std::size_t>(steps)}, {}, errors_, forecast);
  const auto back = [this](Quantiles& q) {
    for (const auto member : kQuantileMembers) q.*member = scale_ * std::sinh(std::min(q.*member, z_max_ + kRise));
  };
  for (Quantiles& q : forecast.steps) back(q);
  back(forecast.window_max);
  return forecast;
}

}  // namespace proteus::forecast
