#include "controller/ham/learning/agent.h"

#include <gtest/gtest.h>

#include <random>

namespace proteus::ham::learning {
namespace {

double uniform(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

/// An outcome of a migration that the rules took by themselves.
Outcome outcome_of(std::mt19937_64& random, double promised_share_kept) {
  Outcome outcome;
  outcome.vm = VmId("v");
  Note& note = outcome.note;
  note.kind = Kind::kMigrate;
  note.features[2] = 1;
  for (std::size_t i = 6; i < kFeatureCount; ++i) note.features[i] = uniform(random);
  note.scale = 5 + 20 * uniform(random);
  note.features[5] = 0.8;
  note.predicted = note.gain = 0.6 * note.scale;
  note.required = 0.1 * note.gain;
  const double noise = uniform(random) + uniform(random) + uniform(random) - 1.5;
  outcome.realised = promised_share_kept * note.predicted + 0.5 * note.scale * noise;
  return outcome;
}

TEST(Agent, AdoptsNothingWhereThereIsOnlyNoise) {
  int adoptions = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    Agent agent;
    for (int i = 0; i < 300; ++i) agent.refine(outcome_of(random, 1));
    adoptions += static_cast<int>(agent.supervisor().adoptions());
  }
  EXPECT_LE(adoptions, 2) << "of 40; one in twenty is what the bound allows";
}

TEST(Agent, LearnsThatPromisesAreNotKept) {
  std::mt19937_64 random(1);
  Agent agent;
  int needed = 0;
  while (!agent.acting() && needed < 300) {
    agent.refine(outcome_of(random, -0.5));
    ++needed;
  }
  EXPECT_TRUE(agent.acting());
  EXPECT_GE(needed, 20) << "too rash";
  const Outcome next = outcome_of(random, -0.5);
  const Advice advice = agent.advise(next.note, next.vm, {});
  EXPECT_LT(advice.correction, -next.note.gain + next.note.required);
  EXPECT_GE(advice.correction, advice.belief.mean) << "never more than it believes";
}

TEST(Agent, LeavesAFifthToTheRulesWhileItActs) {
  std::mt19937_64 random(1);
  Agent agent;
  const Note note = outcome_of(random, 1).note;
  const auto share = [&] {
    int control = 0;
    for (int v = 0; v < 2000; ++v) {
      control += agent.advise(note, VmId("vm" + std::to_string(v)), from_unix_ns(1'700'000'000'000'000'000)).control;
    }
    return control / 2000.0;
  };
  EXPECT_EQ(share(), 0) << "as long as it does not act, the rules decide about all";
  while (!agent.acting()) agent.refine(outcome_of(random, -0.5));
  EXPECT_NEAR(share(), 0.2, 0.03);
  EXPECT_EQ(agent.propensity(true), 1);
  EXPECT_EQ(agent.propensity(false), 0.2);
}

TEST(Agent, GoesOnFromWhereItWasSaved) {
  std::mt19937_64 random(7);
  Agent agent;
  for (int i = 0; i < 100; ++i) agent.refine(outcome_of(random, -0.2));
  Agent other;
  ASSERT_TRUE(other.restore(agent.save()));
  EXPECT_EQ(other.save(), agent.save());
  const Outcome next = outcome_of(random, -0.2);
  EXPECT_EQ(other.refine(next).difference, agent.refine(next).difference);
  EXPECT_EQ(other.save(), agent.save());
}

TEST(Agent, ReadsWhatWasStoredBeforeActionsWereFollowedOn) {
  std::mt19937_64 random(7);
  Agent agent;
  for (int i = 0; i < 30; ++i) agent.refine(outcome_of(random, -0.2));
  std::string bytes = agent.save();
  bytes[0] = 1;
  constexpr std::size_t kRevision = 8;
  constexpr std::size_t kFollowed = 1 + 8 + 8 + 4;  // when it looked, whose turn it is, nothing followed
  bytes.erase(bytes.size() - kRevision - kFollowed, kFollowed);
  Agent other;
  ASSERT_TRUE(other.restore(bytes));
  EXPECT_EQ(other.save(), agent.save());
}

TEST(Agent, WhatWasDrawnTellsOfTheRulesByItsPropensity) {
  Outcome outcome;
  outcome.vm = VmId("v");
  outcome.note.kind = Kind::kMigrate;
  outcome.note.features[2] = 1;
  outcome.note.scale = 10;
  outcome.note.predicted = outcome.note.gain = 1;
  outcome.note.required = 0.5;
  outcome.realised = -9;
  Agent hesitant;  // that would hold such actions back
  for (int i = 0; i < 40; ++i) hesitant.refine(outcome);
  const double expected = hesitant.refine(outcome).note.expected();
  ASSERT_LT(expected, 0);
  outcome.note.propensity = 0.25;
  const Outcome preferred = Agent(hesitant).refine(outcome);
  EXPECT_NEAR(preferred.difference, -(preferred.note.expected() + (-9 - preferred.note.expected()) / 0.25), 1e-9);
  outcome.note.preferred = false;
  const Outcome drawn = Agent(hesitant).refine(outcome);
  EXPECT_NEAR(drawn.difference, -drawn.note.expected(), 1e-9) << "the rules' choice was not seen";
  EXPECT_EQ(drawn.revision, preferred.revision) << "the model learns of it all the same";
}

TEST(Agent, RefusesWhatIsNoState) {
  std::mt19937_64 random(7);
  Agent agent;
  agent.refine(outcome_of(random, 1));
  const std::string good = agent.save();
  Agent other;
  const std::string before = other.save();
  EXPECT_EQ(other.restore("").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(other.restore(good.substr(0, good.size() - 1)).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(other.restore(good + "x").error().code, ErrorCode::kCorrupt);
  std::string other_version = good;
  other_version[0] = 9;
  EXPECT_EQ(other.restore(other_version).error().code, ErrorCode::kUnsupported);
  std::string endless = good;  // the first coefficient of the precision
  for (int i = 0; i < 8; ++i) endless[8 + static_cast<std::size_t>(i)] = '\xff';
  EXPECT_EQ(other.restore(endless).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(other.save(), before);
}

}  // namespace
}  // namespace proteus::ham::learning
