#include "controller/replay/replayer.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/wire/telemetry_codec.h"
#include "controller/pipeline_options.h"
#include "tests/fakes/fake_telemetry.h"

namespace proteus::replay {
namespace {

/// A host of one VM, whose telemetry replayers are fed, a frame a second.
class ReplayerTest : public testing::Test {
 protected:
  using Replayers = std::vector<Replayer*>;

  ReplayerTest() {
    fakes::FakeVm vm;
    vm.name = "web";
    vm.uuid = "00000000-0000-4000-8000-000000000001";
    host_.vms = {vm};
  }
  void feed_frames(int count, const Replayers& replayers) {
    for (int i = 0; i < count; ++i, now_ += std::chrono::seconds(1)) {
      host_.pass(1, {{0.2, 0.0}});
      const Sample sample = host_.sample(now_);
      std::vector<std::string> messages;
      encoder_.encode(sample, messages);
      for (const std::string& bytes : messages) {
        store::RawMessage message;
        message.lsn = ++lsn_;
        message.received = now_;
        message.host = HostId("h1");
        message.bytes = bytes;
        for (Replayer* replayer : replayers) ASSERT_TRUE(replayer->on_raw(message));
      }
    }
  }
  void feed(store::JournalPayload payload, const Replayers& replayers) {
    const store::JournalEntry entry{++lsn_, now_, std::move(payload)};
    for (Replayer* replayer : replayers) {
      const Status taken = replayer->on_journal(entry);
      ASSERT_TRUE(taken) << taken.error().message;
    }
  }
  static store::Started started(std::uint64_t warm_from_lsn, std::uint64_t warm_through_lsn) {
    controller::PipelineOptions options;
    options.executor.controller = "test";
    store::Started started;
    started.term = 1;
    started.options_toml = controller::pipeline_options_toml(options);
    started.warm_from_lsn = warm_from_lsn;
    started.warm_through_lsn = warm_through_lsn;
    return started;
  }

