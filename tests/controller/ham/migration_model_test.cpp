#include "controller/ham/score/migration_model.h"

#include <gtest/gtest.h>

namespace proteus::ham {
namespace {

constexpr double kMb = 1e6;

TEST(MigrationModel, IdleMemoryIsCopiedOnce) {
  const MigrationPrediction p = predict_migration(1000 * kMb, 0.001 * kMb, 100 * kMb, 0.3);
  EXPECT_NEAR(p.duration_s, 10, 0.01);
  EXPECT_NEAR(p.copied_bytes, 1000 * kMb, kMb);
  EXPECT_LT(p.downtime_s, 0.001);
  EXPECT_EQ(p.rounds, 1);
}

// Rounds shrink by D/B = 1/5: 10 s, 2 s, 0.4 s; 40 MB are then left, which fit into 0.3 s at 100 MB/s only after the
// next.
TEST(MigrationModel, RoundsAreGeometric) {
  const MigrationPrediction p = predict_migration(1000 * kMb, 20 * kMb, 100 * kMb, 0.3);
  EXPECT_EQ(p.rounds, 3);
  EXPECT_NEAR(p.downtime_s, 0.08, 1e-9);
  EXPECT_NEAR(p.duration_s, 10 + 2 + 0.4 + 0.08, 1e-9);
  EXPECT_NEAR(p.copied_bytes, 1248 * kMb, 1);
  EXPECT_TRUE(p.converges);
  EXPECT_EQ(p.throttled_s, 0);
}

TEST(MigrationModel, FasterDirtyingThanTheLinkNeedsThrottling) {
  const MigrationPrediction p = predict_migration(1000 * kMb, 150 * kMb, 100 * kMb, 0.3);
  EXPECT_TRUE(p.converges);
  EXPECT_GT(p.throttled_s, 10);
  EXPECT_GT(p.duration_s, 40);
  EXPECT_LE(p.downtime_s, 0.3);
}

TEST(MigrationModel, HopelessMigrationSaysSo) {
  const MigrationPrediction p = predict_migration(1000 * kMb, 100'000 * kMb, 1 * kMb, 0.001);
  EXPECT_FALSE(p.converges);
  EXPECT_EQ(p.rounds, kPreCopyRoundsMax);
  EXPECT_GT(p.downtime_s, 0.001);
}

TEST(MigrationModel, UnknownDirtyRateIsNotTakenForNone) {
  EXPECT_GT(predict_migration(1000 * kMb, std::nullopt, 100 * kMb, 0.3).copied_bytes, 1200 * kMb);
  EXPECT_EQ(predict_migration(1000 * kMb, 0, 100 * kMb, 0.3).copied_bytes, 1000 * kMb) << "one that dirties nothing";
}

}  // namespace
}  // namespace proteus::ham
