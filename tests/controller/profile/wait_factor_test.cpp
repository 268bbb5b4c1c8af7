#include "controller/profile/wait_factor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "controller/profile/finite_queue.h"
#include "controller/profile/saved_state.h"

namespace proteus::profile {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);
constexpr double kCpus = 4;

/// A host whose VMs wait truth(utilisation) times what they would by theory, give or take a half, whoever they are.
template <typename Truth>
class MadeUpHost {
 public:
  MadeUpHost(std::uint64_t seed, Truth truth) : random_(seed), truth_(truth) {}
  void feed(WaitFactorLearner& learner, int ticks, double low, double high) {
    std::uniform_int_distribution<int> vms(8, 24);
    std::uniform_real_distribution<double> utilisation(low, high);
    std::uniform_real_distribution<double> noise(0.5, 1.5);
    for (int i = 0; i < ticks; ++i, now_ += seconds(1)) {
      Contenders contenders;
      const double wanted = utilisation(random_) * kCpus;
      const int count = vms(random_);
      for (int vm = 0; vm < count; ++vm) contenders.add_vm(wanted / count, 1 + vm % 2);
      const double waiting = finite_wait_cores(wanted, equal_vcpus(wanted, contenders.squares), kCpus);
      const double seen = truth_(wanted / kCpus) * waiting * noise(random_);
      learner.observe(now_, contenders, kCpus, seen / std::min(wanted, kCpus), 1);
    }
  }

 private:
  std::mt19937_64 random_;
  Truth truth_;
  Timestamp now_ = kStart;
};

ResponseCurve alone(WaitFactorLearner& learner) {
  return learner.known(learner.evidence());
}

double constant_two(double) {
  return 2;
}

TEST(WaitFactor, IsNotKnownBeforeItWasSeen) {
  WaitFactorLearner learner(hours(24));
  EXPECT_TRUE(alone(learner).knots().empty());
  EXPECT_EQ(learner.curve().at(0.8), 1);
  MadeUpHost host(1, constant_two);
  host.feed(learner, 20, 0.8, 0.9);
  EXPECT_GT(learner.evidence().weight(), 0);
  EXPECT_TRUE(alone(learner).knots().empty()) << "a few seconds waited are no reason to leave the curve";
  host.feed(learner, 600, 0.8, 0.9);
  EXPECT_FALSE(alone(learner).knots().empty());
}

TEST(WaitFactor, IsLearnedWithinItsError) {
  const auto truth = [](double utilisation) { return 0.2 + utilisation; };
  WaitFactorLearner learner(hours(24));
  MadeUpHost(2, truth).feed(learner, 4 * 3600, 0.6, 1.2);
  const ResponseCurve curve = alone(learner);
  for (const double utilisation : {0.775, 0.875, 0.975, 1.075, 1.175}) {
    const ResponseCurve::Answer answer = curve.answer(utilisation);
    EXPECT_GT(answer.error, 0) << utilisation;
    EXPECT_LT(answer.error, 0.1 * answer.response) << utilisation;
    EXPECT_NEAR(answer.response, truth(utilisation), std::min(0.1, 2 * answer.error)) << utilisation;
  }
}

TEST(WaitFactor, SaysNothingOfWhomTheoryLetsWaitForNobody) {
  WaitFactorLearner learner(hours(24));
  for (int i = 0; i < 3600; ++i) {
    Contenders contenders;
    for (int vm = 0; vm < 4; ++vm) contenders.add_vm(1, 1);
    learner.observe(kStart + seconds(i), contenders, kCpus, 0.1, 1);
  }
  EXPECT_EQ(learner.evidence().weight(), 0);
  EXPECT_TRUE(alone(learner).knots().empty());
}

TEST(WaitFactor, WhatIsNoVmNeverRests) {
  Contenders contenders;
  contenders.add_others(1.5);
  EXPECT_EQ(equal_vcpus(contenders.busy_cores, contenders.squares), 1.5);
}

TEST(WaitFactor, BeginsWhereItsClassIs) {
  WaitFactorLearner seen(hours(24));
  MadeUpHost(3, constant_two).feed(seen, 3600, 0.7, 1);
  WaitFactorLearner fresh(hours(24));
  const ResponseCurve of_others = fresh.known(seen.evidence());
  EXPECT_NEAR(of_others.at(0.875), 2, 0.1);
  EXPECT_GT(of_others.error_at(0.875), 1) << "no other host is this one";
  EXPECT_LT(alone(seen).error_at(0.875), 0.2);
  // What it sees itself outweighs the class.
  MadeUpHost(4, [](double) { return 0.5; }).feed(fresh, 3600, 0.7, 1);
  Evidence of_class = seen.evidence();
  of_class.add(fresh.evidence());
  EXPECT_NEAR(fresh.known(of_class).at(0.875), 0.5, 0.1);
  EXPECT_NEAR(seen.known(of_class).at(0.875), 2, 0.1);
}

TEST(WaitFactor, GoesOnFromWhatWasSaved) {
  WaitFactorLearner before(hours(24));
  MadeUpHost host(5, constant_two);
  host.feed(before, 1000, 0.7, 1);
  SavedHost saved;
  saved.cpu_capacity_cores = kCpus;
  saved.wait_factor = before.saved();
  const auto read = decode(encode({{}, {saved}}));
  ASSERT_TRUE(read) << read.error().message;
  WaitFactorLearner after(hours(24));
  MadeUpHost(6, [](double) { return 9.0; }).feed(after, 100, 0.7, 1);  // no part of what is restored
  after.restore(read->hosts.at(0).wait_factor);
  EXPECT_EQ(alone(after).knots(), alone(before).knots());
  MadeUpHost same = host;
  host.feed(before, 100, 0.7, 1);
  same.feed(after, 100, 0.7, 1);
  EXPECT_EQ(after.curve().knots(), before.curve().knots());
}

}  // namespace
}  // namespace proteus::profile
