#include "controller/ctl/cluster_command.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/temporary_directory.h"

namespace proteus::ctl {
namespace {

const std::string kExample = PROTEUS_SOURCE_DIR "/docs/examples/cluster.toml";

TEST(ClusterCommand, RunsPoliciesOnTheClusterOfAFile) {
  const TemporaryDirectory directory;
  ClusterCommand command;
  command.file = kExample;
  command.save = directory / "saved";
  command.runs = {.policy = "none,proteus-rules,bound", .svg = directory / "runs.svg", .moves = true};
  std::ostringstream out;
  const Status status = run_cluster(command, true, out);
  ASSERT_TRUE(status) << status.error().message;
  const nlohmann::json runs = nlohmann::json::parse(out.str());
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[0].at("scenario"), "cluster");
  EXPECT_EQ(runs[0].at("hosts"), 5);
  EXPECT_EQ(runs[0].at("vms"), 27);
  EXPECT_EQ(runs[0].at("ticks"), 576);
  EXPECT_EQ(runs[0].at("moves").size(), 0U);
  EXPECT_EQ(runs[1].at("moves").size(), runs[1].at("migrations").get<std::size_t>());
  ASSERT_GT(runs[1].at("moves").size(), 0U);
  for (const auto& move : runs[1].at("moves")) EXPECT_NE(move.at("from"), move.at("to"));
  EXPECT_LT(runs[1].at("cost_eur"), runs[0].at("cost_eur"));
  EXPECT_LT(runs[2].at("energy_kwh"), runs[1].at("energy_kwh"));
  EXPECT_TRUE(std::filesystem::exists(directory / "runs.svg"));

  // What was saved is the same cluster.
  command.file = directory / "saved/cluster.toml";
  command.save.clear();
  command.runs = {.policy = "none"};
  std::ostringstream again;
  ASSERT_TRUE(run_cluster(command, true, again));
  const nlohmann::json saved = nlohmann::json::parse(again.str());
  EXPECT_DOUBLE_EQ(saved.at("cost_eur").get<double>(), runs[0].at("cost_eur").get<double>());

  command.runs = {.policy = "threshold", .moves = true};
  std::ostringstream table;
  ASSERT_TRUE(run_cluster(command, false, table));
  EXPECT_NE(table.str().find("energy_kwh"), std::string::npos);
  EXPECT_NE(table.str().find("\nthreshold: "), std::string::npos);
}

TEST(ClusterCommand, SaysWhatIsWrong) {
  const TemporaryDirectory directory;
  std::ostringstream out;
  const auto code = [&](const ClusterCommand& command) { return run_cluster(command, true, out).error().code; };
  const PolicyRuns runs{.policy = "none"};
  EXPECT_EQ(code({.file = directory / "none.toml", .runs = runs}), ErrorCode::kNotFound);
  EXPECT_EQ(code({.file = kExample, .runs = {.policy = "best"}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({.file = kExample, .history_s = 3600, .runs = runs}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({.file = directory.path(), .runs = runs}), ErrorCode::kInvalidArgument);
  std::ofstream(directory / "cut.rec") << std::string("PROTEUSR\1\0\0\0", 12);
  EXPECT_EQ(code({.file = directory / "cut.rec", .runs = runs}), ErrorCode::kCorrupt);
  EXPECT_TRUE(out.str().empty());
}

}  // namespace
}  // namespace proteus::ctl
