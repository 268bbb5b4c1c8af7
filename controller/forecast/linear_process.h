#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace proteus::forecast {

// What every linear model x[t] = Σ ar[i]·x[t−1−i] + e[t] + Σ ma[j]·e[t−1−j] shares. Thread: pure.

/// One-step errors e of an autoregression; values before the first are taken as zero.
std::vector<double> autoregressive_errors(std::span<const double> values, std::span<const double> ar);

/// The effect of an innovation j steps later, j = 0 … count − 1 (psi weights; psi[0] = 1).
std::vector<double> impulse_response(std::span<const double> ar, std::span<const double> ma, std::size_t count);

/// Expected values of the `count` steps after `values`, of which there are at least as many as ar has coefficients.
std::vector<double> autoregressive_path(std::span<const double> values, std::span<const double> ar, std::size_t count);

}  // namespace proteus::forecast
