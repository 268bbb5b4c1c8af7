#include "controller/replay/recording.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "controller/replay/replayer.h"
#include "tests/temporary_directory.h"

namespace proteus::replay {
namespace {

using std::chrono::seconds;
using store::Cycle;
using store::JournalEntry;
using store::RawMessage;
using store::Started;
using store::Store;

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

RawMessage message(const std::string& host, std::uint64_t sequence, Timestamp received) {
  return {.received = received,
          .host = HostId(host),
          .boot_id = 77,
          .sequence = sequence,
          .catalog_version = 3,
          .base_sequence = sequence > 1 ? sequence - 1 : 0,
          .bytes = host + std::string("\0#", 2) + std::to_string(sequence)};
}

std::string text(const RawMessage& m) {
  std::ostringstream out;
  out << m.lsn << ' ' << to_unix_ns(m.received) << ' ' << m.host.value << ' ' << m.boot_id << ' ' << m.sequence << ' '
      << m.catalog_version << ' ' << m.base_sequence << ' ' << m.bytes;
  return out.str();
}
std::string text(const JournalEntry& e) {
  return std::to_string(e.lsn) + " journal " + store::encode(e);
}

Store::Visitor collect(std::vector<std::string>& seen) {
  return {.raw =
              [&seen](const RawMessage& m) {
                seen.push_back(text(m));
                return true;
              },
          .journal =
              [&seen](const JournalEntry& e) {
                seen.push_back(text(e));
                return true;
              }};
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class RecordingTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Store::open({.directory = directory_ / "store"});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  std::uint64_t add(RawMessage m) {
    std::vector<RawMessage> one = {std::move(m)};
    EXPECT_TRUE(store_->append(one));
    return one[0].lsn;
  }
  std::uint64_t add(Timestamp time, store::JournalPayload payload) {
    std::vector<JournalEntry> one = {{0, time, std::move(payload)}};
    EXPECT_TRUE(store_->append(one));
    return one[0].lsn;
  }
  /// An earlier run, whose last two messages the later one reads again, and the later one, two hosts.
  void fill() {
    add(message("h1", 0, kStart));  // catalog
    add(kStart, Started{});
    add(message("h1", 1, kStart + seconds(1)));
    Started started;
    started.policy_toml = "name = \"x\"";
    started.warm_from_lsn = add(message("h1", 2, kStart + seconds(2)));
    add(message("h1", 3, kStart + seconds(3)));
    add(kStart + seconds(3), Cycle{1, 2, 3});  // of the earlier run
    add(kStart + seconds(10), started);
    for (std::uint64_t i = 0; i < 20; ++i) {
      add(message("h1", 4 + i, kStart + seconds(11 + i)));
      add(message("h2", 1 + i, kStart + seconds(11 + i)));
      add(kStart + seconds(11 + i), Cycle{2 + i, 3, 4});
    }
  }
  RecordOptions all() const { return {.from = kStart + seconds(20), .to = kStart + seconds(1000), .hosts = {}}; }

  TemporaryDirectory directory_;
  std::unique_ptr<Store> store_;
  std::string path_ = directory_ / "record";
};

TEST_F(RecordingTest, BeginsWhereTheRunBeganWithWhatItReadAgain) {
  fill();
  const auto written = write_recording(*store_, all(), path_);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(written->from, kStart + seconds(10));
  EXPECT_EQ(written->hosts, (std::vector{HostId("h1"), HostId("h2")}));

  std::vector<std::string> expected;
  ASSERT_TRUE(store_->scan_lsn(4, UINT64_MAX, collect(expected)));
  std::erase_if(expected, [](const std::string& s) { return s.starts_with("6 journal"); });  // the earlier run's cycle
  std::vector<std::string> seen;
  const auto read = read_recording(path_, collect(seen));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(seen, expected);
  // Standard input is read as it is: a name of it could be another's file, or a socket.
  std::ifstream file(path_, std::ios::binary);
  std::vector<std::string> from_input;
  std::streambuf* const input = std::cin.rdbuf(file.rdbuf());
  EXPECT_TRUE(read_recording("-", collect(from_input)));
  std::cin.rdbuf(input);
  EXPECT_EQ(from_input, expected);
  ASSERT_GE(seen.size(), 4u);
  EXPECT_TRUE(seen[0].starts_with("1 ")) << "the catalog leads";
  EXPECT_TRUE(seen[1].starts_with("3 ")) << "and the base of the first frame";
  EXPECT_EQ(read->raw_messages, written->raw_messages);
  EXPECT_EQ(read->journal_entries, 21u);
  EXPECT_EQ(read->hosts, written->hosts);
  EXPECT_EQ(read->to, all().to);
  EXPECT_EQ(read->version, PROTEUS_VERSION);
}

TEST_F(RecordingTest, SaysWhenTelemetryThatHadBeenTakenInIsMissing) {
  fill();
  EXPECT_EQ(write_recording(*store_, all(), path_)->missing_until, std::nullopt);
  EXPECT_EQ(read_recording(path_, {})->missing_until, std::nullopt);
  // As after the telemetry before the run's third cycle has expired: its first cycles are there without it.
  add(kStart + seconds(40), Started{});
  add(kStart + seconds(41), Cycle{50, 0, 1000});
  add(kStart + seconds(42), Cycle{51, 0, 1001});
  RecordOptions late = all();
  late.from = kStart + seconds(60);
  const auto written = write_recording(*store_, late, path_);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(written->missing_until, kStart + seconds(42));
  EXPECT_EQ(read_recording(path_, {})->missing_until, kStart + seconds(42));
  Started warmed;
  // What it began to warm up from has expired, though all that its cycles had taken in since is there.
  warmed.warm_from_lsn = add(kStart + seconds(65), Cycle{52, 0, 0});
  add(kStart + seconds(70), warmed);
  late.from = kStart + seconds(80);
  EXPECT_EQ(write_recording(*store_, late, path_)->missing_until, kStart + seconds(70));
  EXPECT_EQ(read_recording(path_, {})->missing_until, kStart + seconds(70));
  RecordOptions one = all();
  one.to = kStart + seconds(35);
  one.hosts = {HostId("h2")};
  EXPECT_EQ(write_recording(*store_, one, path_)->missing_until, std::nullopt) << "nothing has expired";
}

TEST_F(RecordingTest, TheSameRangeGivesTheSameBytes) {
  fill();
  ASSERT_TRUE(write_recording(*store_, all(), path_));
  ASSERT_TRUE(write_recording(*store_, all(), path_ + "2"));
  EXPECT_EQ(bytes_of(path_), bytes_of(path_ + "2"));
}

TEST_F(RecordingTest, EndsBeforeToAndTakesTheHostsAskedFor) {
  fill();
  RecordOptions options = all();
  options.to = kStart + seconds(15);
  options.hosts = {HostId("h2")};
  const auto written = write_recording(*store_, options, path_);
  ASSERT_TRUE(written);
  EXPECT_EQ(written->raw_messages, 4u);
  EXPECT_EQ(written->journal_entries, 5u);
  EXPECT_EQ(written->hosts, std::vector{HostId("h2")});
}

TEST_F(RecordingTest, AHostThatSentNothingIsAnError) {
  fill();
  RecordOptions options = all();
  options.hosts = {HostId("h1"), HostId("nohost")};
  const auto written = write_recording(*store_, options, path_);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(written.error().message, "host nohost sent no telemetry in that time");
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(RecordingTest, NothingToReplayFromIsAnError) {
  add(message("h1", 1, kStart));
  auto written = write_recording(*store_, all(), path_);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path_));
  add(kStart + seconds(2000), Started{});
  written = write_recording(*store_, all(), path_);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kNotFound);
  EXPECT_NE(written.error().message.find("first began at 2023-11-14T22:46:40.000Z"), std::string::npos)
      << written.error().message;
}

