// A controller's run is renewed while telemetry flows; what was decided is decided again, from any of its beginnings.

#include "controller/renewal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "controller/replay/recording.h"
#include "tests/controller/controller_fixture.h"
#include "tests/fakes/memory_store.h"

namespace proteus::controller {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

TEST(WarmUpFrom, ReachesBackToTheStatesOrASilentHostsLastWord) {
  const Timestamp now = from_unix_ns(1'700'000'000'000'000'000);
  const Timestamp earliest = now - hours(24);
  const auto from = [&](const std::map<HostId, Timestamp>& heard) {
    return warm_up_from(now, earliest, minutes(1), heard);
  };
  EXPECT_EQ(from({}), now - minutes(12)) << "two steps, and what was late";
  EXPECT_EQ(from({{HostId("h1"), now}}), now - minutes(12));
  EXPECT_EQ(from({{HostId("h1"), now}, {HostId("h2"), now - hours(5)}}), now - hours(5) - minutes(2));
  EXPECT_EQ(from({{HostId("h2"), earliest}}), earliest);
  EXPECT_EQ(from({{HostId("h2"), earliest - seconds(1)}}), now - minutes(12)) << "it is given up";
}

/// One of a pipeline that knows a signal, and of a store without telemetry.
class RenewalAlone : public testing::Test {
 protected:
  Renewal::Input input() {
    PipelineOptions options;
    auto policy = ham::parse_policy("", "policy");
    Renewal::Input input;
    input.options = options;
    input.current = std::make_shared<Pipeline>(options, *policy, store::Started{});
    EXPECT_TRUE(input.current->on_signal({"orders", {}, seconds(5), {{kNow, 1.0}}}));
    input.current->begin_cycle();
    input.begun = kNow;
    input.span_max = hours(24);
    input.rounds_begun = 1;
    input.taken_through_lsn = 1;
    return input;
  }
  template <typename Condition>
  static bool comes_true(Condition condition) {
    const auto give_up = std::chrono::steady_clock::now() + seconds(60);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  static inline const Timestamp kNow = from_unix_ns(1'700'000'000'000'000'000);
  MemoryStore store_;
};

TEST_F(RenewalAlone, AFullDiskEndsIt) {
  store_.set_full(true);
  Renewal renewal(input(), store_);
  ASSERT_TRUE(comes_true([&] { return renewal.ended().has_value(); }));
  EXPECT_NE(renewal.ended()->find("no space left"), std::string::npos) << *renewal.ended();
  EXPECT_FALSE(renewal.ready());
  EXPECT_FALSE(renewal.try_take());
}

TEST_F(RenewalAlone, IsTakenWhenSamplesAreKeptAndEndsWithTheFormerPipeline) {
  Renewal renewal(input(), store_);
  ASSERT_TRUE(comes_true([&] { return renewal.near(); }));
  EXPECT_FALSE(renewal.try_take()) << "what comes meanwhile would be lost";
  renewal.set_keep_from(1);
  std::optional<Renewal::Made> made;
  ASSERT_TRUE(comes_true([&] { return (made = renewal.try_take()).has_value(); }));
  EXPECT_EQ(made->restored_entries, 1u);
  EXPECT_EQ(made->warm_from_lsn, 0u) << "there was no telemetry";
  EXPECT_EQ(made->warm_through_lsn, 1u);
  EXPECT_EQ(made->pipeline->view().forecasts().signals().size(), 1u);
  EXPECT_FALSE(renewal.ended());
  renewal.retire(std::make_shared<Pipeline>(PipelineOptions(), made->pipeline->policy(), store::Started{}));
  ASSERT_TRUE(comes_true([&] { return renewal.ended().has_value(); }));
  EXPECT_EQ(*renewal.ended(), "");
}

TEST_F(RenewalAlone, MayBeDroppedAtAnyTime) {
  { const Renewal renewal(input(), store_); }
  Renewal renewal(input(), store_);
  renewal.stop();
  ASSERT_TRUE(comes_true([&] { return renewal.ended().has_value(); }));
  EXPECT_NE(*renewal.ended(), "");
}

class RenewalTest : public ControllerTest {
 protected:
  void SetUp() override {
    ControllerTest::SetUp();
    obeys_ = true;
  }
  ControllerOptions options() const override {
    ControllerOptions options = ControllerTest::options();
    options.policy_toml = policy_;
    options.raw_retention = retention_;
    options.gather = gather_;
    options.pipeline.view.forget_after = forget_after_;
    options.kept_samples_bytes_max = kept_samples_bytes_max_;
    return options;
  }
  std::size_t runs() { return journalled<store::Started>().size(); }
  /// Another run has begun.
  static bool renewed_since(const Controller& controller, Timestamp when) {
    return controller.snapshot()->run_begun_at > when;
  }
  /// Passes seconds until the run has been renewed, and some more.
  void run_renewed(
      int times, const std::function<void(Controller&)>& at_the_end = [](Controller&) {}) {
    int left = times;
    std::optional<Timestamp> begun;
    int after = 0;
    run_until(
        20'000,
        [&](Controller& controller) {
          const Timestamp at = controller.snapshot()->run_begun_at;
          if (begun && *begun != at) --left;
          begun = at;
          if (left > 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
          return left == 0 && ++after > 20;
        },
        at_the_end);
    EXPECT_EQ(left, 0) << "the run was not renewed";
  }
  /// Cuts a recording that begins at or before `from`, and decides it again.
  replay::RecordingSummary expect_recording_exact(Timestamp from) {
    const std::string path = directory_ / "recording";
    const auto written =
        replay::write_recording(*store_, {.from = from, .to = clock_.now() + seconds(1), .hosts = {}}, path);
    EXPECT_TRUE(written) << written.error().message;
    if (!written) return {};
    EXPECT_EQ(written->missing_until, std::nullopt);
    replay::ReplayOptions options;
    options.beginnings = replay::beginnings_of(path);
    replay::Replayer replayer(std::move(options));
    Status status;
    const auto read = replay::read_recording(
        path, {.raw = [&](const store::RawMessage& m) { return (status = replayer.on_raw(m)).has_value(); },
               .journal = [&](const store::JournalEntry& e) { return (status = replayer.on_journal(e)).has_value(); }});
    replayer.finish();
    EXPECT_TRUE(read) << read.error().message;
    EXPECT_TRUE(status) << status.error().message;
    EXPECT_GT(replayer.cycles(), 10u);
    EXPECT_GT(replayer.decisions(), 0u);
    for (const replay::Difference& difference : replayer.differences()) {
      ADD_FAILURE() << "recorded " << difference.recorded << "\nreplayed " << difference.replayed;
    }
    return read ? *read : replay::RecordingSummary();
  }

  Nanoseconds retention_ = seconds(200);
  Nanoseconds gather_ = std::chrono::milliseconds(250);
  Nanoseconds forget_after_ = ViewOptions().forget_after;
  std::size_t kept_samples_bytes_max_ = ControllerOptions().kept_samples_bytes_max;
  std::string policy_ = "automation = \"automatic\"\n";
};

TEST_F(RenewalTest, WhatIsDecidedAcrossRenewalsAndFromEachIsReplayedByteForByte) {
  std::size_t history = 0;
  run_renewed(3, [&](Controller& controller) {
    const auto outlook = controller.outlook("web1", forecast::Resource::kCpu);
    ASSERT_TRUE(outlook) << outlook.error().message;
    history = outlook->report.history.values.size();
    EXPECT_EQ(controller.snapshot()->term, 1u);
    EXPECT_LT(controller.snapshot()->started_at, controller.snapshot()->run_begun_at);
  });
  EXPECT_GE(history, static_cast<std::size_t>(second_) - 5) << "forecasts go on";
  EXPECT_EQ(runs(), 4u);
  EXPECT_EQ(journalled<drs::ActionRecord>().empty(), false) << "something was done";
  expect_replayed_byte_for_byte(static_cast<std::size_t>(second_));

  std::vector<Timestamp> begun;
  ASSERT_TRUE(store_->scan_lsn(0, std::numeric_limits<std::uint64_t>::max(),
                               {.raw = nullptr, .journal = [&](const store::JournalEntry& entry) {
                                  if (std::holds_alternative<store::Started>(entry.payload))
                                    begun.push_back(entry.time);
                                  return true;
                                }}));
  ASSERT_EQ(begun.size(), 4u);
  for (const Timestamp at : begun) EXPECT_EQ(expect_recording_exact(at).from, at);
}

TEST_F(RenewalTest, FramesMayStayAwayWhenARunIsRenewed) {
  pushes_ = false;
  std::optional<Timestamp> begun;
  int after = 0;
  run_until(
      20'000,
      [&](Controller& controller) {
        if (!begun) begun = controller.snapshot()->run_begun_at;
        sends_ = clock_.now() - *begun < seconds(45) || renewed_since(controller, *begun);
        if (!sends_) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return renewed_since(controller, *begun) && ++after > 30;
      },
      [](Controller&) {});
  EXPECT_EQ(runs(), 2u);
  expect_replayed_byte_for_byte(static_cast<std::size_t>(second_));
}

TEST_F(RenewalTest, AVmThatIsGoneIsForgottenAfterTheSameTime) {
  pushes_ = false;
  policy_ = "automation = \"recommend\"\n";
  retention_ = seconds(120);
  forget_after_ = seconds(160);  // longer than telemetry is read again for
  const std::string gone = host_.vms.back().uuid;
  const auto knows = [&](Controller& controller) {
    return controller.outlook(gone, forecast::Resource::kCpu).has_value();
  };
  std::optional<Timestamp> last_seen;
  int renewals = 0;
  std::optional<Timestamp> begun;
  run_until(
      2'000,
      [&](Controller& controller) {
        if (second_ == 20) {
          EXPECT_TRUE(knows(controller));
          host_.vms.pop_back();
          last_seen = clock_.now();
        }
        const Timestamp at = controller.snapshot()->run_begun_at;
        if (begun && *begun != at) ++renewals;
        begun = at;
        if (last_seen) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return last_seen && !knows(controller);
      },
      [&](Controller& controller) {
        EXPECT_FALSE(knows(controller)) << "known for as long as there are renewals";
        EXPECT_LT(clock_.now() - *last_seen, seconds(170));
      });
  EXPECT_GE(renewals, 3);
  expect_replayed_byte_for_byte(static_cast<std::size_t>(second_));
}

TEST_F(RenewalTest, ARestartAfterARenewalGoesOn) {
  run_renewed(1);
  run(30, [](Controller& controller) { EXPECT_EQ(controller.snapshot()->term, 2u); });
  expect_replayed_byte_for_byte(static_cast<std::size_t>(second_));
  expect_recording_exact(clock_.now());
}

TEST_F(RenewalTest, ARecordingIsExactThoughWhatTheProcessBeganWithHasExpired) {
  auto opened = store::Store::open({.directory = directory_ / "short", .raw_retention = hours(3)});
  ASSERT_TRUE(opened);
  store_ = std::make_unique<fakes::FullJournal>(std::move(*opened));
  retention_ = hours(3);
  const Timestamp first = clock_.now();
  bool jumped = false;
  int after = 0;
  run_until(
      20'000,
      [&](Controller& controller) {
        // Hours pass, in which nothing is sent; then a keyframe is.
        const auto pass = [&](Nanoseconds by) {
          clock_.advance(by);
          encoder_.emplace();
        };
        if (second_ == 60) pass(minutes(50));
        if (second_ > 60 && !renewed_since(controller, first)) {
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
          return false;
        }
        if (second_ > 60 && !std::exchange(jumped, true)) {
          pass(hours(4));
          EXPECT_TRUE(store_->expire(clock_.now()));
        }
        return jumped && controller.snapshot()->run_begun_at > first + hours(2) && ++after > 60;
      },
      [](Controller&) {});
  ASSERT_TRUE(store_->expire(clock_.now()));
  std::optional<Timestamp> oldest;
  ASSERT_TRUE(store_->scan(first, Timestamp::max(),
                           {.raw =
                                [&](const store::RawMessage& message) {
                                  if (message.sequence != 0) oldest = message.received;
                                  return message.sequence == 0;
                                },
                            .journal = nullptr}));
  ASSERT_TRUE(oldest);
  EXPECT_GT(*oldest, first + hours(2)) << "the first has expired";
  expect_recording_exact(clock_.now());
}

TEST_F(RenewalTest, AnActionThatAwaitsApprovalGoesOnWaiting) {
  policy_ = "automation = \"approve\"\n";
  ActionId waiting = 0;
  std::optional<Timestamp> since;
  const auto state_of = [&](const Controller& controller) -> std::optional<drs::ActionState> {
    const auto& actions = controller.snapshot()->actions;
    const auto found =
        std::find_if(actions.begin(), actions.end(), [&](const auto& a) { return a.action.id == waiting; });
    return found == actions.end() ? std::nullopt : std::optional(found->state);
  };
  bool approved = false;
  int after = 0;
  run_until(
      20'000,
      [&](Controller& controller) {
        for (const drs::ActionRecord& action : controller.snapshot()->actions) {
          if (waiting == 0 && action.state == drs::ActionState::kAwaitingApproval) {
            waiting = action.action.id;
            since = clock_.now();
          }
        }
        if (waiting == 0) return false;
        if (!renewed_since(controller, *since)) {
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
          return false;
        }
        if (!std::exchange(approved, true)) {
          EXPECT_EQ(state_of(controller), drs::ActionState::kAwaitingApproval);
          store::OperatorInput input;
          input.kind = store::OperatorInput::Kind::kApprove;
          input.action = waiting;
          input.by = "somebody";
          const Status taken = controller.submit(input);
          EXPECT_TRUE(taken) << taken.error().message;
        }
        return state_of(controller) == drs::ActionState::kVerified && ++after > 20;
      },
      [&](Controller& controller) { EXPECT_EQ(state_of(controller), drs::ActionState::kVerified); });
  expect_replayed_byte_for_byte(static_cast<std::size_t>(second_));
  expect_recording_exact(clock_.now());
}

TEST_F(RenewalTest, CooldownsAndEndedActionsSurviveARenewalAndARestart) {
  std::map<VmId, Timestamp> ended;
  const auto last_ends = [](const Controller& controller) {
    std::map<VmId, Timestamp> ends;
    for (const ham::VmState& vm : controller.snapshot()->state->vms) {
      if (vm.last_action_end) ends[vm.id] = *vm.last_action_end;
    }
    return ends;
  };
  std::optional<Timestamp> since;
  ActionId first = 0;
  run_until(
      20'000,
      [&](Controller& controller) {
        if (ended.empty()) {
          ended = last_ends(controller);
          if (ended.empty()) return false;
          since = clock_.now();
          first = controller.snapshot()->actions.front().action.id;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return renewed_since(controller, *since);
      },
      [&](Controller& controller) {
        for (const auto& [vm, end] : ended) EXPECT_GE(last_ends(controller)[vm], end) << vm.value;
        EXPECT_EQ(controller.snapshot()->actions.front().action.id, first) << "it is still shown";
        ended = last_ends(controller);
      });
  ASSERT_FALSE(ended.empty());
  run(5, [&](Controller& controller) {
    for (const auto& [vm, end] : ended) EXPECT_GE(last_ends(controller)[vm], end) << vm.value;
  });
  expect_replayed_byte_for_byte(static_cast<std::size_t>(second_));
}

TEST_F(RenewalTest, ASilentHostStaysKnown) {
  FakeHost other{"h2", 4, 8 * kGiB};
  wire::FrameEncoder encoder;
  gather_ = Nanoseconds{0};  // a silent host is not waited for
  pushes_ = false;
  Timestamp silent_since{};
  const auto knows = [](const Controller& controller) {
    return controller.snapshot()->state->find_host(HostId("h2")) != nullptr;
  };
  std::optional<Timestamp> begun;
  on_second_ = [&](Queues& at) {
    if (second_ <= 20) {
      EXPECT_TRUE(send(other, encoder, {}, at));
      silent_since = clock_.now();
    }
  };
  run_until(
      20'000,
      [&](Controller& controller) {
        if (!begun) begun = controller.snapshot()->run_begun_at;
        if (second_ > 20) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return renewed_since(controller, *begun);
      },
      [&](Controller& controller) {
        EXPECT_LT(silent_since, clock_.now() - seconds(25));
        EXPECT_TRUE(knows(controller));
      });
  run(3, [&](Controller& controller) { EXPECT_TRUE(knows(controller)); });
  expect_replayed_byte_for_byte(static_cast<std::size_t>(second_));
}

TEST_F(RenewalTest, AnActionThatNobodyAnswersHoldsARenewalUpForAWhileOnly) {
  obeys_ = false;
  std::optional<Timestamp> begun;
  const auto under_way = [](const Controller& controller) {
    const auto& actions = controller.snapshot()->actions;
    return std::any_of(actions.begin(), actions.end(), [](const auto& a) { return !drs::is_final(a.state); });
  };
  bool first = true;
  on_second_ = [&](Queues& at) {
    if (std::exchange(first, false)) {
      EXPECT_TRUE(at.events.push({clock_.now(), store::AgentPresence{HostId("h1"), true, ""}}));
    }
  };
  int after = 0;
  run_until(
      20'000,
      [&](Controller& controller) {
        if (!begun) begun = controller.snapshot()->run_begun_at;
        if (!renewed_since(controller, *begun)) {
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
          return false;
        }
        EXPECT_TRUE(after > 0 || under_way(controller));
        obeys_ = true;  // and whatever is asked now is answered
        return ++after > 30;
      },
      [&](Controller& controller) {
        EXPECT_GT(controller.snapshot()->run_begun_at, *begun + seconds(100)) << "it has waited";
        const auto& actions = controller.snapshot()->actions;
        ASSERT_FALSE(actions.empty());
        EXPECT_TRUE(drs::is_final(actions.front().state)) << drs::to_string(actions.front().state);
      });
  expect_replayed_byte_for_byte(static_cast<std::size_t>(second_));
  expect_recording_exact(clock_.now());
}

TEST_F(RenewalTest, ThatDoesNotCatchUpIsGivenUpBeforeItTakesTooMuchMemoryAndTriedAgain) {
  kept_samples_bytes_max_ = 20'000;
  std::optional<Timestamp> begun;
  std::uint64_t kept_most = 0;
  bool given_up = false;
  int after = 0;
  run_until(
      20'000,
      [&](Controller& controller) {
        const auto snapshot = controller.snapshot();
        if (!begun) begun = snapshot->run_begun_at;
        kept_most = std::max(kept_most, snapshot->kept_samples_bytes);
        // From when on samples are kept the disk gives back nothing.
        if (snapshot->kept_samples_bytes > 0 && !given_up) store_->stuck = true;
        if (!snapshot->renewal_problem.empty() && !given_up) {
          given_up = true;
          EXPECT_NE(snapshot->renewal_problem.find("does not catch up"), std::string::npos);
          EXPECT_EQ(snapshot->kept_samples_bytes, 0u) << "nothing is kept any more";
          EXPECT_EQ(snapshot->run_begun_at, *begun);
          store_->stuck = false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return renewed_since(controller, *begun) && ++after > 20;
      },
      [&](Controller& controller) {
        store_->stuck = false;
        EXPECT_TRUE(given_up);
        EXPECT_TRUE(renewed_since(controller, *begun)) << "it is tried again";
        EXPECT_EQ(controller.snapshot()->renewal_problem, "");
      });
  EXPECT_GT(kept_most, 10'000u);
  EXPECT_LE(kept_most, kept_samples_bytes_max_);
  expect_replayed_byte_for_byte(static_cast<std::size_t>(second_));
}

}  // namespace
}  // namespace proteus::controller
