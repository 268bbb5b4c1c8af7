#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace proteus::forecast {

/// Exponential smoothing in innovations form, with or without a damped trend:
///   e = y − (level + phi·trend),  level += phi·trend + alpha·e,  trend = phi·trend + beta·e.
/// Without a trend beta = 0 and trend = 0.
struct Smoothing {
  double alpha = 0.5;
  double beta = 0;
  double phi = 1;
  double level = 0;  ///< before the first value
  double trend = 0;
};

/// Whether errors are as large everywhere, or in proportion to the level. It makes no difference to the filter, only to
/// what is likely.
enum class ErrorKind : std::uint8_t { kAdditive, kMultiplicative };

struct SmoothingFit {
  Smoothing start;  ///< parameters, and the state before the first value
  Smoothing end;    ///< and after the last
  ErrorKind kind = ErrorKind::kAdditive;
  bool trended = false;
  double aicc = 0;
  std::vector<double> innovations;  ///< e
};

/// The most likely of the models (A,N,N), (A,Ad,N), (M,N,N), (M,Ad,N) by the corrected Akaike criterion; those with
/// multiplicative errors only if all values are positive. Parameters by maximum likelihood within the usual bounds;
/// the state before the first value by least squares given them. Undamped trends are left out: over hundreds of steps
/// they explode. y: finite, at least four. Returns nothing if y is constant.
/// Source: Hyndman, Koehler, Ord & Snyder (2008), ch. 5; damped trend per Gardner & McKenzie (1985).
std::optional<SmoothingFit> fit_smoothing(std::span<const double> y);

/// Simple exponential smoothing alone, its gain by a search of few passes, its first level by least squares.
/// y: finite, at least two.
SmoothingFit fit_simple_smoothing(std::span<const double> y);

/// Effect of an innovation j steps later, j = 0 … count − 1.
std::vector<double> smoothing_psi(const Smoothing& smoothing, int count);
/// Point forecasts from the state of `smoothing`.
std::vector<double> smoothing_path(const Smoothing& smoothing, int steps);

}  // namespace proteus::forecast