// "The last two hours" in a controller's first was refused.
TEST_F(RecordingTest, BeginsWithTheFirstRunIfNoneHadBegunByThen) {
  fill();
  RecordOptions early = all();
  early.from = kStart - seconds(3600);
  const auto written = write_recording(*store_, early, path_);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(written->from, kStart);
  EXPECT_TRUE(written->begins_later);
  EXPECT_EQ(written->missing_until, std::nullopt);
  EXPECT_EQ(read_recording(path_, {})->journal_entries, 23u);
  EXPECT_FALSE(write_recording(*store_, all(), path_)->begins_later);
}

// "--from 0" was taken for none given: it gave the present run alone.
TEST_F(RecordingTest, FromTheYear1970IsFromTheFirstRunAndFromNowhereIsTheLast) {
  fill();
  RecordOptions options = all();
  options.from = Timestamp{};
  const auto first = write_recording(*store_, options, path_);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->from, kStart);
  EXPECT_TRUE(first->begins_later);
  options.from = std::nullopt;
  const auto last = write_recording(*store_, options, path_);
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_EQ(last->from, kStart + seconds(10));
  EXPECT_FALSE(last->begins_later);
}

// All that had been stored since was read, whatever had been asked for.
TEST_F(RecordingTest, LooksForWhatIsOlderThanItsEndUntilTwoHoursWithoutAnyHavePassed) {
  fill();
  RecordOptions options = all();
  options.to = kStart + seconds(100);
  options.now = options.to + seconds(100'000);
  std::uint64_t number = 200;
  const auto add_minutes = [&](int from, int to) {
    for (int i = from; i <= to; ++i) add(options.to + seconds(60 * i), Cycle{number++, 1, 1});
  };
  add(options.to + seconds(90'000), Cycle{100, 1, 1});  // of a clock that leaps
  add(options.to - seconds(2), Cycle{101, 1, 1});
  add_minutes(0, 119);
  add(options.to - seconds(1), Cycle{102, 1, 1});
  add_minutes(1700, 1900);  // of one that is ahead of now
  add(options.to - seconds(1), Cycle{103, 1, 1});
  add_minutes(0, 120);
  add(options.to - seconds(1), Cycle{104, 1, 1});
  std::vector<std::uint64_t> cycles;
  ASSERT_TRUE(write_recording(*store_, options, path_));
  ASSERT_TRUE(read_recording(path_, {.raw = nullptr, .journal = [&](const JournalEntry& entry) {
                                       const auto* cycle = std::get_if<Cycle>(&entry.payload);
                                       if (cycle != nullptr && cycle->number >= 100) cycles.push_back(cycle->number);
                                       return true;
                                     }}));
  EXPECT_EQ(cycles, (std::vector<std::uint64_t>{101, 102, 103}));
}

TEST_F(RecordingTest, TellsWhatItsBeginningsRestOn) {
  fill();
  Started renewal;
  renewal.restored_from_lsn = 7;
  renewal.warm_from_lsn = 20;
  renewal.warm_through_lsn = 30;
  add(kStart + seconds(50), renewal);
  renewal.warm_from_lsn = 0;  // there was nothing to read again
  add(kStart + seconds(60), renewal);
  RecordOptions options = all();
  options.from = kStart;
  ASSERT_TRUE(write_recording(*store_, options, path_));
  constexpr std::uint64_t kNothing = UINT64_MAX;
  EXPECT_EQ(beginnings_of(path_), (std::vector<std::uint64_t>{kNothing, 4, 20, 31}));
  const std::string pipe = directory_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(beginnings_of(pipe), std::nullopt) << "it can be read once";
}

TEST_F(RecordingTest, LargeMessagesGoThrough) {
  add(kStart, Started{});
  RawMessage large = message("h1", 1, kStart);
  large.bytes.assign(20u << 20, 'x');
  add(large);
  for (std::uint64_t i = 2; i < 50; ++i) {
    RawMessage m = message("h1", i, kStart);
    m.bytes.assign(100'000, static_cast<char>(i));
    add(m);
  }
  ASSERT_TRUE(write_recording(*store_, all(), path_));
  std::uint64_t bytes = 0;
  const auto read = read_recording(path_, {.raw =
                                               [&](const RawMessage& m) {
                                                 bytes += m.bytes.size();
                                                 return true;
                                               },
                                           .journal = nullptr});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(bytes, (20u << 20) + 48 * 100'000u);
}

// A chunk was 1 MiB: of a short recording that was all.
TEST_F(RecordingTest, DamageLeavesNearlyAllThatIsInFrontOfIt) {
  add(kStart, Started{});
  std::mt19937 random(1);
  constexpr std::uint64_t kMessages = 90;
  for (std::uint64_t i = 1; i <= kMessages; ++i) {
    RawMessage m = message("h1", i, kStart);
    m.bytes.resize(10'000);
    std::generate(m.bytes.begin(), m.bytes.end(), [&] { return static_cast<char>(random()); });
    add(m);
  }
  ASSERT_TRUE(write_recording(*store_, all(), path_));
  std::string damaged = bytes_of(path_);
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  write_bytes(path_, damaged);
  std::uint64_t seen = 0;
  EXPECT_FALSE(read_recording(path_, {.raw = [&](const RawMessage&) { return ++seen, true; }, .journal = nullptr}));
  EXPECT_GT(seen, kMessages / 2 - 14);
}

TEST_F(RecordingTest, StopsWhenTheReaderHasEnough) {
  fill();
  ASSERT_TRUE(write_recording(*store_, all(), path_));
  int count = 0;
  const auto read = read_recording(path_, {.raw = [&](const RawMessage&) { return ++count < 3; }, .journal = nullptr});
  ASSERT_TRUE(read);
  EXPECT_EQ(count, 3);
  EXPECT_EQ(read->raw_messages, 3u);
}

TEST_F(RecordingTest, EveryCutIsFound) {
  fill();
  ASSERT_TRUE(write_recording(*store_, all(), path_));
  const std::string whole = bytes_of(path_);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_bytes(path_, whole.substr(0, size));
    const auto read = read_recording(path_, {});
    ASSERT_FALSE(read) << size << " of " << whole.size() << " bytes";
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  }
  write_bytes(path_, whole.substr(0, whole.size() - 1));
  EXPECT_NE(
      read_recording(path_, {}).error().message.find("cut off after 44 telemetry messages and 21 journal entries"),
      std::string::npos)
      << read_recording(path_, {}).error().message;
  write_bytes(path_, whole + "x");
  EXPECT_FALSE(read_recording(path_, {}));
}

TEST_F(RecordingTest, EveryFlippedByteIsFound) {
  fill();
  ASSERT_TRUE(write_recording(*store_, all(), path_));
  const std::string whole = bytes_of(path_);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    write_bytes(path_, damaged);
    EXPECT_FALSE(read_recording(path_, {})) << "byte " << i << " of " << whole.size();
  }
}

TEST_F(RecordingTest, TellsHowMuchOfTheFileHasBeenRead) {
  fill();
  ASSERT_TRUE(write_recording(*store_, all(), path_));
  std::vector<double> shares;
  ASSERT_TRUE(read_recording(path_, {}, [&](double share) { shares.push_back(share); }));
  ASSERT_FALSE(shares.empty());
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
  EXPECT_GT(shares.front(), 0.5) << "one chunk and a small head and end";
  EXPECT_LT(shares.back(), 1);
}

TEST_F(RecordingTest, AnotherFileIsNoRecording) {
  write_bytes(path_, "something else entirely, and long enough");
  const auto read = read_recording(path_, {});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(read.error().message.find("is not a recording"), std::string::npos);
  EXPECT_EQ(read_recording(path_ + "-none", {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read_recording(path_ + "/none", {}).error().code, ErrorCode::kPermissionDenied)
      << "not that it is not there";
}

// If this fails, recordings that people keep can no longer be read: raise the version, or undo the change.
TEST_F(RecordingTest, ReadsTheGoldenFile) {
  fill();
  ASSERT_TRUE(write_recording(*store_, all(), path_));
  std::vector<std::string> expected;
  ASSERT_TRUE(read_recording(path_, collect(expected)));
  std::vector<std::string> seen;
  const auto read = read_recording(PROTEUS_FIXTURES "/replay/golden.recording", collect(seen));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(read->version, "0.1.0");
  EXPECT_EQ(read->from, kStart + seconds(10));
  EXPECT_EQ(read->hosts, (std::vector{HostId("h1"), HostId("h2")}));
}

}  // namespace
}  // namespace proteus::replay
