#include "controller/ctl/learning_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "controller/ham/learning/agent.h"
#include "controller/replay/recording.h"
#include "tests/file_size_limit.h"
#include "tests/temporary_directory.h"

namespace proteus::ctl {
namespace {

using testing::HasSubstr;

constexpr Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

/// A recording with so many outcomes of migrations that lost what they promised.
std::string recording(const TemporaryDirectory& directory, int outcomes) {
  auto store = store::Store::open({.directory = directory / ("store" + std::to_string(outcomes))});
  std::vector<store::JournalEntry> entries{{0, kStart, store::Started{}}};
  for (int i = 0; i < outcomes; ++i) {
    ham::learning::Outcome outcome;
    outcome.action = static_cast<ActionId>(i + 1);
    outcome.vm = VmId("v");
    outcome.note.kind = ham::learning::Kind::kMigrate;
    outcome.note.features[2] = 1;
    outcome.note.predicted = outcome.note.gain = 8;
    outcome.note.scale = 10;
    outcome.realised = -8 + i % 3;
    entries.push_back({0, kStart + std::chrono::seconds(i), outcome});
  }
  EXPECT_TRUE((*store)->append(entries));
  const std::string file = directory / ("r" + std::to_string(outcomes) + ".rec");
  EXPECT_TRUE(
      replay::write_recording(**store, {.from = kStart, .to = kStart + std::chrono::hours(1), .hosts = {}}, file));
  return file;
}

TEST(LearningCommand, AFailedWriteLeavesWhatHadBeenLearned) {
  TemporaryDirectory directory;
  LearningCommand command;
  command.recordings = {recording(directory, 100)};
  command.out = directory / "learning.bin";
  std::ofstream(command.out) << "before";
  std::ostringstream text;
  {
    const FileSizeLimit full(8);
    EXPECT_FALSE(train_learning(command, text));
  }
  std::ifstream file(command.out);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "before");
}

TEST(LearningCommand, LearnsFromWhatWasJournalled) {
  TemporaryDirectory directory;
  LearningCommand command;
  command.recordings = {recording(directory, 100)};
  command.out = directory / "learning.bin";
  std::ostringstream text;
  const Status done = train_learning(command, text);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_THAT(text.str(), HasSubstr("learning acts"));
  EXPECT_THAT(text.str(), HasSubstr("1 times adopted"));

  std::ifstream file(command.out, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  ham::learning::Agent agent;
  ASSERT_TRUE(agent.restore(bytes.str()));
  EXPECT_TRUE(agent.acting());
  EXPECT_EQ(agent.revision(), 100u);

  // And on from there.
  command.from = command.out;
  command.json = true;
  std::ostringstream json;
  ASSERT_TRUE(train_learning(command, json));
  const auto told = nlohmann::ordered_json::parse(json.str());
  EXPECT_EQ(told["learning"]["revision"], 200);
  EXPECT_EQ(told["recordings"][0]["outcomes"], 100);
  EXPECT_LT(told["learning"]["coefficients"]["migrate"], -1);
}

TEST(LearningCommand, SaysThatThereIsNothingToLearnFrom) {
  TemporaryDirectory directory;
  LearningCommand command;
  command.recordings = {recording(directory, 0)};
  std::ostringstream text;
  EXPECT_EQ(train_learning(command, text).error().code, ErrorCode::kNotFound);
  command.recordings = {directory / "none.rec"};
  EXPECT_EQ(train_learning(command, text).error().code, ErrorCode::kNotFound);
  command.from = command.recordings.front();
  EXPECT_FALSE(train_learning(command, text));
}

TEST(LearningCommand, LearnsInSimulatedWeeks) {
  LearningCommand command;
  std::ostringstream text;
  EXPECT_EQ(train_learning(command, text).error().code, ErrorCode::kInvalidArgument);
  command.weeks = {PROTEUS_SOURCE_DIR "/../shared/data/kvm", "small", 1, 1};
  if (!std::filesystem::exists(command.weeks.data)) GTEST_SKIP() << "no traces at " << command.weeks.data;
  command.json = true;
  const Status done = train_learning(command, text);
  ASSERT_TRUE(done) << done.error().message;
  const auto told = nlohmann::ordered_json::parse(text.str());
  EXPECT_EQ(told["recordings"][0]["file"], "small, seed 1");
  EXPECT_GT(told["recordings"][0]["outcomes"], 0);
  EXPECT_EQ(told["recordings"][0]["outcomes"], told["learning"]["revision"]);
  EXPECT_EQ(told["learning"]["following"], 0) << "the week is over";
  command.weeks.scenario = "none";
  EXPECT_FALSE(train_learning(command, text));
}

TEST(LearningCommand, SaysThatItIsOff) {
  EXPECT_THAT(print_learning({{"enabled", false}}), HasSubstr("off"));
}

}  // namespace
}  // namespace proteus::ctl