  fakes::FakeHost host_{"h1", 2, 4 * kGiB};
  wire::FrameEncoder encoder_;
  Timestamp now_ = from_unix_ns(1'700'000'000'000'000'000);
  std::uint64_t lsn_ = 0;
};

// They were kept decoded, hours of them, and then thrown away.
TEST_F(ReplayerTest, FramesInFrontOfTheFirstBeginningDoNotWaitForACycle) {
  Replayer replayer({});
  feed_frames(100, {&replayer});
  EXPECT_EQ(replayer.frames(), 100u);
  EXPECT_EQ(replayer.frames_pending(), 0u);
  EXPECT_EQ(replayer.messages_kept(), 101u) << "a catalog leads";
  feed(started(1, 0), {&replayer});
  EXPECT_EQ(replayer.frames_pending(), 0u);
}

TEST_F(ReplayerTest, WhatTheFirstBeginningHasNotReadAgainComesWithItsFirstCycle) {
  Replayer replayer({});
  feed_frames(100, {&replayer});
  feed(started(1, lsn_ - 2), {&replayer});
  EXPECT_EQ(replayer.frames_pending(), 2u);
  feed_frames(1, {&replayer});
  EXPECT_EQ(replayer.frames_pending(), 3u);
  feed(store::Cycle{1, 1, lsn_}, {&replayer});
  EXPECT_EQ(replayer.frames_pending(), 0u);
}

TEST_F(ReplayerTest, KeepsWhatABeginningToComeRestsOnAndDecidesTheSame) {
  constexpr std::uint64_t kSecondRestsFrom = 24'003;
  std::vector<std::string> decided[2];
  std::vector<std::unique_ptr<Replayer>> replayers;
  for (auto& outputs : decided) {
    ReplayOptions options;
    options.output = [&outputs](const store::JournalEntry& entry) { outputs.push_back(store::encode(entry)); };
    if (&outputs == &decided[1]) {
      options.beginnings = std::vector{std::numeric_limits<std::uint64_t>::max(), kSecondRestsFrom};
    }
    replayers.push_back(std::make_unique<Replayer>(std::move(options)));
  }
  const Replayers both = {replayers[0].get(), replayers[1].get()};
  feed(started(0, 0), both);
  feed_frames(25'000, both);
  EXPECT_EQ(replayers[0]->messages_kept(), 25'001u) << "what is to come is not known";
  EXPECT_LT(replayers[1]->messages_kept(), 6'000u);
  EXPECT_GT(replayers[1]->messages_kept(), 4'600u) << "what it rests on, and the hour that decoding may take";
  feed(started(kSecondRestsFrom, lsn_ - 1), both);
  EXPECT_EQ(replayers[1]->messages_kept(), 0u) << "no other follows";
  feed(store::AgentPresence{HostId("h1"), true, ""}, both);
  feed(store::Cycle{1, 1, lsn_}, both);
  feed_frames(1, both);
  feed(store::Cycle{2, 2, lsn_}, both);
  EXPECT_FALSE(decided[0].empty());
  EXPECT_EQ(decided[0], decided[1]);
}

TEST_F(ReplayerTest, TellsTheDecisionOfEachCycle) {
  ReplayOptions options;
  options.policy = *ham::parse_policy("[strategies]\nreshape = false\nmigrate = false\n", "policy");
  std::vector<std::uint64_t> told;
  std::uint64_t put_out = 0;
  options.decided = [&](const ham::Decision& decision) { told.push_back(decision.id); };
  options.output = [&](const store::JournalEntry&) { ++put_out; };
  Replayer replayer(std::move(options));
  feed(started(0, 0), {&replayer});
  for (std::uint64_t cycle = 1; cycle <= 3; ++cycle) {
    feed_frames(1, {&replayer});
    feed(store::Cycle{cycle, cycle, lsn_}, {&replayer});
  }
  EXPECT_EQ(told, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(put_out, 1u) << "the other two say nothing new";
}

// They were kept until memory ended, also when nobody wanted to compare them.
TEST_F(ReplayerTest, OutputsWithoutEndAreNoControllers) {
  const auto taken = [&](bool diff, int count) {
    ReplayOptions options;
    options.diff = diff;
    Replayer replayer(std::move(options));
    feed(started(0, 0), {&replayer});
    Status status;
    for (int i = 0; i < count && status; ++i) status = replayer.on_journal({++lsn_, now_, drs::Transition()});
    return status;
  };
  EXPECT_TRUE(taken(true, 100'000));
  const Status refused = taken(true, 200'000);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
  EXPECT_TRUE(taken(false, 200'000));
}

TEST_F(ReplayerTest, WhatWaitsForAnInputHasALimit) {
  ReplayOptions options;
  options.waiting_bytes_max = 2 << 20;
  Replayer replayer(std::move(options));
  feed(started(0, 0), {&replayer});
  // Whatever a cycle takes in waits no more.
  for (std::uint64_t cycle = 1; cycle <= 50; ++cycle) {
    feed_frames(100, {&replayer});
    feed(store::Cycle{cycle, cycle, lsn_}, {&replayer});
  }
  Status status;
  for (int i = 0; i < 100'000 && status; ++i) {
    host_.pass(1, {{0.2, 0.0}});
    std::vector<std::string> messages;
    encoder_.encode(host_.sample(now_), messages);
    for (const std::string& bytes : messages) {
      store::RawMessage message;
      message.lsn = ++lsn_;
      message.received = now_;
      message.host = HostId("h1");
      message.bytes = bytes;
      status = replayer.on_raw(message);
    }
  }
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);

  ReplayOptions other;
  other.waiting_bytes_max = 1 << 20;
  Replayer of_states(std::move(other));
  feed(started(0, 0), {&of_states});
  store::ForecastState state;
  forecast::SeriesState& one = state.series.emplace_back();
  one.key = {VmId("v"), forecast::Resource::kCpu};
  one.bytes = std::string(100'000, 'x');
  status = {};
  int states = 0;
  for (; states < 100 && status; ++states) status = of_states.on_journal({++lsn_, now_, state});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(states, 11) << "ten are not a MiB";
}

}  // namespace
}  // namespace proteus::replay
