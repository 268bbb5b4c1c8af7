#include <gtest/gtest.h>

#include <map>
#include <set>

#include "controller/ham/learning/agent.h"
#include "tests/controller/ham/cluster.h"

// What learning does to a decision besides holding actions back.

namespace proteus::ham {
namespace {

/// h1 has more to do than it can; h2 and h3 are empty and alike.
Cluster crowded() {
  Cluster cluster;
  for (const char* host : {"h1", "h2", "h3"}) cluster.host(host, 4);
  for (const char* vm : {"a", "b", "c"}) set_flat_cpu(cluster.vm(vm, "h1", 2), cluster.state.now, 1.8);
  cluster.ready();
  return cluster;
}

TEST(DecideLearning, ExploresOnlyAmongEqualChoicesAndSaysHowLikely) {
  const Cluster cluster = crowded();
  const Policy policy = eager_policy();
  const std::string rules = dump(decide(cluster.state, policy, 1));
  learning::Agent watching;
  learning::Agent exploring;
  exploring.explore(true);
  std::map<std::string, int> targets;
  int preferred = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const Decision plain = decide(cluster.state, policy, seed, &watching);
    ASSERT_EQ(moves_of(plain.chosen), moves_of(decide(cluster.state, policy, seed).chosen));
    EXPECT_EQ(plain.chosen.actions.front().learned->propensity, 1);
    EXPECT_TRUE(plain.chosen.actions.front().learned->preferred);

    const Decision drawn = decide(cluster.state, policy, seed, &exploring);
    ASSERT_EQ(drawn.chosen.actions.size(), plain.chosen.actions.size());
    EXPECT_NEAR(drawn.chosen.score.total(), plain.chosen.score.total(), 0.01 * -drawn.do_nothing.score.total());
    const Action& first = drawn.chosen.actions.front();
    ASSERT_TRUE(first.learned);
    EXPECT_EQ(first.learned->propensity, 0.5);
    const HostId& target = std::get<Migrate>(first.operation).target;
    EXPECT_EQ(first.learned->preferred, target == std::get<Migrate>(plain.chosen.actions.front().operation).target);
    ++targets[target.value];
    preferred += first.learned->preferred ? 1 : 0;
    EXPECT_EQ(dump(decide(cluster.state, policy, seed, &exploring)), dump(drawn)) << "the seed decides";
  }
  EXPECT_EQ(targets.size(), 2u);
  EXPECT_GE(preferred, 8);
  EXPECT_LE(preferred, 32);
}

TEST(DecideLearning, SaysWhatItThinksOfWhatWasNotDone) {
  Cluster cluster = crowded();
  Policy policy = eager_policy();
  policy.prices.migration_per_gib = 1e6;  // nothing pays
  ASSERT_TRUE(decide(cluster.state, policy, 1).chosen.actions.empty());
  EXPECT_FALSE(decide(cluster.state, policy, 1).learning.opinion);
  const learning::Agent agent;
  const Decision decision = decide(cluster.state, policy, 1, &agent);
  ASSERT_TRUE(decision.chosen.actions.empty());
  ASSERT_TRUE(decision.learning.opinion);
  EXPECT_NE(decision.learning.opinion->label.find("migrate"), std::string::npos);
  EXPECT_LT(decision.learning.opinion->note.gain, decision.learning.opinion->note.required);
  EXPECT_EQ(decision.learning.opinion->note.mean, 0) << "nothing was learned yet";
  EXPECT_FALSE(decide(crowded().state, eager_policy(), 1, &agent).learning.opinion) << "something is done there";
}

/// An agent that has found raises and moves to be worth nothing corrects all of them.
TEST(DecideLearning, CountsWhatItCorrects) {
  learning::Agent agent;
  const Cluster cluster = crowded();
  const Policy policy = eager_policy();
  for (int i = 0; i < 200; ++i) {
    learning::Outcome outcome;
    outcome.vm = VmId("a");
    outcome.note = *decide(cluster.state, policy, 1, &agent).chosen.actions.front().learned;
    outcome.realised = -outcome.note.predicted;
    agent.refine(outcome);
    if (agent.acting()) break;
  }
  ASSERT_TRUE(agent.acting());
  const Decision decision = decide(cluster.state, policy, 1, &agent);
  EXPECT_GT(decision.learning.corrected, 0u);
  EXPECT_FALSE(decision.learning.held.empty());
  EXPECT_EQ(decide(cluster.state, policy, 1).learning.corrected, 0u);
}

}  // namespace
}  // namespace proteus::ham
