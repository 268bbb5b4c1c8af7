#include "controller/ingest/intake.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/common/wire/telemetry_samples.h"
#include "tests/fakes/memory_store.h"

namespace proteus::ingest {
namespace {

using Outcome = Intake::Outcome;
using Want = wire::Ack::Want;

const HostId kHost("h1");

class IntakeTest : public ::testing::Test {
 protected:
  Result<Outcome> take(const std::string& message) { return intake_.take(kHost, "link", message, now_); }
  /// Stores the batch. Returns: the answers.
  std::vector<Intake::Answer> commit() {
    EXPECT_TRUE(store_.append(intake_.messages()));
    return intake_.committed();
  }
  /// The next frames of the stream, encoded, with the catalog first where it is due.
  std::vector<std::string> frames(std::uint64_t from, std::uint64_t to) {
    std::vector<std::string> messages;
    for (std::uint64_t sequence = from; sequence <= to; ++sequence) {
      auto& sample = samples_[{catalog_->boot_id, sequence}];  // sent again, a frame is the same
      if (!sample) sample = make_sample(catalog_, sequence, random_);
      encoder_.encode(*sample, messages);
    }
    return messages;
  }
  void take_all(const std::vector<std::string>& messages) {
    for (const std::string& message : messages) ASSERT_EQ(take(message).value(), Outcome::kStored);
  }
  void restart() { intake_ = make_intake(); }

  MemoryStore store_;
  Intake make_intake() {
    return Intake([this](const HostId& host, std::uint64_t boot) { return store_.last_sequence(host, boot); });
  }
  Intake intake_ = make_intake();
  Timestamp now_ = from_unix_ns(1'700'000'000'000'000'000);
  std::mt19937_64 random_{11};
  std::shared_ptr<const Catalog> catalog_ = make_catalog("h1", 5, 1, 1);
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::optional<Sample>> samples_;
  wire::FrameEncoder encoder_;
};

TEST_F(IntakeTest, OneAnswerPerHostSaysHowFarItIsDurable) {
  take_all(frames(1, 3));
  ASSERT_EQ(intake_.messages().size(), 4u);
  EXPECT_FALSE(intake_.samples()[0]);  // the catalog
  EXPECT_EQ(intake_.samples()[3]->frame.sequence, 3u);
  EXPECT_EQ(intake_.messages()[3].base_sequence, 2u);
  EXPECT_EQ(intake_.messages()[3].catalog_version, 1u);
  EXPECT_EQ(intake_.messages()[3].boot_id, 5u);
  const auto answers = commit();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].ack, (wire::Ack{5, 3, Want::kNothing}));
  EXPECT_EQ(answers[0].link, "link");
  EXPECT_FALSE(intake_.has_news());
}

TEST_F(IntakeTest, RepeatsAreAnsweredButNotStored) {
  const auto messages = frames(1, 3);
  take_all(messages);
  commit();
  encoder_.begin_stream();
  const auto again = frames(2, 4);  // catalog, 2, 3, 4: the acknowledgement was lost
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(take(again[i]).value(), Outcome::kRepeat) << i;
  EXPECT_EQ(take(again[3]).value(), Outcome::kStored);
  EXPECT_EQ(intake_.messages().size(), 1u);
  const auto answers = commit();
  EXPECT_EQ(answers.at(0).ack, (wire::Ack{5, 4, Want::kNothing}));
}

TEST_F(IntakeTest, AfterARestartItAsksForTheStreamAndKnowsWhatIsDurable) {
  take_all(frames(1, 3));
  commit();
  restart();
  const auto next = frames(4, 5);
  EXPECT_EQ(take(next[0]).value(), Outcome::kWanted);
  EXPECT_EQ(take(next[1]).value(), Outcome::kWanted);
  const auto answers = commit();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].ack, (wire::Ack{5, 3, Want::kCatalog}));

  encoder_.begin_stream();
  const auto stream = frames(3, 5);
  EXPECT_EQ(take(stream[0]).value(), Outcome::kStored);  // the catalog
  EXPECT_EQ(take(stream[1]).value(), Outcome::kRepeat);
  EXPECT_EQ(take(stream[2]).value(), Outcome::kStored);
  EXPECT_EQ(take(stream[3]).value(), Outcome::kStored);
  EXPECT_EQ(commit().at(0).ack, (wire::Ack{5, 5, Want::kNothing}));
}

