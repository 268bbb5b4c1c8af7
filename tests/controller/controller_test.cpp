// The controller's threads, journal and restart.

#include "controller/controller.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/controller/controller_fixture.h"

namespace proteus::controller {
namespace {

TEST_F(ControllerTest, ForecastsSurviveARestartAndAllOfItIsReplayedByteForByte) {
  std::size_t seen = 0;
  run(60, [&](Controller& controller) {
    const auto outlook = controller.outlook("web1", forecast::Resource::kCpu);
    ASSERT_TRUE(outlook) << outlook.error().message;
    EXPECT_EQ(outlook->vm, VmId(uuid_of(1)));
    EXPECT_EQ(outlook->report.forecast.steps.size(), 10u);
    seen = outlook->report.history.values.size();
    EXPECT_GE(seen, 55u);
    EXPECT_EQ(controller.outlook("nobody", forecast::Resource::kCpu).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(controller.accuracy("")->size(), 6u) << "CPU and memory of three VMs";
    const auto one = controller.accuracy("web1");
    ASSERT_TRUE(one);
    ASSERT_EQ(one->size(), 2u);
    EXPECT_EQ((*one)[0].vm_name, "web1");
    EXPECT_EQ(controller.accuracy("nobody").error().code, ErrorCode::kNotFound);
    EXPECT_EQ(controller.push({"orders", {}, {}, {{clock_.now(), 1}}}, "nobody", "x").error().code,
              ErrorCode::kNotFound);
  });
  // What telemetry the store has lost by then, the forecasts remember.
  run(15, [&](Controller& controller) {
    const auto outlook = controller.outlook("web1", forecast::Resource::kCpu);
    ASSERT_TRUE(outlook);
    EXPECT_GE(outlook->report.history.values.size(), seen + 10);
  });
  EXPECT_EQ(journalled<store::ForecastState>().size(), 1u);
  expect_replayed_byte_for_byte(75);
}

TEST_F(ControllerTest, TheKillSwitchWorksWhileTheJournalCannotBeWrittenAndIsJournalledOnceItCan) {
  store::OperatorInput input;
  input.kind = store::OperatorInput::Kind::kPause;
  input.by = "somebody";
  run(3, [&](Controller& controller) {
    const auto comes_true = [&](const auto& condition) {
      const auto give_up = std::chrono::steady_clock::now() + seconds(60);
      while (!condition()) {
        if (std::chrono::steady_clock::now() > give_up) return false;
        clock_.advance(seconds(1));  // for a cycle
        std::this_thread::yield();
      }
      return true;
    };
    store_->full = true;
    ASSERT_TRUE(comes_true([&] { return !controller.snapshot()->ingest_problem.empty(); }));
    ASSERT_TRUE(controller.submit(input));
    ASSERT_TRUE(comes_true([&] { return controller.snapshot()->paused; }));
    store::OperatorInput resume = input;
    resume.kind = store::OperatorInput::Kind::kResume;
    EXPECT_EQ(controller.submit(resume).error().code, ErrorCode::kUnavailable) << "acting again must be on record";
    EXPECT_TRUE(journalled<store::OperatorInput>().empty());
    store_->full = false;
    ASSERT_TRUE(comes_true([&] { return controller.snapshot()->ingest_problem.empty(); }));
    ASSERT_TRUE(controller.snapshot()->paused);
  });
  const auto said = journalled<store::OperatorInput>();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].kind, store::OperatorInput::Kind::kPause);
  EXPECT_EQ(said[0].by, "somebody");
  run(1, [](Controller& controller) { EXPECT_TRUE(controller.snapshot()->paused) << "a restart does not forget it"; });
}

// A round of forecasting had begun for a cycle that was put off, and the one that came instead began none.
TEST_F(ControllerTest, WhatIsDecidedOnceTheJournalCanBeWrittenAgainIsReplayedByteForByte) {
  Queues* queues = nullptr;
  on_second_ = [&](Queues& all) { queues = &all; };
  run(30, [&](Controller& controller) {
    ASSERT_NE(queues, nullptr);
    const auto put_off = [&] {
      const auto give_up = std::chrono::steady_clock::now() + seconds(60);
      while (controller.snapshot()->cycle_time != clock_.now()) {
        if (std::chrono::steady_clock::now() > give_up) return false;
        std::this_thread::yield();
      }
      return true;
    };
    store_->full = true;
    std::uint64_t cycle = 0;
    for (int i = 0; i < 3; ++i) {
      clock_.advance(seconds(1));
      ++second_;
      ASSERT_TRUE(send_load(*queues));
      ASSERT_TRUE(put_off());
      if (i == 0) cycle = controller.snapshot()->cycle;  // it was decided, and could not be written
      EXPECT_EQ(controller.snapshot()->cycle, cycle) << "without a journal nothing is decided";
    }
    EXPECT_FALSE(controller.snapshot()->ingest_problem.empty());
    clock_.advance(seconds(61));  // until a decision is journalled whatever it says
    ASSERT_TRUE(put_off());
    store_->full = false;
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(pass_second(controller, *queues));
    EXPECT_TRUE(controller.snapshot()->ingest_problem.empty());
  });
  expect_replayed_byte_for_byte(33);
}

// The answer to a kill switch that is asked whether it is on must not be the last cycle's.
TEST_F(ControllerTest, WhatAPersonSaidIsSeenAtOnce) {
  run(2, [&](Controller& controller) {
    const auto before = controller.snapshot();
    const auto say = [&](store::OperatorInput::Kind kind) {
      store::OperatorInput input;
      input.kind = kind;
      input.host = HostId("h1");
      input.by = "somebody";
      const Status said = controller.submit(input);
      EXPECT_TRUE(said) << said.error().message;
      return controller.snapshot();
    };
    using Kind = store::OperatorInput::Kind;
    EXPECT_TRUE(say(Kind::kPause)->paused);
    EXPECT_FALSE(say(Kind::kResume)->paused);
    EXPECT_TRUE(say(Kind::kMaintenanceOn)->state->hosts.at(0).maintenance);
    const auto after = say(Kind::kMaintenanceOff);
    EXPECT_FALSE(after->state->hosts.at(0).maintenance);
    EXPECT_EQ(after->cycle, before->cycle);
    EXPECT_EQ(after->cycle_time, before->cycle_time);
    EXPECT_EQ(after->cycle_duration, before->cycle_duration);
  });
}

TEST_F(ControllerTest, AnAgentThatNeverPausesKeepsNobodyFromBeingHeard) {
  Queues* queues = nullptr;
  on_second_ = [&](Queues& all) { queues = &all; };
  run(1, [&](Controller& controller) {
    ASSERT_NE(queues, nullptr);
    Update update;
    update.host = HostId("h1");
    std::atomic<bool> stopping = false;
    std::thread agent([&] {
      while (!stopping) {
        if (!queues->events.push({clock_.now(), update})) std::this_thread::yield();
      }
    });
    while (queues->events.size() < queues->events.capacity() / 2) std::this_thread::yield();
    store::OperatorInput input;
    input.kind = store::OperatorInput::Kind::kPause;
    input.by = "somebody";
    const Status paused = controller.submit(input);
    EXPECT_TRUE(paused) << paused.error().message;
    const std::uint64_t before = controller.snapshot()->cycle;
    clock_.advance(seconds(2));
    EXPECT_TRUE(cycle_after(controller, before));
    stopping = true;
    agent.join();
    while (queues->events.try_pop()) {
    }
  });
}

TEST_F(ControllerTest, WhatHostsAnswerSurvivesARestart) {
  double seen = 0;
  run(60, [&](Controller& controller) { seen = evidence_s(controller); });
  ASSERT_GT(seen, 30) << "CPU seconds that VMs ran";
  run(2, [&](Controller& controller) {
    const double before = seen;
    seen = evidence_s(controller);
    EXPECT_GT(seen, 0.95 * before) << "told anew where a twentieth has changed";
    EXPECT_LT(seen, before + 5) << "telemetry that is read again counts once";
  });
  // Long enough for no stored telemetry to be read again.
  clock_.advance(std::chrono::hours(3));
  run(2, [&](Controller& controller) { EXPECT_GT(evidence_s(controller), 0.9 * seen); });
  EXPECT_EQ(journalled<store::ProfileState>().size(), 2u);
  expect_replayed_byte_for_byte(64);

  std::vector<std::string> keys;
  ASSERT_TRUE(store_->visit_models("profile/", [&](const std::string& key, const std::string&) {
    keys.push_back(key);
    return true;
  }));
  EXPECT_EQ(keys, (std::vector<std::string>{"profile/hosts/h1", "profile/moves"}));
}

TEST_F(ControllerTest, DamagedResponsesAreLearnedAnew) {
  run(60, [](Controller&) {});
  std::string kept;
  ASSERT_TRUE(store_->visit_models("profile/hosts/h1", [&](const std::string&, std::string value) {
    kept = std::move(value);
    return true;
  }));
  ASSERT_GT(kept.size(), 100u);
  kept[kept.size() / 2] = static_cast<char>(kept[kept.size() / 2] ^ 1);
  ASSERT_TRUE(store_->put_models({{"profile/hosts/h1", kept}}));
  clock_.advance(std::chrono::hours(3));
  run(2, [&](Controller& controller) { EXPECT_LT(evidence_s(controller), 5); });
  EXPECT_TRUE(journalled<store::ProfileState>().empty());
  clock_.advance(std::chrono::hours(3));
  run(2, [](Controller&) {});
  EXPECT_EQ(journalled<store::ProfileState>().size(), 1u) << "and kept again";
}

TEST_F(ControllerTest, WordsThatNothingWaitsForAreAcknowledgedAndCountedAndNotJournalled) {
  obeys_ = true;
  words_ = 3;  // the agent has heard of no acknowledgement
  std::size_t unknown_count = 0;
  on_second_ = [&](Queues& queues) {
    for (int i = 0; i < 10; ++i, ++unknown_count) {
      Update made_up;
      made_up.command = 1'000'000 + unknown_count;
      made_up.action = unknown_count % 5;
      made_up.host = HostId("h1");
      made_up.vm = VmId(uuid_of(1));
      made_up.state = CommandState::kSucceeded;
      ASSERT_TRUE(queues.events.push({clock_.now(), made_up}));
    }
  };
  std::size_t passed_over = 0;
  run(60, [&](Controller& controller) { passed_over = controller.snapshot()->words_passed_over_count; });
  const auto words = journalled<Update>();
  EXPECT_GT(words.size(), 1u) << "what was ordered is answered";
  std::set<std::pair<std::uint64_t, CommandState>> different;
  for (const Update& word : words) {
    EXPECT_LT(word.command - (std::uint64_t{1} << 32), 1000u) << "nobody gave this command";
    EXPECT_TRUE(different.emplace(word.command, word.state).second) << word.command << " is said twice";
  }
  EXPECT_GE(passed_over, unknown_count - 10 + 2 * (words.size() - 1));
  EXPECT_GE(link_.acknowledged_count(), passed_over + words.size());
  expect_replayed_byte_for_byte(60);
}

TEST_F(ControllerTest, WhatWasLearnedOfActionsSurvivesARestartAndWhatIsFollowedIsFollowedOn) {
  obeys_ = true;
  const auto learning = [](const Controller& controller) { return controller.snapshot()->learning.value(); };
  // An action has done what it was to do, and is being followed.
  const auto followed = [&](Controller& controller) {
    const auto& actions = controller.snapshot()->actions;
    return learning(controller).following == 1 && !actions.empty() &&
           actions.back().state == drs::ActionState::kVerified;
  };
  ham::learning::Report before;
  run_until(120, followed, [&](Controller& controller) {
    ASSERT_TRUE(followed(controller));
    before = learning(controller);
  });
  const auto outcomes_before = journalled<ham::learning::Outcome>();
  const auto actions_before = journalled<drs::ActionRecord>();
  ASSERT_FALSE(actions_before.empty());
  run_until(
      40, [&](Controller& controller) { return learning(controller).revision > before.revision; },
      [&](Controller& controller) { EXPECT_GT(learning(controller).revision, before.revision); });
  const auto outcomes = journalled<ham::learning::Outcome>();
  ASSERT_GT(outcomes.size(), outcomes_before.size());
  EXPECT_LE(outcomes[outcomes_before.size()].action, actions_before.back().action.id) << "of the run before";
  EXPECT_EQ(outcomes[outcomes_before.size()].revision, before.revision + 1);
  // And a third run knows what the second has learned.
  const std::uint64_t revision = outcomes.back().revision;
  run(1, [&](Controller& controller) { EXPECT_GE(learning(controller).revision, revision); });
  EXPECT_EQ(journalled<store::LearningState>().size(), 2u);
  expect_replayed_byte_for_byte(3);
}

TEST_F(ControllerTest, WhatWasLearnedOfActionsBeginsAnewIfItIsDamaged) {
  ASSERT_TRUE(store_->put_models({{"learning", "nonsense"}}));
  run(2, [](Controller& controller) { EXPECT_EQ(controller.snapshot()->learning.value().revision, 0u); });
  EXPECT_TRUE(journalled<store::LearningState>().empty());
}

TEST_F(ControllerTest, StoredTelemetryThatIsDamagedKeepsNoControllerFromStarting) {
  run(40, [](Controller&) {});
  store_->damaged = true;
  run(2, [](Controller& controller) {
    const auto outlook = controller.outlook("web1", forecast::Resource::kCpu);
    ASSERT_TRUE(outlook);
    EXPECT_GE(outlook->report.history.values.size(), 38u) << "from what could be read";
  });
}

TEST_F(ControllerTest, DamagedForecastsBeginAnew) {
  run(40, [](Controller&) {});
  std::string key;
  ASSERT_TRUE(store_->visit_models("series/", [&](const std::string& found, const std::string&) {
    key = found;
    return false;
  }));
  ASSERT_TRUE(store_->put_models({{key, "nonsense"}}));
  run(2, [](Controller& controller) {
    const auto outlook = controller.outlook("web1", forecast::Resource::kCpu);
    ASSERT_TRUE(outlook);
    EXPECT_GE(outlook->report.history.values.size(), 38u) << "from stored telemetry";
  });
}

}  // namespace
}  // namespace proteus::controller
