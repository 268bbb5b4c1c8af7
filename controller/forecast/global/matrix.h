#pragma once

#include <cstddef>
#include <span>

namespace proteus::forecast::global {

/// A row-major matrix somewhere in memory. Does not own it.
struct Matrix {
  float* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t size() const { return rows * columns; }
};

struct ConstMatrix {
  ConstMatrix(const float* values, std::size_t row_count, std::size_t column_count)
      : data(values), rows(row_count), columns(column_count) {}
  ConstMatrix(const Matrix& m)
      : data(m.data), rows(m.rows), columns(m.columns) {}  // NOLINT(google-explicit-constructor)
  const float* data;
  std::size_t rows;
  std::size_t columns;
  std::size_t size() const { return rows * columns; }
};

enum class Transpose : bool { kNo, kYes };

/// out = op(a) · op(b) + keep · out, where op transposes on demand. Shapes must fit; asserted.
/// One thread of OpenBLAS. Thread: callable from any.
void multiply(const ConstMatrix& a, Transpose ta, const ConstMatrix& b, Transpose tb, float keep, const Matrix& out);
/// Every row of m plus `row`.
void add_to_rows(const Matrix& m, std::span<const float> row);
/// sums[j] += the sum of m's column j.
void add_column_sums(const ConstMatrix& m, std::span<float> sums);

/// m = max(m, 0).
void rectify(const Matrix& m);
/// gradient = 0 where the rectified value is 0.
void rectify_gradient(const ConstMatrix& rectified, const Matrix& gradient);
/// In place, accurate to a few units in the last place. The same bits on every machine and preset.
void logistic(std::span<float> values);
void hyperbolic_tangent(std::span<float> values);
void exponential(std::span<float> values);

}  // namespace proteus::forecast::global
