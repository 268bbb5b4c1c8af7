#include "controller/forecast/arima.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>
#include <random>

#include "controller/forecast/arma_likelihood.h"
#include "tests/controller/forecast/every_model.h"

namespace proteus::forecast {
namespace {

std::vector<double> simulate(const Arma& arma, std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 1);
  const std::size_t settle = 200;
  std::vector<double> w(count + settle);
  std::vector<double> e(w.size());
  for (std::size_t t = 0; t < w.size(); ++t) {
    e[t] = normal(random);
    w[t] = e[t];
    for (std::size_t i = 0; i < arma.ar.size() && i < t; ++i) w[t] += arma.ar[i] * w[t - 1 - i];
    for (std::size_t j = 0; j < arma.ma.size() && j < t; ++j) w[t] += arma.ma[j] * e[t - 1 - j];
  }
  return {w.end() - static_cast<std::ptrdiff_t>(count), w.end()};
}

/// The likelihood of a multivariate normal distribution with the autocovariances of an Arma(1, 1), by Cholesky.
double dense_log_likelihood(double phi, double theta, const std::vector<double>& w) {
  const std::size_t n = w.size();
  std::vector<double> gamma(n);
  gamma[0] = (1 + 2 * phi * theta + theta * theta) / (1 - phi * phi);
  if (n > 1) gamma[1] = (1 + phi * theta) * (phi + theta) / (1 - phi * phi);
  for (std::size_t k = 2; k < n; ++k) gamma[k] = phi * gamma[k - 1];
  std::vector<std::vector<double>> lower(n, std::vector<double>(n, 0.0));
  std::vector<double> x(n);
  double squares = 0;
  double logs = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = gamma[i - j];
      for (std::size_t k = 0; k < j; ++k) sum -= lower[i][k] * lower[j][k];
      lower[i][j] = i == j ? std::sqrt(sum) : sum / lower[j][j];
    }
    x[i] = w[i];
    for (std::size_t k = 0; k < i; ++k) x[i] -= lower[i][k] * x[k];
    x[i] /= lower[i][i];
    squares += x[i] * x[i];
    logs += 2 * std::log(lower[i][i]);
  }
  const auto count = static_cast<double>(n);
  return -0.5 * (count * std::log(2 * std::numbers::pi * squares / count) + count + logs);
}

TEST(ArmaLikelihood, IsThatOfTheNormalDistribution) {
  for (const auto& [phi, theta] : {std::pair{0.5, 0.3}, {-0.7, 0.9}, {0.95, -0.4}, {0.0, -0.99}}) {
    const std::vector<double> w = simulate({{phi}, {theta}}, 60, 5);
    EXPECT_NEAR(exact_likelihood({{phi}, {theta}}, w).log_likelihood, dense_log_likelihood(phi, theta, w), 1e-4);
  }
  EXPECT_EQ(exact_likelihood({{1.02}, {}}, simulate({{0.5}, {}}, 60, 5)).log_likelihood, -HUGE_VAL);
}

TEST(ArmaFilter, PartialAutocorrelationsTellWhatIsStationary) {
  const std::vector<double> ar = {0.6, -0.3, 0.2};
  const std::vector<double> back = from_partial_autocorrelations(partial_autocorrelations(ar));
  for (std::size_t i = 0; i < ar.size(); ++i) EXPECT_NEAR(back[i], ar[i], 1e-12);
  EXPECT_TRUE(roots_outside(std::vector<double>{1.2, -0.4}, 1));
  EXPECT_FALSE(roots_outside(std::vector<double>{1.2, -0.1}, 1));
  EXPECT_TRUE(roots_outside(std::vector<double>{0.98}, 1.01));
  EXPECT_FALSE(roots_outside(std::vector<double>{0.995}, 1.01));
}

