#include "controller/forecast/innovation_errors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "controller/forecast/linear_process.h"
#include "controller/forecast/sample_quantiles.h"

namespace proteus::forecast {
namespace {

/// An autoregression with heavy tails, its own errors and their effects.
struct Process {
  std::vector<double> ar = {1.1, -0.3};
  std::vector<double> values;
  std::vector<double> innovations;
  std::vector<double> psi;

  explicit Process(std::size_t count, std::size_t horizon) {
    std::mt19937_64 random(5);
    std::normal_distribution<double> normal(0, 1);
    values = {0, 0};
    while (values.size() < count) {
      values.push_back(ar[0] * values.back() + ar[1] * values[values.size() - 2] + std::sinh(normal(random)));
    }
    innovations = autoregressive_errors(values, ar);
    psi = impulse_response(ar, {}, horizon);
  }
  /// By running the model forward from every stride-th origin: errors h steps ahead, or of the largest of h steps.
  std::vector<double> errors(std::size_t h, bool window, std::size_t stride = 1) const {
    std::vector<double> result;
    for (std::size_t last = values.size() - 1; last + 1 >= h + ar.size(); last -= stride) {
      const std::size_t origin = last + 1 - h;
      const std::vector<double> path = autoregressive_path(std::span(values).first(origin), ar, h);
      const auto came = values.begin() + static_cast<std::ptrdiff_t>(origin);
      if (!window) {
        result.push_back(values[last] - path.back());
      } else {
        result.push_back(*std::max_element(came, came + static_cast<std::ptrdiff_t>(h)) -
                         *std::max_element(path.begin(), path.end()));
      }
      if (last < stride) break;
    }
    return result;
  }
};

void expect_near(const Quantiles& a, const Quantiles& b, double tolerance) {
  for (const auto member : kQuantileMembers) EXPECT_NEAR(a.*member, b.*member, tolerance);
}

TEST(InnovationErrors, AreThoseOfTheModelRunForwardFromEveryOrigin) {
  const Process process(900, 20);
  InnovationErrors errors(20, InnovationErrors::Detail::kEveryStep);
  ASSERT_TRUE(errors.learn(process.values, process.innovations, process.ar.size(), process.psi));
  for (const int h : {1, 2, 3, 7, 20}) {
    expect_near(errors.at(h), quantiles_of_sample(process.errors(static_cast<std::size_t>(h), false)), 1e-9);
  }
}

TEST(InnovationErrors, OfALongHistoryEveryFourthOriginIsLookedAt) {
  const Process process(3000, 64);
  InnovationErrors errors(64, InnovationErrors::Detail::kSteps);
  ASSERT_TRUE(errors.learn(process.values, process.innovations, process.ar.size(), process.psi));
  for (const std::size_t h : {1, 8}) {
    expect_near(errors.at(static_cast<int>(h)), quantiles_of_sample(process.errors(h, false)), 1e-9);
  }
  for (const std::size_t h : {16, 64}) {
    expect_near(errors.at(static_cast<int>(h)), quantiles_of_sample(process.errors(h, false, 4)), 1e-3);
  }
  // Between knots, and beyond the last.
  EXPECT_GT(errors.at(24).p90, std::min(errors.at(16).p90, errors.at(32).p90) - 1e-9);
  EXPECT_LT(errors.at(24).p90, std::max(errors.at(16).p90, errors.at(32).p90) + 1e-9);
  EXPECT_GT(errors.at(200).p99, errors.at(64).p99);
}

TEST(InnovationErrors, OfWindowsAreThoseOfTheirMaximaAndALittleWider) {
  for (const std::size_t count : {900, 3000}) {
    const Process process(count, 64);
    InnovationErrors errors(64);
    ASSERT_TRUE(errors.learn(process.values, process.innovations, process.ar.size(), process.psi));
    for (const int h : {1, 8, 64}) {
      const Quantiles q = quantiles_of_sample(process.errors(static_cast<std::size_t>(h), true));
      const Quantiles got = errors.window(h);
      // Of the long one the largest forecast is looked for at every fourth step ahead, from every fourth origin.
      EXPECT_NEAR(got.p50, q.p50, count == 900 || h <= 8 ? 1e-9 : 0.3);
      EXPECT_GT(got.p90, q.p90 - (count == 900 || h <= 8 ? 0 : 0.3));
      EXPECT_LT(got.p90, q.p90 + 0.15 * (q.p90 - q.p50));
      EXPECT_LT(got.p99, q.p99 + 0.5 * (q.p99 - q.p50));
    }
  }
}

TEST(InnovationErrors, MissingValuesAreNoErrors) {
  Process process(900, 4);
  std::vector<double> values = process.values;
  std::vector<double> left_out = process.innovations;
  for (std::size_t t = 5; t < values.size(); t += 7) {
    values[t] = std::nan("");
    left_out[t] = 0;
  }
  InnovationErrors errors(4, InnovationErrors::Detail::kSteps);
  ASSERT_TRUE(errors.learn(values, left_out, 2, process.psi));
  std::vector<double> seen;
  for (std::size_t t = 2; t < values.size(); ++t) {
    if (std::isfinite(values[t])) seen.push_back(left_out[t]);
  }
  expect_near(errors.at(1), quantiles_of_sample(seen), 1e-9);
  InnovationErrors none(4);
  EXPECT_FALSE(none.learn(std::vector<double>(10, std::nan("")), std::vector<double>(10, 0.0), 0, process.psi));
}

}  // namespace
}  // namespace proteus::forecast
