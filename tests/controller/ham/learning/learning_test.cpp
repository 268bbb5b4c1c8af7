#include <gtest/gtest.h>

#include <cmath>

#include "tests/controller/ham/learning/world.h"

namespace proteus::ham {
namespace {

constexpr int kHour = 60;
constexpr int kDay = 24 * kHour;

/// Each VM of a host waits so many cores more for ten minutes after another has arrived: moves cost more than they
/// gain, and the score does not know it.
constexpr WorldTruth kMovesHurt{.arrival_harm_cores = 0.8, .waiting = 1};

/// They hurt nobody, and what they relieve is worse than the score knows.
constexpr WorldTruth kMovesPay{.arrival_harm_cores = 0, .waiting = 5};

double cost_of_rules(std::uint64_t seed, WorldTruth truth, int minutes) {
  World world(seed);
  world.truth = truth;
  world.run(minutes, nullptr);
  return world.take_cost();
}

TEST(Learning, SavesWhereMovesHurtMoreThanPriced) {
  for (const std::uint64_t seed : {1u, 2u}) {
    World world(seed);
    world.truth = kMovesHurt;
    learning::Agent agent;
    world.run(2 * kDay, &agent);
    EXPECT_TRUE(agent.acting()) << "seed " << seed;
    EXPECT_LT(world.take_cost(), 0.95 * cost_of_rules(seed, kMovesHurt, 2 * kDay)) << "seed " << seed;
    EXPECT_FALSE(world.outcomes().empty());
  }
}

TEST(Learning, DoesNoHarmWhereTheScoreIsRight) {
  World world(4);
  learning::Agent agent;
  world.run(2 * kDay, &agent);
  EXPECT_GT(world.outcomes().size(), 50u) << "too little happened for this to say anything";
  EXPECT_LE(world.take_cost(), 1.005 * cost_of_rules(4, {}, 2 * kDay));
}

TEST(Learning, ChangesNothingUntilItActs) {
  World alone(3);
  alone.run(kHour, nullptr);
  World world(3);
  learning::Agent agent;
  world.run(kHour, &agent);
  ASSERT_FALSE(agent.acting());
  ASSERT_GT(alone.moves(), 0);
  EXPECT_EQ(world.decided(), alone.decided());
}

/// Moves hurt until learning holds them back; then they pay.
TEST(Learning, StepsBackWhenTheWorldChanges) {
  World world(1);
  world.truth = kMovesHurt;
  learning::Agent agent;
  for (int hour = 0; hour < 48 && !agent.acting(); ++hour) world.run(kHour, &agent);
  ASSERT_TRUE(agent.acting());
  ASSERT_EQ(agent.supervisor().retreats(), 0u);
  world.truth = kMovesPay;
  int hours = 0;
  while (hours < 36 && agent.supervisor().retreats() == 0) {
    world.run(kHour, &agent);
    ++hours;
  }
  EXPECT_EQ(agent.supervisor().retreats(), 1u);
  EXPECT_FALSE(agent.acting());
  RecordProperty("hours_until_it_stepped_back", hours);
}

TEST(Learning, IsTheSameEachTime) {
  const auto run = [](std::string& bytes) {
    World world(2);
    world.truth = kMovesHurt;
    learning::Agent agent;
    world.run(12 * kHour, &agent);
    bytes = agent.save();
    return world.decided();
  };
  std::string first_bytes;
  std::string second_bytes;
  EXPECT_EQ(run(first_bytes), run(second_bytes));
  EXPECT_EQ(first_bytes, second_bytes);
  EXPECT_GT(first_bytes.size(), 1000u);
}

/// What the journal holds of one run teaches another agent the same.
TEST(Learning, IsRefinedFromOutcomesOfAnotherRun) {
  World world(1);
  world.truth = kMovesHurt;
  learning::Agent agent;
  world.run(kDay, &agent);
  learning::Agent pupil;
  for (const learning::Outcome& outcome : world.outcomes()) pupil.refine(outcome);
  EXPECT_TRUE(pupil.acting());
  const auto move = static_cast<std::size_t>(learning::Kind::kMigrate);
  EXPECT_LT(pupil.model().coefficients()[move], 0) << "it did not learn that moves disappoint";
}

}  // namespace
}  // namespace proteus::ham