TEST_F(IntakeTest, WhatIsMissingIsNeverSkippedOver) {
  take_all(frames(1, 2));
  commit();
  auto messages = frames(3, 70);  // a keyframe is among them
  EXPECT_EQ(messages.size(), 68u);
  for (std::size_t i = 1; i < messages.size(); ++i)
    EXPECT_EQ(take(messages[i]).value(), Outcome::kWanted);  // 3 is lost
  const auto answers = commit();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].ack, (wire::Ack{5, 2, Want::kKeyframe}));
}

TEST_F(IntakeTest, FramesThatTheAgentDroppedAreNotMissed) {
  take_all(frames(1, 2));
  commit();
  encoder_.begin_stream();
  const auto messages = frames(90, 91);  // the oldest that the agent still holds
  EXPECT_EQ(take(messages[1]).value(), Outcome::kStored);
  EXPECT_EQ(take(messages[2]).value(), Outcome::kStored);
  EXPECT_EQ(commit().at(0).ack, (wire::Ack{5, 91, Want::kNothing}));
}

TEST_F(IntakeTest, QuestionsAreNotRepeatedForEachFrame) {
  const auto messages = frames(1, 50);
  int asked = 0;
  for (std::size_t i = 2; i < messages.size(); ++i) {
    EXPECT_EQ(take(messages[i]).value(), Outcome::kWanted);
    for (const auto& answer : commit()) asked += answer.ack.want != Want::kNothing;
    now_ += std::chrono::milliseconds(20);
  }
  EXPECT_GE(asked, 2);
  EXPECT_LE(asked, 3);
}

TEST_F(IntakeTest, AClockThatIsSetBackLosesNothing) {
  take_all(frames(1, 3));
  commit();
  for (std::uint64_t sequence = 4; sequence <= 6; ++sequence) {
    Sample sample = make_sample(catalog_, sequence, random_);
    sample.frame.time -= std::chrono::hours(1);
    samples_[{catalog_->boot_id, sequence}] = sample;
  }
  const auto later = frames(4, 6);
  take_all(later);
  const auto answers = commit();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].ack.sequence, 6u);
  EXPECT_EQ(take(later.back()).value(), Outcome::kRepeat) << "a repeat is told by its sequence, not by its time";
}

// Each jump makes the store begin pages, and may make it roll up an hour, anew.
TEST_F(IntakeTest, AClockThatKeepsJumpingIsFollowedOnceAMinute) {
  int taken = 0;
  const auto tell = [&](std::uint64_t sequence, std::chrono::hours off) {
    encoder_.begin_stream();  // it is asked for that, once something was refused
    Sample sample = make_sample(catalog_, sequence, random_);
    sample.frame.time = now_ + off;
    std::vector<std::string> messages;
    encoder_.encode(sample, messages);
    const auto outcome = take(messages.back());
    taken += outcome && *outcome == Outcome::kStored ? 1 : 0;
    return outcome ? ErrorCode{} : outcome.error().code;
  };
  ASSERT_EQ(take(frames(1, 1).front()).value(), Outcome::kStored);  // the catalog
  std::uint64_t sequence = 0;
  for (int i = 0; i < 300; ++i) {
    tell(++sequence, std::chrono::hours(i % 2));
    commit();
  }
  EXPECT_EQ(taken, 1 + Intake::kJumpsAtOnceMax);
  // What it tells without a jump goes on, whichever of its clocks it stays with.
  taken = 0;
  const bool at_first = tell(++sequence, std::chrono::hours(0)) == ErrorCode{};
  for (int i = 0; i < 9; ++i) {
    now_ += std::chrono::seconds(1);
    tell(++sequence, std::chrono::hours(at_first ? 0 : 1));
  }
  EXPECT_GE(taken, 9);
  EXPECT_EQ(tell(++sequence, std::chrono::hours(at_first ? 1 : 0)), ErrorCode::kFailedPrecondition);
  now_ += Intake::kJumpInterval;
  EXPECT_EQ(tell(++sequence, std::chrono::hours(at_first ? 1 : 0)), ErrorCode{});
}

