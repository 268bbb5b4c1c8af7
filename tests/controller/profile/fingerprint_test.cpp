#include "controller/profile/fingerprint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace proteus::profile {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

void expect_monotone(const ResponseCurve& curve) {
  double previous = 0;
  for (double u = 0; u <= 2.2; u += 0.01) {
    const double wait = curve.wait_ratio(u);
    ASSERT_TRUE(std::isfinite(wait));
    ASSERT_GE(wait, previous) << "at " << u;
    previous = wait;
  }
}

/// `count` ticks of one second at utilisations spread over [low, high], with wait = truth(utilisation) · run
/// · noise.
template <typename Truth>
Timestamp feed(CurveLearner& learner, Timestamp from, int count, double low, double high, double cpus, Truth truth) {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> utilisation(low, high);
  std::uniform_real_distribution<double> noise(0.5, 1.5);
  for (int i = 0; i < count; ++i) {
    const double u = utilisation(random);
    const double run_s = cpus * std::min(u, 1.0);
    learner.observe(from, u, from_seconds(run_s), from_seconds(run_s * truth(u) * noise(random)));
    from += seconds(1);
  }
  return from;
}

TEST(ResponseCurve, InterpolatesAndClamps) {
  const ResponseCurve curve({{0.5, 1, 0}, {1.0, 3, 0}});
  EXPECT_DOUBLE_EQ(curve.wait_ratio(0), 1);
  EXPECT_DOUBLE_EQ(curve.wait_ratio(0.75), 2);
  EXPECT_DOUBLE_EQ(curve.wait_ratio(1.0), 3);
  EXPECT_DOUBLE_EQ(curve.wait_ratio(5), 3);
  EXPECT_DOUBLE_EQ(ResponseCurve({}).wait_ratio(0.5), 0);
}

TEST(PriorCurve, IsTheKnownWaitOfAQueue) {
  // M/M/1: rho / (1 - rho). M/M/2: rho^2 / (1 - rho^2).
  EXPECT_NEAR(prior_curve(1).wait_ratio(0.5), 1.0, 1e-12);
  EXPECT_NEAR(prior_curve(1).wait_ratio(0.8), 4.0, 1e-12);
  EXPECT_NEAR(prior_curve(2).wait_ratio(0.6), 0.36 / 0.64, 1e-12);
  EXPECT_DOUBLE_EQ(prior_curve(4).wait_ratio(0), 0);
}

TEST(PriorCurve, RisesWithUtilisationAndFallsWithCpus) {
  for (double cpus : {0.5, 1.0, 1.5, 2.0, 3.7, 16.0, 128.0}) expect_monotone(prior_curve(cpus));
  EXPECT_GT(prior_curve(1).wait_ratio(0.8), prior_curve(1.5).wait_ratio(0.8));
  EXPECT_GT(prior_curve(1.5).wait_ratio(0.8), prior_curve(2).wait_ratio(0.8));
  EXPECT_GT(prior_curve(2).wait_ratio(0.8), prior_curve(64).wait_ratio(0.8));
  const ResponseCurve curve = prior_curve(8);
  EXPECT_NEAR(curve.wait_ratio(1.9) - curve.wait_ratio(1.4), 0.5, 1e-9);
}

TEST(CurveLearner, StartsFromThePrior) {
  const CurveLearner learner(2, hours(1));
  const ResponseCurve curve = learner.curve();
  const ResponseCurve prior = prior_curve(2);
  for (double u : {0.125, 0.425, 0.825, 1.525}) EXPECT_NEAR(curve.wait_ratio(u), prior.wait_ratio(u), 1e-9);
  EXPECT_DOUBLE_EQ(learner.evidence_s(), 0);
  expect_monotone(curve);
}

TEST(CurveLearner, ConvergesToTheTruth) {
  const auto truth = [](double u) { return 0.02 + 0.6 * u * u * u; };
  CurveLearner learner(4, hours(24));
  feed(learner, kStart, 20'000, 0, 1.2, 4, truth);
  const ResponseCurve curve = learner.curve();
  for (double u = 0.2; u < 1.15; u += 0.05) EXPECT_NEAR(curve.wait_ratio(u), truth(u), 0.05 * truth(u) + 0.01) << u;
  expect_monotone(curve);
}

TEST(CurveLearner, ShrinksLessWithMoreEvidence) {
  const auto truth = [](double) { return 3.0; };
  const double prior = prior_curve(2).wait_ratio(0.625);
  double error = std::abs(prior - 3.0);
  for (int ticks : {5, 50, 500}) {
    CurveLearner learner(2, hours(24));
    feed(learner, kStart, ticks, 0.62, 0.63, 2, truth);
    const double left = std::abs(learner.curve().wait_ratio(0.625) - 3.0);
    EXPECT_LT(left, error) << ticks;
    EXPECT_GT(learner.curve().wait_ratio(0.625), prior);
    error = left;
  }
  EXPECT_LT(error, 0.3);
}

TEST(CurveLearner, MovesUtilisationsThatItHasNotSeenAlong) {
  const ResponseCurve prior = prior_curve(2);
  CurveLearner learner(2, hours(24));
  feed(learner, kStart, 3600, 0.2, 0.6, 2, [&](double u) { return prior.wait_ratio(u) / 2; });
  EXPECT_LT(learner.curve().wait_ratio(0.875), 0.75 * prior.wait_ratio(0.875));
  expect_monotone(learner.curve());
}

TEST(CurveLearner, ForgetsByHalfLife) {
  CurveLearner learner(1, seconds(100));
  learner.observe(kStart, 0.5, seconds(64), seconds(64));
  learner.observe(kStart + seconds(300), 0.9, seconds(1), seconds(1));
  EXPECT_NEAR(learner.evidence_s(), 64.0 / 8 + 1, 1e-6);
  // Late evidence counts as if it had come in time.
  learner.observe(kStart + seconds(200), 0.5, seconds(2), seconds(2));
  EXPECT_NEAR(learner.evidence_s(), 64.0 / 8 + 1 + 1, 1e-6);

  CurveLearner host(2, seconds(600));
  Timestamp now = feed(host, kStart, 3000, 0.7, 0.75, 2, [](double) { return 5.0; });
  EXPECT_GT(host.curve().wait_ratio(0.725), 4.0);
  feed(host, now, 6000, 0.7, 0.75, 2, [](double) { return 1.0; });
  EXPECT_LT(host.curve().wait_ratio(0.725), 1.2);
}

TEST(CurveLearner, IgnoresWhatIsNoEvidence) {
  CurveLearner learner(1, hours(1));
  learner.observe(kStart, std::numeric_limits<double>::quiet_NaN(), seconds(1), seconds(1));
  learner.observe(kStart, -0.1, seconds(1), seconds(1));
  learner.observe(kStart, 0.5, seconds(0), seconds(1));
  learner.observe(kStart, 0.5, seconds(1), seconds(-1));
  EXPECT_DOUBLE_EQ(learner.evidence_s(), 0);
  learner.observe(kStart, 50, seconds(1), seconds(1));
  EXPECT_DOUBLE_EQ(learner.evidence_s(), 1);
}

}  // namespace
}  // namespace proteus::profile
