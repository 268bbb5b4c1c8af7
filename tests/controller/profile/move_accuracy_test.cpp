#include "controller/profile/move_accuracy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace proteus::profile {
namespace {

using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);
const VmId kVm("vm");
const HostId kHost("h2");

/// A VM arrives and runs half the time, waiting so much for each second that it runs.
void move(MoveAccuracy& accuracy, double predicted, double realised, double run_share = 0.5) {
  accuracy.arrived(kVm, kHost, predicted, kStart);
  for (int second = 0; second < 70; ++second) {
    // What the copying did to it does not count.
    const double ratio = second < 5 ? 50 : realised;
    accuracy.observe(kVm, kHost, kStart + seconds(second), run_share * 1e9, run_share * ratio * 1e9);
  }
}

TEST(MoveAccuracy, KnowsLittleBeforeTheFirstMove) {
  const MoveErrors errors = MoveAccuracy().errors();
  EXPECT_EQ(errors, MoveErrors{});
  EXPECT_LT(errors.interval(0.2).low, 0.05);
  EXPECT_GT(errors.interval(0.2).high, 0.8);
}

TEST(MoveAccuracy, ARightPredictionNarrowsTheInterval) {
  MoveAccuracy accuracy;
  for (int i = 0; i < 50; ++i) move(accuracy, 0.2, 0.2);
  const MoveErrors errors = accuracy.errors();
  EXPECT_NEAR(errors.bias, 0, 1e-9);
  EXPECT_LT(errors.deviation, 0.35);
  EXPECT_GT(errors.interval(0.2).low, 0.1);
  EXPECT_LT(errors.interval(0.2).high, 0.4);
}

TEST(MoveAccuracy, AConstantErrorIsTakenOff) {
  MoveAccuracy accuracy;
  for (int i = 0; i < 200; ++i) move(accuracy, 0.1, 0.32);  // three times as much, + floor
  const MoveErrors errors = accuracy.errors();
  EXPECT_NEAR(errors.bias, std::log(3.0), 0.1);
  const MoveErrors::Interval interval = errors.interval(0.1);
  EXPECT_LT(interval.low, 0.32);
  EXPECT_GT(interval.high, 0.32);
  EXPECT_GT(interval.low, 0.1) << "what was predicted is not believed any more";
}

TEST(MoveAccuracy, FollowsRequestsToStorageLikewise) {
  MoveAccuracy accuracy(kStorageMoves);
  for (int i = 0; i < 200; ++i) {
    accuracy.arrived(kVm, kHost, 0.001, kStart);
    for (int second = 0; second < 90; second += 10) accuracy.observe(kVm, kHost, kStart + seconds(second), 100, 0.3);
  }
  EXPECT_NEAR(accuracy.errors().bias, std::log(3.05 / 1.05), 0.1) << "3 ms each, 1 ms predicted";
  EXPECT_GT(accuracy.errors().interval(0.001).high, 0.003);
  const MoveErrors::Interval sure = accuracy.errors().interval(0.001);
  const MoveErrors::Interval unsure = accuracy.errors().interval(0.001, 0.5);
  EXPECT_LT(unsure.low, sure.low);
  EXPECT_GT(unsure.high, sure.high);

  MoveAccuracy few(kStorageMoves);
  few.arrived(kVm, kHost, 0.001, kStart);
  for (int second = 0; second < 90; second += 10) few.observe(kVm, kHost, kStart + seconds(second), 5, 0.3);
  EXPECT_EQ(few.errors().moves, 0);
}

TEST(MoveAccuracy, NineOfTenLieWithin) {
  MoveAccuracy accuracy;
  std::mt19937_64 random(3);
  std::normal_distribution<double> error(0.2, 0.5);
  int inside = 0;
  int count = 0;
  for (int i = 0; i < 1000; ++i) {
    const double realised = 0.31 * std::exp(error(random)) - MoveErrors::kFloor;
    const MoveErrors::Interval interval = accuracy.errors().interval(0.3);
    if (i >= 100) {
      ++count;
      inside += interval.low <= realised && realised <= interval.high;
    }
    move(accuracy, 0.3, realised);
  }
  EXPECT_NEAR(static_cast<double>(inside) / count, 0.9, 0.04);
}

TEST(MoveAccuracy, WhoIdlesOrMovesOnTellsLittle) {
  MoveAccuracy accuracy;
  move(accuracy, 0.2, 5, 0.001);
  EXPECT_EQ(accuracy.errors().moves, 0);
  accuracy.arrived(kVm, kHost, 0.2, kStart);
  for (int second = 0; second < 20; ++second) accuracy.observe(kVm, kHost, kStart + seconds(second), 1e9, 0.2e9);
  accuracy.observe(kVm, HostId("h3"), kStart + seconds(20), 1e9, 9e9);
  EXPECT_EQ(accuracy.errors().moves, 1);
  EXPECT_NEAR(accuracy.errors().bias, 0, 1e-9) << "what it waits elsewhere is not this host's";
}

}  // namespace
}  // namespace proteus::profile