TEST_F(IntakeTest, TwoAgentsUnderOneNameTakeTurns) {
  const auto first = catalog_;
  const auto second = make_catalog("h1", 6, 1, 1);
  int taken = 0;
  for (std::uint64_t sequence = 1; sequence <= 200; ++sequence) {
    for (const auto& catalog : {first, second}) {
      catalog_ = catalog;
      encoder_.begin_stream();
      for (const std::string& message : frames(sequence, sequence)) {
        if (const auto outcome = take(message)) taken += *outcome == Outcome::kStored ? 1 : 0;
      }
      commit();
    }
  }
  EXPECT_LT(taken, 2 + 200 + Intake::kJumpsAtOnceMax) << "one of them goes on, the other one waits";
  EXPECT_GT(taken, 200);
}

// Else it would send all that it holds again each second.
TEST_F(IntakeTest, AnAgentThatWaitsForItsTurnIsNotAskedWheneverTheOtherOneSpeaks) {
  const auto first = catalog_;
  const auto second = make_catalog("h1", 6, 1, 1);
  wire::FrameEncoder encoders[2];
  int asked = 0;
  for (std::uint64_t sequence = 1; sequence <= 160; ++sequence, now_ += std::chrono::milliseconds(250)) {
    for (int i = 0; i < 2; ++i) {
      std::vector<std::string> messages;
      encoders[i].encode(make_sample(i == 0 ? first : second, sequence, random_), messages);
      for (const std::string& message : messages) (void)take(message);
      for (const auto& answer : commit()) asked += sequence > 80 && answer.ack.want != Want::kNothing ? 1 : 0;
    }
  }
  EXPECT_LE(asked, 5) << "in 20 s";
}

TEST_F(IntakeTest, NobodySpeaksForAnotherHost) {
  const auto messages = frames(1, 1);
  const auto outcome = intake_.take(HostId("h2"), "link", messages[0], now_);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kPermissionDenied);
  EXPECT_FALSE(intake_.has_news());
}

TEST_F(IntakeTest, TwoBootsDoNotMix) {
  take_all(frames(1, 3));
  catalog_ = make_catalog("h1", 6, 1, 1);
  take_all(frames(1, 2));
  const auto answers = commit();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].ack, (wire::Ack{5, 3, Want::kNothing}));
  EXPECT_EQ(answers[1].ack, (wire::Ack{6, 2, Want::kNothing}));
}

TEST_F(IntakeTest, GarbageIsRefusedAndLeavesNoTrace) {
  take_all(frames(1, 2));
  commit();
  EXPECT_EQ(take("garbage!").error().code, ErrorCode::kCorrupt);
  auto next = frames(3, 3);
  std::string damaged = next[0];
  damaged.resize(damaged.size() - 8);
  EXPECT_FALSE(take(damaged));
  EXPECT_EQ(take(next[0]).value(), Outcome::kStored);
}

TEST_F(IntakeTest, WhateverIsTakenOfAStreamOfManyCatalogsCanBeReadFromTheStore) {
  // Ten catalogs of five frames each; the first fifteen frames and their catalogs are lost, then all is sent again.
  std::vector<std::vector<std::string>> parts;
  const auto stream = [&] {
    parts.clear();
    wire::FrameEncoder encoder;
    for (std::uint32_t version = 1; version <= 10; ++version) {
      catalog_ = make_catalog("h1", 5, version, static_cast<int>(version));
      std::vector<std::string>& part = parts.emplace_back();
      for (std::uint64_t sequence = 5 * version - 4; sequence <= 5 * version; ++sequence) {
        std::optional<Sample>& sample = samples_[{5, sequence}];
        if (!sample) sample = make_sample(catalog_, sequence, random_);
        encoder.encode(*sample, part);
      }
    }
  };
  stream();
  for (std::size_t part = 3; part < parts.size(); ++part) {
    for (const std::string& message : parts[part]) ASSERT_TRUE(take(message));
  }
  commit();
  stream();
  for (const auto& part : parts) {
    for (const std::string& message : part) ASSERT_TRUE(take(message));
  }
  EXPECT_EQ(commit().at(0).ack.sequence, 50u);
  wire::TelemetryReader reader;
  std::uint64_t read = 0;
  store::Store::Visitor visitor;
  visitor.raw = [&](const store::RawMessage& message) {
    const auto sample = reader.read(message.host, message.bytes);
    EXPECT_TRUE(sample) << sample.error().message;
    if (!sample || !*sample) return true;
    EXPECT_EQ((*sample)->frame.sequence, ++read);
    return true;
  };
  visitor.journal = [](const store::JournalEntry&) { return true; };
  ASSERT_TRUE(store_.scan_lsn(0, 1000, visitor));
  EXPECT_EQ(read, 50u);
}

