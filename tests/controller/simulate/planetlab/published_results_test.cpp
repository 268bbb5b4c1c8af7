// The published figures, to every digit given. They and the traces lie beside the tree and are not part of it.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "controller/simulate/planetlab/benchmark.h"
#include "controller/simulate/trace/compressed_file.h"
#include "controller/simulate/trace/csv.h"

namespace proteus::simulate::planetlab {
namespace {

const std::string kShared = PROTEUS_SOURCE_DIR "/../shared/";

class PublishedResults : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kShared + "data/planetlab")) GTEST_SKIP() << "no ../shared/data/planetlab here";
  }
  static TraceTable day(const std::string& name) {
    Result<TraceTable> traces = read_traces(kShared + "data/planetlab/" + name + ".csv.xz");
    EXPECT_TRUE(traces) << traces.error().message;
    return std::move(*traces);
  }
};

TEST_P(PublishedResults, AreMetToEveryDigit) {
  const std::string name = "20110306";
  const std::string policy = GetParam();
  const TraceTable traces = day(name);
  const auto text = read_compressed_file(kShared + "benchmarks/planetlab-cloudsim-results.csv");
  ASSERT_TRUE(text) << text.error().message;
  const auto table = parse_csv(*text, "results");
  ASSERT_TRUE(table) << table.error().message;
  int rows = 0;
  for (const auto& row : table->rows) {
    const auto cell = [&](const char* column) { return row[table->column(column).value()]; };
    const bool mfped = cell("placement") == "mfped";
    if (cell("day") != name || cell("placement") == "pebfd") continue;
    if ((mfped ? "mfped" : cell("detector")) != policy) continue;
    ++rows;
    const Mode mode = cell("mode") == "keep" ? Mode::kKeep : Mode::kCloudsim;
    const auto outcome = run_day(traces, mode, policy, {});
    ASSERT_TRUE(outcome) << outcome.error().message;
    const Metrics& m = outcome->metrics;
    std::map<std::string, double> figures = {{"energy_kwh", m.energy_kwh},
                                             {"slatah", m.slatah},
                                             {"pdm", m.pdm},
                                             {"migrations", static_cast<double>(m.migrations)},
                                             {"mean_active_hosts", m.mean_active_hosts}};
    // Where the program itself did not run, these were multiplied from rounded figures.
    if (cell("source") == "cloudsim-3.0.3") figures.insert({{"slav", m.slav}, {"esv", m.esv}});
    for (const auto& [column, value] : figures) {
      const std::string published = cell(column.c_str());
      const std::size_t point = published.find('.');
      const std::size_t digits = point == std::string::npos ? 0 : published.size() - point - 1;
      EXPECT_EQ(fmt::format("{:.{}f}", value, digits), published) << policy << " " << to_string(mode) << " " << column;
    }
  }
  EXPECT_GT(rows, 0) << "no row for " << policy;
}

INSTANTIATE_TEST_SUITE_P(Planetlab, PublishedResults,
                         testing::Values("npa", "dvfs", "thr", "iqr", "mad", "lr", "lrr", "mfped"),
                         [](const auto& param) { return std::string(param.param); });

class Checkpoints : public PublishedResults {};

TEST_F(Checkpoints, OfLrOn20110303) {
  const auto outcome = run_day(day("20110303"), Mode::kCloudsim, "lr", {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  const auto expect = [&](std::size_t k, const char* energy_j, std::size_t hosts, std::size_t vms,
                          std::size_t overloaded, std::size_t taken, std::size_t moves) {
    const Step& step = outcome->steps[k - 1];
    EXPECT_EQ(fmt::format("{:.3f}", step.energy_j), energy_j) << k;
    EXPECT_EQ(step.active_hosts, hosts) << k;
    EXPECT_EQ(step.vms, vms) << k;
    EXPECT_EQ(step.overloaded, overloaded) << k;
    EXPECT_EQ(step.taken, taken) << k;
    EXPECT_EQ(step.moves, moves) << k;
  };
  expect(1, "0.000", 775, 994, 0, 0, 592);
  expect(2, "10211348.256", 320, 959, 0, 0, 305);
  expect(9, "38652751.891", 80, 792, 6, 28, 103);
  expect(50, "125243650.716", 65, 593, 14, 27, 80);
  expect(287, "588330306.037", 66, 520, 14, 27, 123);
}

TEST_F(Checkpoints, OursTakesNoMoreEnergyAndAThirdOfTheMigrationsAndSlavOfMfped) {
  const TraceTable traces = day("20110306");
  const auto ours = run_day(traces, Mode::kCloudsim, "proteus", {});
  const auto theirs = run_day(traces, Mode::kCloudsim, "mfped", {});
  ASSERT_TRUE(ours) << ours.error().message;
  ASSERT_TRUE(theirs) << theirs.error().message;
  EXPECT_LE(ours->metrics.energy_kwh, theirs->metrics.energy_kwh);
  EXPECT_LE(ours->metrics.migrations * 3, theirs->metrics.migrations);
  EXPECT_LE(ours->metrics.slav * 3, theirs->metrics.slav);
}

}  // namespace
}  // namespace proteus::simulate::planetlab