TEST(ArmaCss, FindsTheCoefficientsBack) {
  const Arma truth{{0.8, -0.3}, {0.5}};
  std::vector<double> y = simulate(truth, 4000, 11);
  for (double& value : y) value += 7;
  const Columns one = {std::vector<double>(y.size(), 1.0)};
  const std::vector<double> rough = long_innovations(residuals(y, one, regress(y, one)));
  const ArmaEstimate estimate = estimate_css(y, one, 2, 1, rough, 1e-9);
  ASSERT_TRUE(estimate.sound);
  EXPECT_NEAR(estimate.model.arma.ar[0], 0.8, 0.08);
  EXPECT_NEAR(estimate.model.arma.ar[1], -0.3, 0.08);
  EXPECT_NEAR(estimate.model.arma.ma[0], 0.5, 0.08);
  EXPECT_NEAR(estimate.model.beta[0], 7, 0.2);
  EXPECT_NEAR(estimate.variance, 1, 0.05);
  // No small change of a coefficient is better.
  const auto squares = [&](ArmaRegression m) {
    ArmaPass pass;
    run_filter(m.arma, residuals(y, one, m.beta), pass);
    return dot(pass.innovations.data(), pass.innovations.data(), y.size());
  };
  const double least = squares(estimate.model);
  for (const double change : {-1e-3, 1e-3}) {
    ArmaRegression other = estimate.model;
    other.arma.ma[0] += change;
    EXPECT_GT(squares(other), least);
    other = estimate.model;
    other.arma.ar[1] += change;
    EXPECT_GT(squares(other), least);
  }
}

TEST(Kpss, TellsAWalkFromALevel) {
  const std::vector<double> level = simulate({{0.5}, {}}, 1000, 3);
  std::vector<double> walk = level;
  for (std::size_t t = 1; t < walk.size(); ++t) walk[t] += walk[t - 1];
  std::vector<double> twice = walk;
  for (std::size_t t = 1; t < twice.size(); ++t) twice[t] += twice[t - 1];
  EXPECT_EQ(differences_needed(level), 0U);
  EXPECT_EQ(differences_needed(walk), 1U);
  EXPECT_EQ(differences_needed(twice), 2U);
  EXPECT_EQ(differences_needed(std::vector<double>(100, 3.0)), 0U);
}

TEST(AutoArima, FindsAnAutoregressionAndForecastsIt) {
  std::vector<double> y = simulate({{0.8}, {}}, 1500, 21);
  for (double& value : y) value += 50;
  AutoArima model({.horizon_steps = kHorizon});
  ASSERT_TRUE(model.fit(history_of(y)).has_value());
  EXPECT_EQ(model.fitted().order.d, 0U);
  EXPECT_TRUE(model.fitted().order.constant);
  EXPECT_NEAR(model.fitted().constant, 50, 1);
  EXPECT_NEAR(model.fitted().variance, 1, 0.1);
  EXPECT_FALSE(model.scale());
  const std::vector<double> path = model.path(40);
  for (std::size_t h = 0; h < path.size(); ++h) {
    EXPECT_NEAR(path[h], 50 + (y.back() - 50) * std::pow(0.8, h + 1.0), 0.6) << h;
  }
  // Its forecast one step later, after an update, is what it forecast for then, if what came was expected.
  model.update(path[0]);
  EXPECT_NEAR(model.path(1)[0], path[1], 1e-9);
}

TEST(AutoArima, BurstsAreFittedOnAScaleWhereTheyAreNotFarAway) {
  std::vector<double> y = simulate({{0.8}, {}}, 1500, 22);
  for (double& value : y) value = 50 + 10 * std::sinh(1.2 * value);
  AutoArima model({.horizon_steps = kHorizon});
  ASSERT_TRUE(model.fit(history_of(y)).has_value());
  ASSERT_TRUE(model.scale());
  const auto z = [](double value) { return std::asinh((value - 50) / 10); };
  // Its point is the median, which follows the autoregression below the bursts; the mean would lie far above.
  const Result<Forecast> forecast = model.forecast(kHorizon);
  for (std::size_t h = 0; h < static_cast<std::size_t>(kHorizon); ++h) {
    EXPECT_NEAR(z(forecast->steps[h].p50), z(y.back()) * std::pow(0.8, h + 1.0), 0.3) << h;
  }
  model.update(model.path(1)[0]);
  EXPECT_NEAR(model.path(1)[0], forecast->steps[1].p50, 3);

  AutoArima linear({.horizon_steps = kHorizon, .choose_scale = false});
  ASSERT_TRUE(linear.fit(history_of(y)).has_value());
  EXPECT_FALSE(linear.scale());
}

