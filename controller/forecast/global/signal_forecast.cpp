#include "controller/forecast/global/signal_forecast.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "controller/forecast/asinh_scale.h"
#include "controller/forecast/least_squares.h"

namespace proteus::forecast::global {
namespace {

constexpr double kKnownMin = 0.6;  ///< share of the window in which a signal must be known
/// Of the signals' variance, added to it: so that signals that go together share what they do.
constexpr double kRidge = 0.01;

/// A signal over the window's steps and those to come, on an asinh scale of its own (so that a series which goes in
/// proportion to it does so there too), with mean 0 and deviation 1 over the former.
using Signal = std::vector<float>;

/// A gap holds the value before it, and what is before the first value known is that. Empty if it tells nothing.
Signal standardised(const SignalRows& rows, std::size_t which, std::size_t steps) {
  const std::size_t total = rows.values.size() / rows.count;
  const std::size_t skipped = total - kHorizon - steps;
  const auto at = [&](std::size_t i) { return static_cast<double>(rows.values[(skipped + i) * rows.count + which]); };
  std::vector<double> held;
  std::size_t known = 0;
  for (std::size_t i = 0; i < steps; ++i) {
    const double value = at(i);
    if (std::isfinite(value)) {
      if (held.empty()) held.assign(i, value);
      held.push_back(value);
      ++known;
    } else if (!held.empty()) {
      held.push_back(held.back());
    }
  }
  if (static_cast<double>(known) < kKnownMin * static_cast<double>(steps)) return {};
  const AsinhScale scale = AsinhScale::of(held, kWeek);
  Signal signal;
  for (const double value : held) signal.push_back(static_cast<float>(scale.to_z(value)));
  const float centre = mean(signal);
  const float deviation = standard_deviation(signal);
  if (!(deviation > 1e-4F)) return {};
  for (float& value : signal) value = (value - centre) / deviation;
  const std::span<const float> past(signal);
  const float alone = dot(past.first(steps - 1), past.first(steps - 1));
  const float together = dot(past.first(steps - 1), past.last(steps - 1));
  const float persistence = alone > 0 ? std::clamp(together / alone, 0.0F, 1.0F) : 0.0F;
  for (std::size_t i = steps; i < steps + kHorizon; ++i) {
    const double value = at(i);
    signal.push_back(std::isfinite(value) ? (static_cast<float>(scale.to_z(value)) - centre) / deviation
                                          : persistence * signal.back());
  }
  return signal;
}

/// Coefficients by least squares over steps [0, until), all with their means there taken out.
std::vector<double> regress(std::span<const float> values, const std::vector<Signal>& signals, std::size_t until) {
  const std::size_t n = signals.size();
  std::vector<double> means(n);
  const double values_mean = mean(values.first(until));
  for (std::size_t k = 0; k < n; ++k) means[k] = mean(std::span(signals[k]).first(until));
  SymmetricSystem system(n);
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = a; b < n; ++b) {
      double sum = 0;
      for (std::size_t i = 0; i < until; ++i) sum += (signals[a][i] - means[a]) * (signals[b][i] - means[b]);
      system.at(a, b) = a == b ? sum + kRidge * static_cast<double>(until) : sum;
    }
    double sum = 0;
    for (std::size_t i = 0; i < until; ++i) sum += (signals[a][i] - means[a]) * (values[i] - values_mean);
    system.right(a) = sum;
  }
  return system.solve();
}

/// The same of the differences over an hour: for a series that wanders by itself.
std::vector<double> regress_differences(std::span<const float> values, const std::vector<Signal>& signals,
                                        std::size_t until) {
  std::vector<float> of_values;
  std::vector<Signal> of_signals(signals.size());
  for (std::size_t i = kHour; i < until; ++i) {
    of_values.push_back(values[i] - values[i - kHour]);
    for (std::size_t k = 0; k < signals.size(); ++k) of_signals[k].push_back(signals[k][i] - signals[k][i - kHour]);
  }
  return regress(of_values, of_signals, of_values.size());
}

float effect(const std::vector<double>& coefficients, const std::vector<Signal>& signals, std::size_t step) {
  double sum = 0;
  for (std::size_t k = 0; k < signals.size(); ++k) sum += coefficients[k] * static_cast<double>(signals[k][step]);
  return static_cast<float>(sum);
}

std::vector<float> without(std::span<const float> values, const std::vector<double>& coefficients,
                           const std::vector<Signal>& signals) {
  std::vector<float> rest(values.begin(), values.end());
  for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= effect(coefficients, signals, i);
  return rest;
}

/// Squared errors over the steps from `from` on of a forecast an hour before: back to the mean of the steps before
/// `from` as fast as went there.
double error_an_hour_ahead(std::span<const float> values, std::size_t from) {
  const double centre = mean(values.first(from));
  double together = 0;
  double alone = 0;
  for (std::size_t i = kHour; i < from; ++i) {
    together += (values[i] - centre) * (values[i - kHour] - centre);
    alone += (values[i - kHour] - centre) * (values[i - kHour] - centre);
  }
  const double kept = alone > 0 ? std::clamp(together / alone, 0.0, 1.0) : 0.0;
  double sum = 0;
  for (std::size_t i = from; i < values.size(); ++i) {
    const double error = (values[i] - centre) - kept * (values[i - kHour] - centre);
    sum += error * error;
  }
  return sum;
}

}  // namespace

std::optional<SignalForecast> forecast_with_signals(const HistoryView& view, const SignalRows& signals) {
  if (signals.count == 0 || signals.values.size() / signals.count < view.size() + kHorizon) return std::nullopt;
  const std::span<const float> values = view.without_profile();
  const std::size_t first = view.size() - values.size();
  const float share = view.seasonal_share();
  std::vector<Signal> plain;
  for (std::size_t k = 0; k < std::min(signals.count, kSignalsMax); ++k) {
    Signal signal = standardised(signals, k, view.size());
    if (signal.empty()) continue;
    const std::vector<float> profile = daily_profile(std::span(signal).first(view.size()), first);
    signal.erase(signal.begin(), signal.begin() + static_cast<std::ptrdiff_t>(first));
    for (std::size_t i = 0; i < signal.size(); ++i) signal[i] -= share * profile[i];
    plain.push_back(std::move(signal));
  }
  if (plain.empty()) return std::nullopt;

  const std::size_t from = values.size() - values.size() / 3;
  const double alone = error_an_hour_ahead(values, from);
  if (!(alone > 0)) return std::nullopt;
  const auto gain_of = [&](const std::vector<double>& coefficients) {
    return 1 - error_an_hour_ahead(without(values, coefficients, plain), from) / alone;
  };
  const double by_level = gain_of(regress(values, plain, from));
  const double by_difference = gain_of(regress_differences(values, plain, from));
  const double gain = std::max(by_level, by_difference);
  if (!(gain > 0)) return std::nullopt;

  const std::vector<double> coefficients = by_level >= by_difference
                                               ? regress(values, plain, values.size())
                                               : regress_differences(values, plain, values.size());
  SignalForecast result{.rest = autoregress(without(values, coefficients, plain), kHorizon),
                        .path = {},
                        .gain = static_cast<float>(std::min(gain, 1.0))};
  for (std::size_t h = 1; h <= kHorizon; ++h) {
    result.path.push_back(share * view.profile(static_cast<std::ptrdiff_t>(h) - 1) +
                          effect(coefficients, plain, values.size() + h - 1) + result.rest.path[h - 1]);
  }
  return result;
}

}  // namespace proteus::forecast::global
