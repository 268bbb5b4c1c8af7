#include "controller/profile/response_curve.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "controller/profile/resource.h"

namespace proteus::profile {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

void expect_monotone(const ResponseCurve& curve) {
  double previous = 0;
  for (double u = 0; u <= 2.2; u += 0.01) {
    const double wait = curve.at(u);
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
  EXPECT_DOUBLE_EQ(curve.at(0), 1);
  EXPECT_DOUBLE_EQ(curve.at(0.75), 2);
  EXPECT_DOUBLE_EQ(curve.at(1.0), 3);
  EXPECT_DOUBLE_EQ(curve.at(5), 3);
  EXPECT_DOUBLE_EQ(ResponseCurve({}).at(0.5), 0);
}

TEST(PriorCurve, IsTheKnownWaitOfAQueue) {
  // M/M/1: rho / (1 - rho). M/M/2: rho^2 / (1 - rho^2).
  EXPECT_NEAR(prior_curve(1).at(0.5), 1.0, 1e-12);
  EXPECT_NEAR(prior_curve(1).at(0.8), 4.0, 1e-12);
  EXPECT_NEAR(prior_curve(2).at(0.6), 0.36 / 0.64, 1e-12);
  EXPECT_DOUBLE_EQ(prior_curve(4).at(0), 0);
}

TEST(PriorCurve, RisesWithUtilisationAndFallsWithCpus) {
  for (double cpus : {0.5, 1.0, 1.5, 2.0, 3.7, 16.0, 128.0}) expect_monotone(prior_curve(cpus));
  EXPECT_GT(prior_curve(1).at(0.8), prior_curve(1.5).at(0.8));
  EXPECT_GT(prior_curve(1.5).at(0.8), prior_curve(2).at(0.8));
  EXPECT_GT(prior_curve(2).at(0.8), prior_curve(64).at(0.8));
  const ResponseCurve curve = prior_curve(8);
  EXPECT_NEAR(curve.at(1.9) - curve.at(1.4), 0.5, 1e-9);
}

TEST(CurveLearner, StartsFromThePrior) {
  const CurveLearner learner(prior_curve(2), hours(1));
  const ResponseCurve curve = learner.curve();
  const ResponseCurve prior = prior_curve(2);
  for (double u : {0.125, 0.425, 0.825, 1.525}) EXPECT_NEAR(curve.at(u), prior.at(u), 1e-9);
  EXPECT_DOUBLE_EQ(learner.evidence().weight(), 0);
  expect_monotone(curve);
}

TEST(CurveLearner, ConvergesToTheTruth) {
  const auto truth = [](double u) { return 0.02 + 0.6 * u * u * u; };
  CurveLearner learner(prior_curve(4), hours(24));
  feed(learner, kStart, 20'000, 0, 1.2, 4, truth);
  const ResponseCurve curve = learner.curve();
  for (double u = 0.2; u < 1.15; u += 0.05) EXPECT_NEAR(curve.at(u), truth(u), 0.05 * truth(u) + 0.01) << u;
  expect_monotone(curve);
}

TEST(CurveLearner, ShrinksLessWithMoreEvidence) {
  const auto truth = [](double) { return 3.0; };
  const double prior = prior_curve(2).at(0.625);
  double error = std::abs(prior - 3.0);
  for (int ticks : {5, 50, 500}) {
    CurveLearner learner(prior_curve(2), hours(24));
    feed(learner, kStart, ticks, 0.62, 0.63, 2, truth);
    const double left = std::abs(learner.curve().at(0.625) - 3.0);
    EXPECT_LT(left, error) << ticks;
    EXPECT_GT(learner.curve().at(0.625), prior);
    error = left;
  }
  EXPECT_LT(error, 0.3);
}

TEST(CurveLearner, MovesUtilisationsThatItHasNotSeenAlong) {
  const ResponseCurve prior = prior_curve(2);
  CurveLearner learner(prior_curve(2), hours(24));
  feed(learner, kStart, 3600, 0.2, 0.6, 2, [&](double u) { return prior.at(u) / 2; });
  EXPECT_LT(learner.curve().at(0.875), 0.75 * prior.at(0.875));
  expect_monotone(learner.curve());
}

TEST(CurveLearner, ForgetsByHalfLife) {
  CurveLearner learner(prior_curve(1), seconds(100));
  learner.observe(kStart, 0.5, seconds(64), seconds(64));
  learner.observe(kStart + seconds(300), 0.9, seconds(1), seconds(1));
  EXPECT_NEAR(learner.evidence().weight(), 64.0 / 8 + 1, 1e-6);
  // Late evidence counts as if it had come in time.
  learner.observe(kStart + seconds(200), 0.5, seconds(2), seconds(2));
  EXPECT_NEAR(learner.evidence().weight(), 64.0 / 8 + 1 + 1, 1e-6);

  CurveLearner host(prior_curve(2), seconds(600));
  Timestamp now = feed(host, kStart, 3000, 0.7, 0.75, 2, [](double) { return 5.0; });
  EXPECT_GT(host.curve().at(0.725), 4.0);
  feed(host, now, 6000, 0.7, 0.75, 2, [](double) { return 1.0; });
  EXPECT_LT(host.curve().at(0.725), 1.2);
}

TEST(CurveLearner, IgnoresWhatIsNoEvidence) {
  CurveLearner learner(prior_curve(1), hours(1));
  learner.observe(kStart, std::numeric_limits<double>::quiet_NaN(), seconds(1), seconds(1));
  learner.observe(kStart, -0.1, seconds(1), seconds(1));
  learner.observe(kStart, 0.5, seconds(0), seconds(1));
  learner.observe(kStart, 0.5, seconds(1), seconds(-1));
  EXPECT_DOUBLE_EQ(learner.evidence().weight(), 0);
  learner.observe(kStart, 50, seconds(1), seconds(1));
  EXPECT_DOUBLE_EQ(learner.evidence().weight(), 1);
}

TEST(PriorCurve, WakingUpIsWaitedForInEverySlice) {
  const ResponseCurve plain = prior_curve(2);
  const ResponseCurve slow = prior_curve(2, std::chrono::microseconds(300));
  for (const double u : {0.0, 0.5, 1.5}) EXPECT_NEAR(slow.at(u), plain.at(u) + 0.1, 1e-12);
}

TEST(CurveLearner, BeginsWhereItsClassIs) {
  const auto truth = [](double u) { return 3 * u; };
  CurveLearner other(prior_curve(4), hours(24));
  feed(other, kStart, 20000, 0.1, 0.9, 4, truth);
  CurveLearner fresh(prior_curve(4), hours(24));
  EXPECT_NEAR(fresh.curve(other.evidence()).at(0.5), 1.5, 0.1);
  EXPECT_LT(fresh.curve().at(0.5), 0.3) << "the queue's own prior";
  // What it sees itself outweighs the class.
  feed(fresh, kStart, 20000, 0.1, 0.9, 4, [](double u) { return u; });
  EXPECT_NEAR(fresh.curve(other.evidence()).at(0.5), 0.5, 0.05);
  expect_monotone(fresh.curve(other.evidence()));
}

TEST(Evidence, IsTheRestWithoutAPart) {
  const auto truth = [](double u) { return u; };
  CurveLearner a(prior_curve(4), hours(24));
  CurveLearner b(prior_curve(4), hours(24));
  feed(a, kStart, 500, 0.1, 0.5, 4, truth);
  feed(b, kStart, 300, 0.3, 0.9, 4, truth);
  Evidence all;
  all.add(a.evidence());
  EXPECT_EQ(a.curve(all).knots(), a.curve(a.evidence()).knots());
  all.add(b.evidence());
  all.remove(b.evidence());
  EXPECT_NEAR(all.weight(), a.evidence().weight(), 1e-6);
  all.remove(a.evidence());
  EXPECT_NEAR(all.weight(), 0, 1e-6);
  all.remove(a.evidence());
  EXPECT_EQ(all.weight(), 0) << "never less than nothing";
}

// The error tells how far the curve is from the truth: over many hosts, about as far as it says.
TEST(CurveLearner, KnowsHowSureItIs) {
  const auto truth = [](double u) { return 0.5 * u; };
  double squares = 0;
  double stated = 0;
  for (int host = 0; host < 200; ++host) {
    CurveLearner learner(prior_curve(4), hours(24));
    std::mt19937_64 random(static_cast<std::uint64_t>(host));
    std::exponential_distribution<double> noise(1);
    for (int i = 0; i < 2000; ++i) {
      learner.observe(kStart + seconds(i), 0.425, seconds(1), from_seconds(truth(0.425) * noise(random)));
    }
    const ResponseCurve curve = learner.curve();
    for (const ResponseCurve::Knot& knot : curve.knots()) {
      if (knot.weight < 1) continue;
      squares += (knot.response - truth(0.425)) * (knot.response - truth(0.425)) / 200;
      stated += knot.error * knot.error / 200;
    }
  }
  EXPECT_GT(std::sqrt(stated), 0.8 * std::sqrt(squares));
  EXPECT_LT(std::sqrt(stated), 1.5 * std::sqrt(squares));
  const ResponseCurve unseen = CurveLearner(prior_curve(4), hours(24)).curve();
  for (const ResponseCurve::Knot& knot : unseen.knots()) {
    if (knot.response > 0.01) {
      EXPECT_NEAR(knot.error / knot.response, 1, 0.2) << "nothing seen: it may be anything like that";
    }
  }
}

TEST(KeptCurve, IsFittedAnewWhenItWouldSayAnother) {
  CurveLearner learner(prior_curve(8), hours(24));
  const auto truth = [](double u) { return u * u; };
  Timestamp now = feed(learner, kStart, 200, 0.4, 0.5, 8, truth);
  KeptCurve kept;
  const Evidence first = learner.evidence();
  EXPECT_EQ(kept.of(learner, first).knots(), learner.curve().knots());
  EXPECT_EQ(kept.weight(), first.weight());
  // One tick more of what there are two hundred of.
  now = feed(learner, now, 1, 0.4, 0.5, 8, truth);
  EXPECT_NE(kept.of(learner, learner.evidence()).knots(), learner.curve().knots());
  EXPECT_EQ(kept.weight(), first.weight());
  EXPECT_NEAR(kept.of(learner, learner.evidence()).at(0.45), learner.curve().at(0.45), 0.01);
  // A utilisation that was not there before, though little of it.
  feed(learner, now, 1, 0.90, 0.92, 8, truth);
  EXPECT_EQ(kept.of(learner, learner.evidence()).knots(), learner.curve().knots());
  // Others of its class.
  Evidence of_class = learner.evidence();
  of_class.bins[30].weight += 20;
  of_class.bins[30].amount += 40;
  Evidence others = of_class;
  others.remove(learner.evidence());
  EXPECT_EQ(kept.of(learner, of_class).knots(), learner.curve(others).knots());
  learner.set_prior(prior_curve(8, std::chrono::milliseconds(1)));
  EXPECT_EQ(kept.of(learner, of_class).knots(), learner.curve(others).knots());
}

TEST(ResponseCurve, CopiesShareTheirTable) {
  const ResponseCurve curve = prior_curve(4);
  const ResponseCurve copy = curve;
  EXPECT_EQ(curve.table(), copy.table());
  for (double u = 0; u < 2; u += 1.0 / 64) EXPECT_EQ(copy.table()->at(u), curve.at(u)) << u;
  EXPECT_NEAR(copy.table()->at(2.5), curve.at(2) + 0.5, 1e-9);
}

TEST(ResponseCurve, ItsTableSaysTheSameWhereverItsKnotsAre) {
  const std::vector<std::vector<ResponseCurve::Knot>> shapes = {
      {},
      {{0.5, 0.3, 0, 0.1}},
      {{0.3, 0.1, 0, 0.2}, {0.3, 0.4, 0, 0.1}, {0.3001, 0.5, 0, 0.1}, {1.25, 0.9, 0, 0}},  // a step, in no cell's width
      {{-1, 0, 0, 0}, {0, 0.2, 0, 0.1}, {3, 2, 0, 1}},
      {{2.5, 1, 0, 0}, {4, 2, 0, 0}},
  };
  for (const auto& knots : shapes) {
    const ResponseCurve curve(knots);
    for (double u = 0; u <= ResponseCurve::kMaxUtilisation; u += 1.0 / 128) {
      ASSERT_EQ(curve.table()->at(u), curve.at(u)) << u << " of " << knots.size() << " knots";
      ASSERT_EQ(curve.table()->error_at(u), curve.error_at(u)) << u << " of " << knots.size() << " knots";
    }
  }
}

}  // namespace
}  // namespace proteus::profile
