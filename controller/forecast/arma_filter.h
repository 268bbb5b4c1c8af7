#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace proteus::forecast {

/// Orders that the filters below are written for.
inline constexpr std::size_t kArmaOrderMax = 5;

/// Coefficients of an autoregressive moving average:
///   w[t] = Σ ar[i]·w[t−1−i] + e[t] + Σ ma[j]·e[t−1−j].
/// Invariant: at most kArmaOrderMax of each.
struct Arma {
  std::vector<double> ar;
  std::vector<double> ma;
};

/// A series put through an Arma, with what the derivatives of its innovations are made of.
struct ArmaPass {
  std::vector<double> innovations;  ///< e; 0 before index ar.size()
  std::vector<double> by_ar;        ///< w / θ(B): the derivative of e[t] by ar[i] is −by_ar[t−1−i]
  std::vector<double> by_ma;        ///< e / θ(B): the derivative of e[t] by ma[j] is −by_ma[t−1−j]
};

/// Innovations conditional on the first ar.size() values, those before being 0. `pass` keeps its memory from call to
/// call. Thread: pure.
void run_filter(const Arma& arma, std::span<const double> w, ArmaPass& pass);

/// x put through φ(B) / θ(B), from 0 before index ar.size(), as the derivatives by regression coefficients need it.
std::vector<double> filtered(const Arma& arma, std::span<const double> x);

/// Σ a[t]·b[t], in an order that lets the processor work on several terms at once.
double dot(const double* a, const double* b, std::size_t count);

/// Partial autocorrelations of an autoregression, or of the one with the negated coefficients of a moving average;
/// all within (−1, 1) if and only if it is stationary. Stops at the first that is not, with what there is so far.
/// Source: Monahan (1984), after Durbin and Levinson.
std::vector<double> partial_autocorrelations(std::span<const double> ar);
/// The inverse.
std::vector<double> from_partial_autocorrelations(std::span<const double> partial);

/// No root of 1 − Σ ar[i]·z^(i+1) lies within the circle of this radius.
bool roots_outside(std::span<const double> ar, double radius);

std::vector<double> negated(std::span<const double> values);

}  // namespace proteus::forecast
