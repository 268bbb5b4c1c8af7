#include "agent/act/outcome_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/agent/act/job_harness.h"

namespace proteus::act {
namespace {

class OutcomeLogTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = testing::TempDir() + "/outcomes_" + test->name();
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  std::unique_ptr<OutcomeLog> open(OutcomeLog::Options options = {}) {
    auto log = OutcomeLog::open(directory_, options);
    EXPECT_TRUE(log) << log.error().message;
    return std::move(*log);
  }
  std::string file() const { return directory_ + "/outcomes"; }
  Update end_of(const Command& command) {
    Update update = harness_.context.update(command, CommandState::kSucceeded, "done");
    update.observed = DomainObservation{true, true, 3, 50000, 100000, 1024, kGiB};
    return update;
  }
  Timestamp now() const { return harness_.clock.now(); }

  JobHarness harness_;
  std::string directory_;
};

TEST_F(OutcomeLogTest, KeepsWhatWasBegunEndedAndAcknowledged) {
  const Command migrate = harness_.command(JobHarness::migrate_to_two(), 1);
  {
    const auto log = open();
    ASSERT_TRUE(log->begin(migrate, now()));
    ASSERT_TRUE(log->begin(harness_.command(SetVcpus{3}, 2), now()));
    ASSERT_TRUE(log->begin(harness_.command(SetVcpus{4}, 3), now()));
    ASSERT_TRUE(log->finish(end_of(harness_.command(SetVcpus{3}, 2)), now()));
    ASSERT_TRUE(log->finish(end_of(harness_.command(SetVcpus{4}, 3)), now()));
    ASSERT_TRUE(log->acknowledge(3, now()));
  }
  const auto log = open();
  ASSERT_EQ(log->entries().size(), 3U);
  EXPECT_FALSE(log->find(1)->final_update);
  EXPECT_EQ(std::get<Migrate>(log->find(1)->command.operation), JobHarness::migrate_to_two());
  EXPECT_EQ(log->find(1)->command.deadline, migrate.deadline);
  EXPECT_EQ(log->find(2)->final_update->observed->vcpus, 3);
  EXPECT_FALSE(log->find(2)->acknowledged);
  EXPECT_TRUE(log->find(3)->acknowledged);
  EXPECT_LT(log->find(1)->order, log->find(2)->order);
  EXPECT_EQ(log->find(4), nullptr);
}

TEST_F(OutcomeLogTest, ATailTornAnywhereLosesOnlyWhatWasTorn) {
  {
    const auto log = open();
    ASSERT_TRUE(log->begin(harness_.command(SetVcpus{3}, 1), now()));
  }
  const auto whole_bytes = std::filesystem::file_size(file());
  {
    const auto log = open();
    ASSERT_TRUE(log->begin(harness_.command(SetVcpus{4}, 2), now()));
  }
  std::string content;
  {
    std::ifstream in(file(), std::ios::binary);
    content.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (auto size = whole_bytes; size < content.size(); ++size) {
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << content.substr(0, size);
    const auto log = open();
    EXPECT_EQ(log->entries().size(), 1U) << size;
    EXPECT_EQ(std::filesystem::file_size(file()), whole_bytes);
    ASSERT_TRUE(log->begin(harness_.command(SetVcpus{4}, 9), now()));
    EXPECT_EQ(open()->entries().size(), 2U) << "appending goes on behind the cut";
  }
}

TEST_F(OutcomeLogTest, ADamagedRecordIsNotBelieved) {
  {
    const auto log = open();
    ASSERT_TRUE(log->begin(harness_.command(SetVcpus{3}, 1), now()));
  }
  std::fstream out(file(), std::ios::binary | std::ios::in | std::ios::out);
  out.seekp(30);
  out.put('\x5a');
  out.close();
  EXPECT_TRUE(open()->entries().empty());
}

TEST_F(OutcomeLogTest, AnotherKindOfFileIsLeftAlone) {
  std::ofstream(file()) << "hello";
  const auto log = OutcomeLog::open(directory_, {});
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, ErrorCode::kCorrupt);
}

TEST_F(OutcomeLogTest, StaysBoundedAndForgetsOnlyWhatIsSettledAndPastItsDeadline) {
  const OutcomeLog::Options options{.bytes_max = 6000, .settled_entries_kept = 5};
  const auto log = open(options);
  const Command unfinished = harness_.command(JobHarness::migrate_to_two(), 1);
  ASSERT_TRUE(log->begin(unfinished, now()));
  const Command unheard = harness_.command(SetVcpus{2}, 2);
  ASSERT_TRUE(log->begin(unheard, now()));
  ASSERT_TRUE(log->finish(end_of(unheard), now()));
  for (std::uint64_t id = 10; id < 160; ++id) {
    const Command command = harness_.command(SetVcpus{3}, id);
    ASSERT_TRUE(log->begin(command, now()));
    ASSERT_TRUE(log->finish(end_of(command), now()));
    ASSERT_TRUE(log->acknowledge(id, now()));
    harness_.clock.advance(std::chrono::seconds(1));
    ASSERT_LT(std::filesystem::file_size(file()), 3 * options.bytes_max);
  }
  EXPECT_NE(log->find(1), nullptr);
  EXPECT_NE(log->find(2), nullptr);
  EXPECT_NE(log->find(159), nullptr);
  EXPECT_NE(log->find(151), nullptr) << "its deadline has not passed";
  EXPECT_EQ(log->find(10), nullptr);
  const auto again = open(options);
  EXPECT_EQ(again->entries().size(), log->entries().size());
  EXPECT_TRUE(again->find(2)->final_update);
}

}  // namespace
}  // namespace proteus::act
