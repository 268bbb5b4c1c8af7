#include "controller/forecast/global/fine_tune.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "controller/forecast/global/shipped_weights.h"

namespace proteus::forecast::global {
namespace {

/// A job that runs for twenty minutes every fifty and ends as sharply as it begins: no VM of a data centre does.
std::vector<double> odd_job(std::size_t steps, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> noise(0, 0.02);
  std::vector<double> values;
  const std::size_t phase = random() % 10;
  for (std::size_t t = 0; t < steps; ++t)
    values.push_back(((t + phase) % 10 < 4 ? 2.0 : 0.2) + std::abs(noise(random)));
  return values;
}

TEST(FineTune, LearnsWhatIsPeculiarToItsSeries) {
  std::vector<std::vector<double>> values;
  std::vector<TrainingSeries> series;
  for (unsigned seed = 1; seed <= 6; ++seed) values.push_back(odd_job(9 * kDay, seed));
  for (const std::vector<double>& of : values) {
    series.push_back({.kind = Kind::kCpu, .values = of, .companions = {}, .start_epoch_s = 0});
  }
  int lines = 0;
  const FineTuneOptions options{.epochs = 6, .rate = 2e-3F, .windows_per_series = 96, .seed = 1};
  const auto count = [&](const std::string&) { ++lines; };
  const Result<FineTuned> tuned = fine_tune(*shipped_weights(), series, options, count);
  ASSERT_TRUE(tuned) << tuned.error().message;
  EXPECT_EQ(tuned->series, 6U);
  EXPECT_TRUE(tuned->better);
  EXPECT_LT(tuned->after.total(), tuned->before.total() - kFineTuneGain);
  EXPECT_NE(tuned->weights, *shipped_weights());
  EXPECT_NE(weights_id(tuned->weights), weights_id(*shipped_weights()));
  EXPECT_EQ(tuned->weights.shares, shipped_weights()->shares);
  EXPECT_GT(lines, 0);
}

TEST(FineTune, LeavesTheWeightsAloneWhereThereIsNothingToLearn) {
  // Noise around a level: what is to be known of it, the networks know.
  std::vector<std::vector<double>> values(2);
  std::vector<TrainingSeries> series;
  for (unsigned i = 0; i < values.size(); ++i) {
    std::mt19937 random(i);
    std::normal_distribution<double> noise(0, 0.1);
    for (std::size_t t = 0; t < 8 * kDay; ++t) values[i].push_back(1 + std::abs(noise(random)));
    series.push_back({.kind = Kind::kCpu, .values = values[i], .companions = {}, .start_epoch_s = {}});
  }
  const Result<FineTuned> tuned =
      fine_tune(*shipped_weights(), series, {.epochs = 1, .rate = 1e-6F, .windows_per_series = 8, .seed = 1}, {});
  ASSERT_TRUE(tuned) << tuned.error().message;
  EXPECT_FALSE(tuned->better);
  EXPECT_EQ(tuned->weights, *shipped_weights());
}

TEST(FineTune, SaysWhatItNeeds) {
  const std::vector<double> week = odd_job(kFineTuneStepsMin - 1, 1);
  const std::vector<double> flat(kFineTuneStepsMin, 1.0);
  for (const std::vector<double>& values : {week, flat}) {
    const std::vector<TrainingSeries> series = {
        {.kind = Kind::kCpu, .values = values, .companions = {}, .start_epoch_s = {}}};
    const Result<FineTuned> tuned = fine_tune(*shipped_weights(), series, {}, {});
    ASSERT_FALSE(tuned);
    EXPECT_EQ(tuned.error().code, ErrorCode::kFailedPrecondition);
  }
}

}  // namespace
}  // namespace proteus::forecast::global
