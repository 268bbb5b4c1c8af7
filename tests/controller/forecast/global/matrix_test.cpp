#include "controller/forecast/global/matrix.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "controller/forecast/global/xtensor_fix.h"
// After the fix.
#include <xtensor/xarray.hpp>
#include <xtensor/xeval.hpp>

namespace proteus::forecast::global {
namespace {

TEST(XtensorFix, AnExpressionOfDynamicRankKeepsItsRank) {
  const xt::xarray<double> a = {{1, 2}, {3, 4}};
  EXPECT_EQ(xt::eval(a + a).dimension(), 2U);
}

TEST(Matrix, MultipliesWithEitherSideTransposed) {
  std::vector<float> a = {1, 2, 3, 4, 5, 6};         // 2 × 3
  std::vector<float> b = {1, 0, 2, 1, 0, 3};         // 3 × 2
  std::vector<float> a_turned = {1, 4, 2, 5, 3, 6};  // 3 × 2
  std::vector<float> b_turned = {1, 2, 0, 0, 1, 3};  // 2 × 3
  const std::vector<float> expected = {5, 11, 14, 23};
  std::vector<float> out(4);
  multiply({a.data(), 2, 3}, Transpose::kNo, {b.data(), 3, 2}, Transpose::kNo, 0, {out.data(), 2, 2});
  EXPECT_EQ(out, expected);
  multiply({a_turned.data(), 3, 2}, Transpose::kYes, {b.data(), 3, 2}, Transpose::kNo, 0, {out.data(), 2, 2});
  EXPECT_EQ(out, expected);
  multiply({a.data(), 2, 3}, Transpose::kNo, {b_turned.data(), 2, 3}, Transpose::kYes, 1, {out.data(), 2, 2});
  EXPECT_EQ(out, (std::vector<float>{10, 22, 28, 46}));
}

TEST(Matrix, CurvesAreThoseOfTheStandardLibrary) {
  for (float x = -20; x < 20; x += 0.37F) {
    std::array<float, 1> value = {x};
    exponential(value);
    EXPECT_NEAR(value[0] / std::exp(x), 1, 1e-6) << x;
    value[0] = x;
    hyperbolic_tangent(value);
    EXPECT_NEAR(value[0], std::tanh(x), 1e-6) << x;
    value[0] = x;
    logistic(value);
    EXPECT_NEAR(value[0], 1 / (1 + std::exp(-x)), 1e-6) << x;
  }
}

}  // namespace
}  // namespace proteus::forecast::global
