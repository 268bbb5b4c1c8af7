#include "controller/profile/saved_state.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>

#include "controller/profile/wait_factor.h"
#include "tests/hex.h"

namespace proteus::profile {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

/// Numbers that every machine writes alike.
SavedProfile sample() {
  SavedHost host;
  host.host = HostId("h1");
  host.host_class = "Acme 9000 / 6.1 / QEMU / 4.00 cores";
  host.cpu_capacity_cores = 4;
  host.learned_until = kStart + seconds(20);
  host.cpu.newest = kStart + seconds(19);
  host.cpu.evidence.bins.resize(shape_of(Resource::kCpu).bins);
  host.cpu.evidence.bins[3] = {64, 2.5, 256, 0.125};
  host.cpu.evidence.bins[17] = {8, 4, 16, 2.25};
  host.wait_factor.newest = kStart + seconds(18);
  host.wait_factor.evidence.bins.resize(WaitFactorLearner::shape().bins);
  host.wait_factor.evidence.bins[15] = {32, 48, 128, 80};
  for (std::size_t i = 0; i < kCurveResources.size(); ++i) {
    host.answers[i].evidence.bins.resize(shape_of(kCurveResources[i]).bins);
    host.answers[i].evidence.bins[i] = {1024, 0.5, 4096, 0.0625};
  }
  return {SavedMoves{{3, 0.5, 0.25}, {}, {1, -0.125, 0.5}}, {host}};
}

TEST(SavedState, ALearnerGoesOnAsIfNothingHadHappened) {
  CurveLearner whole(prior_curve(4), hours(1));
  CurveLearner before(prior_curve(4), hours(1));
  for (int i = 0; i < 100; ++i) {
    for (CurveLearner* learner : {&whole, &before}) learner->observe(kStart + seconds(i), 0.01 * i, 2, 0.3);
  }
  SavedHost host;
  host.cpu = before.saved();
  const auto read = decode(encode({{}, {host}}));
  ASSERT_TRUE(read) << read.error().message;
  CurveLearner after(prior_curve(4), hours(1));
  after.observe(kStart, 0.9, 1, 1);  // what it has seen so far is no part of it
  after.restore(read->hosts.at(0).cpu);
  EXPECT_EQ(after.curve().knots(), whole.curve().knots());
  for (CurveLearner* learner : {&whole, &after}) learner->observe(kStart + hours(2), 0.3, 2, 1);
  EXPECT_EQ(after.curve().knots(), whole.curve().knots()) << "it fades from the same moment on";
}

TEST(SavedState, GivesBackWhatWentIn) {
  const SavedProfile saved = sample();
  const std::vector<SavedRecord> records = encode(saved);
  ASSERT_EQ(records.size(), 2u);
  const auto read = decode(records);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_TRUE(read->moves);
  EXPECT_EQ(read->moves->cpu, saved.moves->cpu);
  EXPECT_EQ(read->moves->network, saved.moves->network);
  ASSERT_EQ(read->hosts.size(), 1u);
  EXPECT_EQ(read->hosts[0].host, HostId("h1"));
  EXPECT_EQ(read->hosts[0].host_class, saved.hosts[0].host_class);
  EXPECT_EQ(read->hosts[0].learned_until, saved.hosts[0].learned_until);
  EXPECT_EQ(encode(*read), records);
}

// If this fails, what running controllers have kept can no longer be read: raise the version, or undo the change.
TEST(SavedState, IsAsDrawn) {
  std::ifstream file(PROTEUS_FIXTURES "/store/profile.golden");
  ASSERT_TRUE(file);
  std::map<std::string, std::string> golden;
  for (std::string name, bytes; file >> name >> bytes;) golden[name] = bytes;
  for (const SavedRecord& record : encode(sample())) {
    EXPECT_EQ(golden[record.name], hex(record.bytes)) << record.name << " " << hex(record.bytes);
    golden.erase(record.name);
  }
  EXPECT_TRUE(golden.empty());
}

TEST(SavedState, DamageIsFoundWhereverItIs) {
  for (const SavedRecord& record : encode(sample())) {
    for (std::size_t at = 0; at < record.bytes.size(); ++at) {
      SavedRecord damaged = record;
      damaged.bytes[at] = static_cast<char>(damaged.bytes[at] ^ 0x10);
      const auto read = decode(std::span(&damaged, 1));
      ASSERT_FALSE(read) << record.name << " byte " << at;
      EXPECT_NE(read.error().message.find(record.name), std::string::npos) << read.error().message;
      damaged.bytes = record.bytes.substr(0, at);
      ASSERT_FALSE(decode(std::span(&damaged, 1))) << record.name << " cut at " << at;
    }
  }
}

TEST(SavedState, WhatCannotBeIsRefusedThoughItsChecksumIsRight) {
  const auto code_of = [](const std::function<void(SavedHost&)>& spoil) {
    SavedProfile profile = sample();
    spoil(profile.hosts[0]);
    const auto read = decode(encode(profile));
    return read ? std::optional<ErrorCode>() : read.error().code;
  };
  EXPECT_EQ(code_of([](SavedHost&) {}), std::nullopt);
  EXPECT_EQ(code_of([](SavedHost& host) { host.cpu_capacity_cores = -1; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of([](SavedHost& host) { host.cpu_capacity_cores = 1e10; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of([](SavedHost& host) { host.wait_factor.evidence.bins[15].amount = -1; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of([](SavedHost& host) { host.cpu.evidence.bins[3].amount = -1; }), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of([](SavedHost& host) { host.cpu.newest = from_unix_ns(-1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of([](SavedHost& host) { host.learned_until = from_unix_ns(-7523372036854775808); }),
            ErrorCode::kCorrupt);
  EXPECT_EQ(code_of([](SavedHost& host) { host.cpu.evidence.bins.resize(41, {1, 1, 1, 1}); }), ErrorCode::kCorrupt);
  SavedRecord older = encode(sample()).at(1);
  older.bytes[0] = 1;  // before there was a wait factor
  EXPECT_EQ(decode(std::span(&older, 1)).error().code, ErrorCode::kUnsupported);
  const SavedRecord unknown{"weather", "fair"};
  EXPECT_EQ(decode(std::span(&unknown, 1)).error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace proteus::profile
