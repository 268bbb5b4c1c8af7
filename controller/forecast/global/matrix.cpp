#include "controller/forecast/global/matrix.h"

#include <bit>
#include <cassert>
#include <cstdint>
#include <mutex>

#include "controller/forecast/global/xtensor_fix.h"
// After the fix.
#include <xtensor-blas/xblas.hpp>
#include <xtensor/xadapt.hpp>
#include <xtensor/xmath.hpp>

extern "C" void openblas_set_num_threads(int threads);

namespace proteus::forecast::global {

namespace {

auto view(const Matrix& m) {
  return xt::adapt(m.data, m.size(), xt::no_ownership(), std::array<std::size_t, 2>{m.rows, m.columns});
}

auto view(const ConstMatrix& m) {
  return xt::adapt(m.data, m.size(), xt::no_ownership(), std::array<std::size_t, 2>{m.rows, m.columns});
}

/// Parallel work is one series per thread; BLAS threads beneath would only wait for each other.
void use_one_blas_thread() {
  static std::once_flag once;
  std::call_once(once, [] { openblas_set_num_threads(1); });
}

/// e^x by range reduction and a polynomial; written so that compilers vectorise it.
/// Source: Cephes expf (Moshier, 1989).
inline float exp_of(float x) {
  x = x > 88.0F ? 88.0F : (x < -87.0F ? -87.0F : x);
  const float shifted = x * 1.44269504088896341F + 12582912.0F;  // 1.5 · 2^23 rounds to an integer
  const float n = shifted - 12582912.0F;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const auto exponent = (static_cast<std::int32_t>(n) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

}  // namespace

void multiply(const ConstMatrix& a, Transpose ta, const ConstMatrix& b, Transpose tb, float keep, const Matrix& out) {
  use_one_blas_thread();
  const bool at = ta == Transpose::kYes;
  const bool bt = tb == Transpose::kYes;
  assert((at ? a.columns : a.rows) == out.rows && (bt ? b.rows : b.columns) == out.columns &&
         (at ? a.rows : a.columns) == (bt ? b.columns : b.rows));
  auto target = view(out);
  xt::blas::gemm(view(a), view(b), target, at, bt, 1.0F, keep);
}

void add_to_rows(const Matrix& m, std::span<const float> row) {
  assert(row.size() == m.columns);
  for (std::size_t i = 0; i < m.rows; ++i) {
    float* to = m.data + i * m.columns;
    for (std::size_t j = 0; j < m.columns; ++j) to[j] += row[j];
  }
}

void add_column_sums(const ConstMatrix& m, std::span<float> sums) {
  assert(sums.size() == m.columns);
  for (std::size_t i = 0; i < m.rows; ++i) {
    const float* row = m.data + i * m.columns;
    for (std::size_t j = 0; j < m.columns; ++j) sums[j] += row[j];
  }
}

void rectify(const Matrix& m) {
  for (std::size_t i = 0; i < m.size(); ++i) m.data[i] = m.data[i] > 0 ? m.data[i] : 0;
}

void rectify_gradient(const ConstMatrix& rectified, const Matrix& gradient) {
  for (std::size_t i = 0; i < gradient.size(); ++i) gradient.data[i] = rectified.data[i] > 0 ? gradient.data[i] : 0;
}

void logistic(std::span<float> values) {
  for (float& v : values) v = 1.0F / (1.0F + exp_of(-v));
}

void hyperbolic_tangent(std::span<float> values) {
  for (float& v : values) v = 1.0F - 2.0F / (1.0F + exp_of(2.0F * v));
}

void exponential(std::span<float> values) {
  for (float& v : values) v = exp_of(v);
}

}  // namespace proteus::forecast::global