TEST(AutoArima, FourierTermsFollowASeason) {
  std::vector<double> y = simulate({{0.4}, {}}, 400, 8);
  for (std::size_t t = 0; t < y.size(); ++t) y[t] += 30 + 10 * std::sin(2 * std::numbers::pi * double(t) / kSeason);
  AutoArima model({.horizon_steps = kHorizon, .season_steps = kSeason, .fourier_pairs = 2});
  ASSERT_TRUE(model.fit(history_of(y)).has_value());
  const std::vector<double> path = model.path(2 * kSeason);
  for (std::size_t h = 4; h < path.size(); ++h) {
    EXPECT_NEAR(path[h], 30 + 10 * std::sin(2 * std::numbers::pi * double(y.size() + h) / kSeason), 1) << h;
  }
}

/// "orders" matters in the tests, "useless" does not, and "young" is not known from the beginning.
class Signals final : public Covariates {
 public:
  const std::vector<std::string>& names() const override { return names_; }
  void at(Timestamp begin, std::span<double> out) const override {
    const std::int64_t step = to_unix_ns(begin) / 60'000'000'000 % 1000;
    out[0] = static_cast<double>(step * step * 7919 % 13);
    out[1] = static_cast<double>(step * step * step % 1009 * 104729 % 17);
    out[2] = begin < history_of({}).end - std::chrono::hours(1) ? std::nan("") : 1;
  }

 private:
  std::vector<std::string> names_ = {"orders", "useless", "young"};
};

TEST(AutoArima, ADecisiveSignalIsUsedAndAUselessOneDoesNoHarm) {
  const Signals signals;
  const History empty = history_of({});
  std::vector<double> y = simulate({{0.5}, {}}, 400, 14);
  std::vector<double> plain = y;
  std::array<double, 3> x;
  const auto orders = [&](std::size_t t) {
    signals.at(empty.end + empty.step * (static_cast<std::int64_t>(t) - 400), x);
    return x[0];
  };
  for (std::size_t t = 0; t < y.size(); ++t) {
    y[t] += 20 + 5 * orders(t);
    plain[t] += 20;
  }
  AutoArima with({.horizon_steps = kHorizon});
  with.set_covariates(&signals);
  ASSERT_TRUE(with.fit(history_of(y)).has_value());
  EXPECT_EQ(with.signals(), (std::vector<std::string>{"orders", "useless"}));
  EXPECT_NEAR(with.fitted().beta[0], 5, 0.1);
  EXPECT_NEAR(with.fitted().beta[1], 0, 0.1);
  const std::vector<double> path = with.path(kHorizon);
  for (std::size_t h = 3; h < path.size(); ++h) EXPECT_NEAR(path[h], 20 + 5 * orders(400 + h), 1) << h;

  // Where no signal matters, the model is as good as one that has none.
  AutoArima alone({.horizon_steps = kHorizon});
  ASSERT_TRUE(with.fit(history_of(plain)).has_value());
  ASSERT_TRUE(alone.fit(history_of(plain)).has_value());
  for (std::size_t h = 0; h < path.size(); ++h) EXPECT_NEAR(with.path(kHorizon)[h], alone.path(kHorizon)[h], 0.5);
}

TEST(AutoArima, QuantilesCoverWhatTheySay) {
  // One series alone tells little: neighbouring steps say the same, and quantiles rest on one history.
  int covered_p90 = 0;
  int covered_p99 = 0;
  int seen = 0;
  for (unsigned seed = 1; seed <= 12; ++seed) {
    std::vector<double> y = simulate({{0.7}, {0.4}}, 2000, seed);
    for (double& value : y) value += 40;
    AutoArima model({.horizon_steps = kHorizon});
    ASSERT_TRUE(model.fit(history_of({y.begin(), y.begin() + 1000})).has_value());
    for (std::size_t t = 1000; t + kHorizon < y.size(); ++t, ++seen) {
      const Quantiles q = model.forecast(kHorizon)->steps[5];
      covered_p90 += y[t + 5] <= q.p90 ? 1 : 0;
      covered_p99 += y[t + 5] <= q.p99 ? 1 : 0;
      model.update(y[t]);
    }
  }
  EXPECT_NEAR(static_cast<double>(covered_p90) / seen, 0.9, 0.015);
  EXPECT_NEAR(static_cast<double>(covered_p99) / seen, 0.99, 0.004);
}

}  // namespace
}  // namespace proteus::forecast
