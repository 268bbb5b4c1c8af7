#pragma once

#include <cstddef>
#include <vector>

namespace proteus::forecast {

/// A small symmetric positive semi-definite system, such as normal equations. Thread: owned by one.
class SymmetricSystem {
 public:
  explicit SymmetricSystem(std::size_t size) : size_(size), matrix_(size * size, 0.0), right_(size, 0.0) {}
  /// Only row <= column is read.
  double& at(std::size_t row, std::size_t column) { return matrix_[row * size_ + column]; }
  double& right(std::size_t row) { return right_[row]; }
  /// By Cholesky's method; unknowns that the others determine (collinear columns) become 0.
  std::vector<double> solve() const;

 private:
  std::size_t size_;
  std::vector<double> matrix_;
  std::vector<double> right_;
};

}  // namespace proteus::forecast
