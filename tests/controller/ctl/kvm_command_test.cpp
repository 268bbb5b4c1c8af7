#include "controller/ctl/kvm_command.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <tuple>

#include "controller/ctl/course_picture.h"
#include "controller/simulate/trace/compressed_file.h"
#include "controller/simulate/trace/csv.h"

namespace proteus::ctl {
namespace {

const std::string kData = PROTEUS_SOURCE_DIR "/../shared/data/kvm";
const std::string kResults = PROTEUS_SOURCE_DIR "/../shared/benchmarks/kvm-cluster-results.csv";

constexpr CourseNames kNames = {"hosts on", "energy, EUR so far", "lost service, EUR so far"};

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(CoursePicture, DrawsThreeLinesAPolicyAndMarksMovesAndDisasters) {
  Course calm{"none", {}};
  Course busy{"<best> & more", {}};
  for (int i = 0; i < 100; ++i) {
    calm.ticks.push_back({{4, 0.1 * i, 0}, 0, 0});
    busy.ticks.push_back({{i < 50 ? 4.0 : 3.0, 0.08 * i, 0.01 * i}, i % 25 == 3 ? 2 : 0, i == 60 ? 1 : 0});
  }
  const std::string picture = svg_courses("small cluster", kNames, {calm, busy}, 300);
  EXPECT_TRUE(picture.starts_with("<svg xmlns="));
  EXPECT_TRUE(picture.ends_with("</svg>\n"));
  EXPECT_EQ(count(picture, "<polyline"), 6U);
  EXPECT_EQ(count(picture, "class=\"moves\""), 4U);
  EXPECT_EQ(count(picture, "class=\"disaster\""), 1U);
  EXPECT_EQ(count(picture, ">8 moves<"), 1U);
  EXPECT_EQ(count(picture, "&lt;best&gt; &amp; more"), 1U);
  EXPECT_EQ(count(picture, "<best>"), 0U);
  EXPECT_EQ(picture, svg_courses("small cluster", kNames, {calm, busy}, 300));
  EXPECT_EQ(picture.find("nan"), std::string::npos);
}

TEST(CoursePicture, NothingThatHappensIsNoTrouble) {
  const std::string picture = svg_courses("empty", kNames, {{"none", {}}}, 300);
  EXPECT_EQ(count(picture, "<polyline"), 3U);
  EXPECT_EQ(picture.find("nan"), std::string::npos);
  EXPECT_EQ(picture.find("inf"), std::string::npos);
}

/// Every metric of the benchmark's section 8, by the name that the published results use for it.
TEST(KvmCommand, PrintsWhatWasPublished) {
  if (!std::filesystem::exists(kData + "/vms.csv")) GTEST_SKIP() << "no traces in " << kData;
  const Result<std::string> text = simulate::read_compressed_file(kResults);
  ASSERT_TRUE(text);
  const Result<simulate::CsvTable> table = simulate::parse_csv(*text, kResults);
  ASSERT_TRUE(table);
  const std::string picture = testing::TempDir() + "kvm_command_test.svg";
  std::ostringstream out;
  const Status status = run_kvm({kData, "small", 1, {"none,threshold", false, picture, false}}, true, out);
  ASSERT_TRUE(status) << status.error().message;
  const nlohmann::json runs = nlohmann::json::parse(out.str());
  ASSERT_EQ(runs.size(), 2U);
  int compared = 0;
  for (const nlohmann::json& run : runs) {
    for (const auto& row : table->rows) {
      if (row[0] != "small" || row[1] != "1" || row[2] != run.at("policy").get<std::string>()) continue;
      for (const auto& [theirs, ours, tolerance] : {std::tuple("cost_eur", "cost_eur", 0.0051),
                                                    std::tuple("sla_eur", "sla_eur", 0.0051),
                                                    std::tuple("energy_kwh", "energy_kwh", 0.00051),
                                                    std::tuple("contention_s", "contention_s", 0.5),
                                                    std::tuple("contention_share", "contention_share", 5.1e-6),
                                                    std::tuple("unmet_cpu_share", "unmet_cpu_share", 5.1e-7),
                                                    std::tuple("unmet_disk_mib", "unmet_disk_mib", 0.51),
                                                    std::tuple("unmet_net_mib", "unmet_net_mib", 0.51),
                                                    std::tuple("host_swap_vm_s", "host_swap_vm_s", 0.51),
                                                    std::tuple("guest_swap_vm_s", "guest_swap_vm_s", 0.51),
                                                    std::tuple("loss_p99", "loss_p99", 5.1e-6),
                                                    std::tuple("loss_p999", "loss_p999", 5.1e-6),
                                                    std::tuple("loss_mean", "loss_mean", 5.1e-7),
                                                    std::tuple("oom", "disasters", 0.0),
                                                    std::tuple("migrations", "migrations", 0.0),
                                                    std::tuple("migration_s", "migration_s", 0.051),
                                                    std::tuple("downtime_s", "downtime_s", 0.0051),
                                                    std::tuple("reshapes", "reshapes", 0.0),
                                                    std::tuple("mean_hosts_on", "mean_hosts_on", 0.00051),
                                                    std::tuple("migrated_gib", "migrated_gib", 0.00051)}) {
        const auto column = table->column(theirs);
        ASSERT_TRUE(column) << theirs;
        EXPECT_NEAR(run.at(ours).get<double>(), std::stod(row[*column]), tolerance) << ours;
        ++compared;
      }
    }
    for (const char* shares : {"unmet_disk_share", "unmet_network_share"})
      EXPECT_EQ(run.at(shares).get<double>(), 0) << shares;
    const double slowest_s = run.at("decision_cpu_s_max").get<double>();
    EXPECT_LE(run.at("decision_cpu_s_mean").get<double>(), slowest_s);
    EXPECT_GT(slowest_s, 0);
  }
  EXPECT_EQ(compared, 40);
  const Result<std::string> drawn = simulate::read_compressed_file(picture);
  ASSERT_TRUE(drawn);
  EXPECT_EQ(count(*drawn, ">25 moves<"), 1U);
  std::filesystem::remove(picture);

  std::ostringstream table_out;
  ASSERT_TRUE(run_kvm({kData, "small", 1, {"none", false, "", false}}, false, table_out));
  for (const auto& [name, value] : runs.front().items()) {
    EXPECT_NE(table_out.str().find(name), std::string::npos) << name;
  }
}

TEST(KvmCommand, PutsTheBoundBesidePolicies) {
  if (!std::filesystem::exists(kData + "/vms.csv")) GTEST_SKIP() << "no traces in " << kData;
  std::ostringstream out;
  ASSERT_TRUE(run_kvm({kData, "small", 1, {"bound,none", false, "", false}}, true, out));
  const nlohmann::json runs = nlohmann::json::parse(out.str());
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_NEAR(runs[0].at("energy_kwh").get<double>(), 21.995, 0.00051);
  EXPECT_NEAR(runs[0].at("cost_eur").get<double>(), 7.70, 0.0051);
  EXPECT_FALSE(runs[0].contains("migrations"));
  EXPECT_EQ(runs[1].at("policy"), "none");
  std::ostringstream table;
  ASSERT_TRUE(run_kvm({kData, "small", 1, {"bound,none", false, "", false}}, false, table));
  EXPECT_NE(table.str().find("migrations"), std::string::npos);
}

TEST(KvmCommand, SaysWhatIsWrong) {
  std::ostringstream out;
  EXPECT_EQ(run_kvm({"/nonexistent", "small", 1, {"none", false, "", false}}, true, out).error().code,
            ErrorCode::kNotFound);
  if (!std::filesystem::exists(kData + "/vms.csv")) GTEST_SKIP() << "no traces in " << kData;
  EXPECT_EQ(run_kvm({kData, "tiny", 1, {"none", false, "", false}}, true, out).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(run_kvm({kData, "small", 1, {"none,best", false, "", false}}, true, out).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(run_kvm({kData, "small", 1, {"", false, "", false}}, true, out).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(out.str().empty());
}

}  // namespace
}  // namespace proteus::ctl
