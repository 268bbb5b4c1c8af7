#include "controller/forecast/arma_filter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace proteus::forecast {
namespace {

/// One filter 1 / θ(B) with its memory in registers.
template <std::size_t Q>
struct Memory {
  std::array<double, Q> past{};  ///< newest first
  double step(double in, const std::array<double, Q>& ma) {
    // The newest comes last, since it is the one that has to be waited for.
    for (std::size_t j = Q; j-- > 0;) in -= ma[j] * past[j];
    for (std::size_t j = Q; j-- > 1;) past[j] = past[j - 1];
    if constexpr (Q > 0) past[0] = in;
    return in;
  }
};

template <std::size_t Q>
std::array<double, Q> fixed(const std::vector<double>& ma) {
  std::array<double, Q> result{};
  std::copy_n(ma.begin(), Q, result.begin());
  return result;
}

/// innovations holds φ(B)·w and becomes e. The three filters run side by side.
template <std::size_t Q>
void run_moving_average(const std::vector<double>& coefficients, std::size_t first, std::span<const double> w,
                        ArmaPass& pass) {
  const std::array<double, Q> ma = fixed<Q>(coefficients);
  Memory<Q> e;
  Memory<Q> by_ar;
  Memory<Q> by_ma;
  for (std::size_t t = 0; t < std::min(first, w.size()); ++t) {
    pass.by_ar[t] = by_ar.step(w[t], ma);
    pass.by_ma[t] = 0;
  }
  for (std::size_t t = first; t < w.size(); ++t) {
    const double innovation = e.step(pass.innovations[t], ma);
    pass.innovations[t] = innovation;
    pass.by_ar[t] = by_ar.step(w[t], ma);
    pass.by_ma[t] = by_ma.step(innovation, ma);
  }
}

template <std::size_t Q>
void run_one(const std::vector<double>& coefficients, std::size_t first, std::vector<double>& values) {
  const std::array<double, Q> ma = fixed<Q>(coefficients);
  Memory<Q> memory;
  for (std::size_t t = first; t < values.size(); ++t) values[t] = memory.step(values[t], ma);
}

/// Calls visit with the moving average's order as a constant.
template <typename Visit>
void with_order(std::size_t order, Visit visit) {
  switch (order) {
    case 0: return visit(std::integral_constant<std::size_t, 0>{});
    case 1: return visit(std::integral_constant<std::size_t, 1>{});
    case 2: return visit(std::integral_constant<std::size_t, 2>{});
    case 3: return visit(std::integral_constant<std::size_t, 3>{});
    case 4: return visit(std::integral_constant<std::size_t, 4>{});
    default: return visit(std::integral_constant<std::size_t, kArmaOrderMax>{});
  }
}

/// φ(B)·w from index ar.size() on, 0 before.
void autoregress(const std::vector<double>& ar, std::span<const double> w, std::vector<double>& out) {
  const std::size_t p = ar.size();
  out.assign(w.begin(), w.end());
  std::fill_n(out.begin(), std::min(p, w.size()), 0.0);
  for (std::size_t i = 0; i < p; ++i) {
    const double coefficient = ar[i];
    const double* past = w.data() + (p - 1 - i);
    double* to = out.data() + p;
    const std::size_t count = w.size() > p ? w.size() - p : 0;
    for (std::size_t t = 0; t < count; ++t) to[t] -= coefficient * past[t];
  }
}

}  // namespace

void run_filter(const Arma& arma, std::span<const double> w, ArmaPass& pass) {
  autoregress(arma.ar, w, pass.innovations);
  pass.by_ar.resize(w.size());
  pass.by_ma.resize(w.size());
  with_order(arma.ma.size(),
             [&](auto order) { run_moving_average<decltype(order)::value>(arma.ma, arma.ar.size(), w, pass); });
}

std::vector<double> filtered(const Arma& arma, std::span<const double> x) {
  std::vector<double> out;
  autoregress(arma.ar, x, out);
  with_order(arma.ma.size(), [&](auto order) { run_one<decltype(order)::value>(arma.ma, arma.ar.size(), out); });
  return out;
}

double dot(const double* a, const double* b, std::size_t count) {
  double s0 = 0;
  double s1 = 0;
  double s2 = 0;
  double s3 = 0;
  std::size_t t = 0;
  for (; t + 4 <= count; t += 4) {
    s0 += a[t] * b[t];
    s1 += a[t + 1] * b[t + 1];
    s2 += a[t + 2] * b[t + 2];
    s3 += a[t + 3] * b[t + 3];
  }
  for (; t < count; ++t) s0 += a[t] * b[t];
  return (s0 + s1) + (s2 + s3);
}

std::vector<double> partial_autocorrelations(std::span<const double> ar) {
  std::vector<double> partial;
  std::vector<double> now(ar.begin(), ar.end());
  while (!now.empty()) {
    const double last = now.back();
    partial.push_back(last);
    const double left = 1 - last * last;
    if (!(left > 0)) break;
    const std::size_t order = now.size() - 1;
    std::vector<double> lower(order);
    for (std::size_t i = 0; i < order; ++i) lower[i] = (now[i] + last * now[order - 1 - i]) / left;
    now = std::move(lower);
  }
  std::reverse(partial.begin(), partial.end());
  return partial;
}

std::vector<double> from_partial_autocorrelations(std::span<const double> partial) {
  std::vector<double> now;
  for (const double last : partial) {
    std::vector<double> next(now.size());
    for (std::size_t i = 0; i < now.size(); ++i) next[i] = now[i] - last * now[now.size() - 1 - i];
    next.push_back(last);
    now = std::move(next);
  }
  return now;
}

bool roots_outside(std::span<const double> ar, double radius) {
  std::vector<double> scaled(ar.begin(), ar.end());
  double power = 1;
  for (double& coefficient : scaled) coefficient *= power *= radius;
  const std::vector<double> partial = partial_autocorrelations(scaled);
  return partial.size() == scaled.size() &&
         std::all_of(partial.begin(), partial.end(), [](double value) { return std::abs(value) < 1; });
}

std::vector<double> negated(std::span<const double> values) {
  std::vector<double> result(values.begin(), values.end());
  for (double& value : result) value = -value;
  return result;
}

}  // namespace proteus::forecast