TEST_F(IntakeTest, AHostThatWasSilentForLongIsAskedForItsCatalogAgain) {
  take_all(frames(1, 2));
  commit();
  now_ += std::chrono::minutes(11);
  EXPECT_EQ(take(frames(3, 3).at(0)).value(), Outcome::kWanted);
  EXPECT_EQ(commit().at(0).ack.want, Want::kCatalog);
  encoder_.begin_stream();
  const auto again = frames(3, 3);
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(take(again[0]).value(), Outcome::kStored) << "what was stored of it may have expired";
  EXPECT_EQ(take(again[1]).value(), Outcome::kStored);
}

TEST_F(IntakeTest, WhatIsStoredReplays) {
  take_all(frames(1, 5));
  commit();
  encoder_.begin_stream();
  for (const auto& message : frames(4, 8)) ASSERT_TRUE(take(message));
  restart();  // before the batch was durable
  encoder_.begin_stream();
  for (const auto& message : frames(4, 12)) ASSERT_TRUE(take(message));
  commit();
  wire::TelemetryReader reader;
  std::vector<std::uint64_t> sequences;
  for (const store::RawMessage& message : store_.raw()) {
    const auto sample = reader.read(message.host, message.bytes);
    ASSERT_TRUE(sample) << sample.error().message;
    if (*sample) sequences.push_back((*sample)->frame.sequence);
  }
  EXPECT_EQ(sequences, (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
}

/// A host's catalog of VMs from `first` on, with one series.
std::shared_ptr<const Catalog> catalog_of_vms(std::uint64_t boot_id, std::uint32_t version, int first, int count) {
  auto catalog = std::make_shared<Catalog>();
  catalog->host = kHost;
  catalog->boot_id = boot_id;
  catalog->version = version;
  catalog->entities.push_back({EntityKind::kHost, kNoParent, "h1", "", {}});
  for (int i = first; i < first + count; ++i) {
    catalog->entities.push_back(
        {EntityKind::kVm, kNoParent, fmt::format("vm{}", i), fmt::format("0f0e7a52-93b1-4c7c-8a55-{:012}", i), {}});
  }
  catalog->series.push_back({1, Kpi::kEmulatorTimeNs, 0});
  return catalog;
}

// Each window is a chunk of pages, however little is in it.
TEST_F(IntakeTest, AClockThatRunsTooFastIsFollowedAnHourInAMinute) {
  catalog_ = catalog_of_vms(5, 1, 0, 1);
  ASSERT_EQ(take(frames(1, 1).front()).value(), Outcome::kStored);  // the catalog
  std::uint64_t sequence = 0;
  const auto is_taken = [&](Nanoseconds since) {
    encoder_.begin_stream();  // it is asked for that, once something was refused
    Sample sample = make_sample(catalog_, ++sequence, random_);
    sample.frame.time = now_ + since;
    std::vector<std::string> messages;
    encoder_.encode(sample, messages);
    const auto outcome = take(messages.back());
    EXPECT_TRUE(outcome || outcome.error().code == ErrorCode::kFailedPrecondition);
    return outcome && *outcome == Outcome::kStored;
  };
  constexpr Nanoseconds kWindow = std::chrono::minutes(10);
  int taken = 0;
  for (int i = 0; i < 1000; ++i) {
    if (is_taken(kWindow * taken)) ++taken;
    commit();
  }
  EXPECT_EQ(taken, 1 + Intake::kWindowsAtOnceMax);
  EXPECT_TRUE(is_taken(kWindow * (taken - 1) + std::chrono::seconds(1))) << "within a window it goes on";
  EXPECT_FALSE(is_taken(kWindow * taken));
  now_ += Intake::kWindowInterval;
  EXPECT_TRUE(is_taken(kWindow * taken - Intake::kWindowInterval));
  EXPECT_FALSE(is_taken(kWindow * (taken + 1) - Intake::kWindowInterval));
}

TEST_F(IntakeTest, WhatAnAgentKeptForTwoDaysIsTakenWithoutAPause) {
  for (const std::chrono::seconds tick : {std::chrono::seconds(10), std::chrono::seconds(60)}) {
    restart();
    catalog_ = catalog_of_vms(static_cast<std::uint64_t>(tick.count()), 1, 0, 1);
    for (std::uint64_t i = 0; tick * i < std::chrono::hours(48); ++i) {
      Sample sample = make_sample(catalog_, i + 1, random_);
      sample.frame.time = now_ + tick * i;
      std::vector<std::string> messages;
      encoder_.encode(sample, messages);
      ASSERT_NO_FATAL_FAILURE(take_all(messages)) << i;
    }
    commit();
  }
}

TEST_F(IntakeTest, NoMoreDifferentVmsAreTakenOfAHostInADayThanAnHonestOneHas) {
  std::uint64_t sequence = 0;
  std::uint32_t version = 0;
  const auto list = [&](int first, int count) {
    catalog_ = catalog_of_vms(5, ++version, first, count);
    ++sequence;
    const auto messages = frames(sequence, sequence);
    const auto taken = take(messages.at(0));
    if (!taken) return taken;
    return take(messages.at(1));
  };
  for (int thousand = 0; thousand < 8; ++thousand) {
    ASSERT_EQ(list(1000 * thousand, 1000).value(), Outcome::kStored) << thousand;
    now_ += std::chrono::minutes(1);
  }
  commit();
  const std::size_t stored = store_.raw().size();
  for (int thousand = 8; thousand < 20; ++thousand) {
    const auto taken = list(1000 * thousand, 1000);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, ErrorCode::kFailedPrecondition);
    EXPECT_NE(taken.error().message.find("8000 different VMs"), std::string::npos) << taken.error().message;
  }
  EXPECT_TRUE(intake_.messages().empty()) << "nothing of it is stored";
  EXPECT_EQ(store_.raw().size(), stored);
  encoder_.begin_stream();
  EXPECT_EQ(list(7000, 1000).value(), Outcome::kStored) << "those that are known are welcome";
  // A day later those that were listed all the time are known still, the others have made room.
  now_ += std::chrono::hours(24);
  encoder_.begin_stream();
  catalog_ = catalog_of_vms(5, version, 7000, 1000);
  take_all(frames(sequence + 1, sequence + 1));
  ++sequence;
  EXPECT_EQ(list(20'000, 4000).value(), Outcome::kStored);
  EXPECT_EQ(list(30'000, 3000).value(), Outcome::kStored);
  EXPECT_FALSE(list(40'000, 1000)) << "7,000, and the 1,000 that were listed until a moment ago";
}

TEST_F(IntakeTest, VmsThatAClockFarAheadHasNotedMakeRoomOnceItIsRight) {
  std::uint64_t sequence = 0;
  const auto list = [&](int thousand) {
    ++sequence;
    catalog_ = catalog_of_vms(5, static_cast<std::uint32_t>(sequence), 1000 * thousand, 1000);
    const auto messages = frames(sequence, sequence);
    const auto taken = take(messages.at(0));
    return taken ? take(messages.at(1)) : taken;
  };
  now_ += std::chrono::hours(24 * 365);
  for (int thousand = 0; thousand < 8; ++thousand) ASSERT_EQ(list(thousand).value(), Outcome::kStored) << thousand;
  commit();
  now_ -= std::chrono::hours(24 * 365);
  EXPECT_EQ(list(8).value(), Outcome::kStored);
}

TEST_F(IntakeTest, AHostOfManyVmsThatComeAndGoIsTakenForYears) {
  std::uint64_t sequence = 0;
  // 1,000 VMs, of which 200 are others each hour.
  for (int hour = 0; hour < 100; ++hour) {
    catalog_ = catalog_of_vms(5, static_cast<std::uint32_t>(hour + 1), 200 * hour, 1000);
    ++sequence;
    take_all(frames(sequence, sequence));
    commit();
    now_ += std::chrono::minutes(9);  // it is never silent
    for (int i = 0; i < 6; ++i, now_ += std::chrono::minutes(8) + std::chrono::seconds(30)) {
      ++sequence;
      take_all(frames(sequence, sequence));
    }
  }
}

TEST_F(IntakeTest, AnAgentBeginsOnlySoOftenInAnHour) {
  const auto begin = [&](std::uint64_t boot_id) { return take(wire::encode(*catalog_of_vms(boot_id, 1, 0, 1))); };
  // It ends at once, and is started again every two seconds.
  std::uint64_t boot_id = 1000;
  for (int i = 0; i < 3000; ++i, now_ += std::chrono::seconds(2)) ASSERT_TRUE(begin(++boot_id)) << i;
  int taken = 0;
  for (int i = 0; i < 3000; ++i) taken += begin(++boot_id) ? 1 : 0;
  EXPECT_LT(taken, 300);
  EXPECT_EQ(begin(++boot_id).error().code, ErrorCode::kFailedPrecondition);
  now_ += std::chrono::hours(1);
  EXPECT_TRUE(begin(++boot_id));
}

TEST_F(IntakeTest, WhatIsSentAgainWithinABatchIsStoredOnceHoweverManyBootsThereAre) {
  std::vector<std::string> stream;
  for (std::uint64_t boot = 1; boot <= 12; ++boot) {
    catalog_ = make_catalog("h1", boot, 1, 1);
    for (std::string& message : frames(1, 3)) stream.push_back(std::move(message));
  }
  for (int round = 0; round < 2; ++round) {  // the store stands still, and the agent loses patience
    for (const std::string& message : stream) ASSERT_TRUE(take(message));
  }
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  for (const store::RawMessage& message : intake_.messages()) {
    if (message.sequence == 0) continue;
    EXPECT_TRUE(seen.insert({message.boot_id, message.sequence}).second) << message.boot_id << " " << message.sequence;
  }
  EXPECT_EQ(seen.size(), 36u);
  EXPECT_EQ(commit().size(), 12u) << "each boot is answered";
}

// Who reads what is stored does not see the repeats, and remembers fewer boots for it.
TEST_F(IntakeTest, NothingIsTakenThatReadersOfTheStoreCannotDecode) {
  take_all(frames(1, 2));
  commit();
  const auto first = catalog_;
  for (std::uint64_t boot = 6; boot <= 9; ++boot) {
    catalog_ = make_catalog("h1", boot, 1, 1);
    take_all(frames(1, 2));
    commit();
  }
  catalog_ = first;
  encoder_.begin_stream();
  auto again = frames(1, 4);  // of which two were stored, but their acknowledgement was lost
  EXPECT_EQ(take(again[0]).value(), Outcome::kStored) << "the catalog, forgotten meanwhile";
  EXPECT_EQ(take(again[1]).value(), Outcome::kRepeat);
  EXPECT_EQ(take(again[2]).value(), Outcome::kRepeat);
  EXPECT_EQ(take(again[3]).value(), Outcome::kWanted) << "a difference to a frame that readers have forgotten";
  const auto answers = commit();
  EXPECT_EQ(answers.at(0).ack, (wire::Ack{5, 2, Want::kKeyframe}));
  encoder_.begin_stream();
  again = frames(3, 4);
  EXPECT_EQ(take(again[0]).value(), Outcome::kRepeat) << "the catalog";
  EXPECT_EQ(take(again[1]).value(), Outcome::kStored);
  EXPECT_EQ(take(again[2]).value(), Outcome::kStored);
  commit();
  wire::TelemetryReader reader;
  std::size_t count = 0;
  for (const store::RawMessage& message : store_.raw()) {
    const auto sample = reader.read(message.host, message.bytes);
    ASSERT_TRUE(sample) << sample.error().message;
    if (*sample) ++count;
  }
  EXPECT_EQ(count, 12u);
}

// An agent's window holds fewer frames than were stored before their acknowledgement was lost: its next one builds on a
// repeat, which this decoder has seen last, and readers long before.
TEST_F(IntakeTest, NothingIsTakenThatBuildsOnARepeatWithinWhatIsStored) {
  take_all(frames(1, 10));
  commit();
  encoder_.begin_stream();
  for (const std::string& message : frames(1, 4)) EXPECT_EQ(take(message).value(), Outcome::kRepeat);
  EXPECT_EQ(commit().at(0).ack, (wire::Ack{5, 10, Want::kNothing}));
  EXPECT_EQ(take(frames(11, 11).back()).value(), Outcome::kWanted);
  EXPECT_EQ(commit().at(0).ack, (wire::Ack{5, 10, Want::kKeyframe}));
  encoder_.begin_stream();
  for (const std::string& message : frames(11, 13)) ASSERT_TRUE(take(message));
  commit();
  wire::TelemetryReader reader;
  std::vector<std::uint64_t> read;
  for (const store::RawMessage& message : store_.raw()) {
    const auto sample = reader.read(message.host, message.bytes);
    ASSERT_TRUE(sample) << message.sequence << ": " << sample.error().message;
    if (*sample) read.push_back((*sample)->frame.sequence);
  }
  EXPECT_EQ(read, (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}));
}

}  // namespace
}  // namespace proteus::ingest
