// The published states of two policies after some ticks: if these agree, every rule of the model does.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "controller/simulate/kvm/energy_floor.h"
#include "controller/simulate/kvm/policies/catalogue.h"
#include "controller/simulate/kvm/run.h"
#include "controller/simulate/trace/compressed_file.h"
#include "controller/simulate/trace/csv.h"

namespace proteus::simulate::kvm {
namespace {

const std::string kData = PROTEUS_SOURCE_DIR "/../shared/data/kvm";
const std::string kBenchmarks = PROTEUS_SOURCE_DIR "/../shared/benchmarks";

class Published : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kData + "/vms.csv")) GTEST_SKIP() << "no traces in " << kData;
  }
};

void expect_near(double actual, const std::string& published, const std::string& what) {
  const double expected = std::stod(published);
  EXPECT_NEAR(actual, expected, std::abs(expected) * 1e-6 + 1e-6) << what;
}

CsvTable read_table(const std::string& file) {
  const std::string path = kBenchmarks + "/" + file;
  const Result<std::string> text = read_compressed_file(path);
  EXPECT_TRUE(text) << path;
  Result<CsvTable> table = parse_csv(text ? *text : "", path);
  EXPECT_TRUE(table) << path;
  return table ? *table : CsvTable{};
}

TEST_F(Published, CheckpointsOfSmallAndNormal) {
  const Result<Traces> traces = read_traces(kData);
  ASSERT_TRUE(traces) << traces.error().message;
  const CsvTable table = read_table("kvm-cluster-checkpoints.csv");
  int compared = 0;
  for (const std::string scenario : {"small", "normal"}) {
    const Result<Workload> workload = generate(*traces, scenario, 1);
    ASSERT_TRUE(workload);
    for (const std::string policy : {"none", "threshold"}) {
      std::map<int, std::vector<std::string>> rows;
      for (const auto& row : table.rows) {
        if (row[0] == scenario && row[2] == policy) rows[std::stoi(row[3])] = row;
      }
      RunOptions options;
      options.on_tick = [&](const Cluster& cluster, const TickOutcome&, const Tally& tally) {
        const auto found = rows.find(cluster.tick() - kFirstTick);
        if (found == rows.end()) return;
        const std::vector<std::string>& row = found->second;
        const std::string where = scenario + " " + policy + " after " + row[3];
        int vms = 0;
        double resident_mib = 0;
        for (const VmState& vm : cluster.vms()) {
          vms += vm.present ? 1 : 0;
          if (vm.present) resident_mib += vm.resident_mib;
        }
        const Metrics m = tally.metrics();
        EXPECT_EQ(vms, std::stoi(row[4])) << where;
        EXPECT_NEAR(resident_mib, std::stod(row[6]), 0.06) << where;
        expect_near(m.energy_kwh, row[7], where);
        expect_near(m.contention_s, row[8], where);
        expect_near(m.unmet_cpu_mhz_s / 1e6, row[9], where);
        expect_near(m.sla_eur, row[10], where);
        EXPECT_EQ(m.migrations, std::stoi(row[11])) << where;
        EXPECT_EQ(m.disasters, std::stoi(row[12])) << where;
        ++compared;
      };
      const auto made = make_policy(policy, *workload);
      ASSERT_TRUE(made);
      run(*workload, **made, options);
    }
  }
  EXPECT_EQ(compared, 28);
}

TEST_F(Published, ResultsOfAllSeedsOfNormal) {
  const Result<Traces> traces = read_traces(kData);
  ASSERT_TRUE(traces);
  const CsvTable table = read_table("kvm-cluster-results.csv");
  int compared = 0;
  for (const auto& row : table.rows) {
    if (row[0] != "normal" || (row[2] != "none" && row[2] != "threshold")) continue;
    const std::string where = "seed " + row[1] + " " + row[2];
    const Result<Workload> workload = generate(*traces, row[0], std::stoull(row[1]));
    ASSERT_TRUE(workload);
    const auto made = make_policy(row[2], *workload);
    ASSERT_TRUE(made);
    const Metrics m = run(*workload, **made).metrics;
    EXPECT_NEAR(m.cost_eur, std::stod(row[3]), 0.0051) << where;
    EXPECT_NEAR(m.sla_eur, std::stod(row[4]), 0.0051) << where;
    EXPECT_NEAR(m.energy_kwh, std::stod(row[5]), 0.00051) << where;
    EXPECT_NEAR(m.contention_s, std::stod(row[6]), 0.5) << where;
    EXPECT_NEAR(m.contention_share, std::stod(row[7]), 5.1e-6) << where;
    EXPECT_NEAR(m.unmet_cpu_share, std::stod(row[8]), 5.1e-7) << where;
    EXPECT_NEAR(m.unmet_disk_mib, std::stod(row[9]), 0.51) << where;
    EXPECT_NEAR(m.unmet_network_mib, std::stod(row[10]), 0.51) << where;
    EXPECT_NEAR(m.host_swap_vm_s, std::stod(row[11]), 0.51) << where;
    EXPECT_NEAR(m.loss_p99, std::stod(row[13]), 5.1e-6) << where;
    EXPECT_NEAR(m.loss_p999, std::stod(row[14]), 5.1e-6) << where;
    EXPECT_NEAR(m.loss_mean, std::stod(row[15]), 5.1e-7) << where;
    EXPECT_EQ(m.disasters, std::stoi(row[16])) << where;
    EXPECT_EQ(m.migrations, std::stoi(row[17])) << where;
    EXPECT_NEAR(m.migration_s, std::stod(row[18]), 0.051) << where;
    EXPECT_NEAR(m.downtime_s, std::stod(row[19]), 0.0051) << where;
    EXPECT_NEAR(m.migrated_gib, std::stod(row[23]), 0.00051) << where;
    ++compared;
  }
  EXPECT_EQ(compared, 10);
}

/// Of `large` less was found than was published.
TEST_F(Published, EnergyFloorsOfSmallAndNormal) {
  const Result<Traces> traces = read_traces(kData);
  ASSERT_TRUE(traces) << traces.error().message;
  int compared = 0;
  for (const auto& row : read_table("kvm-cluster-results.csv").rows) {
    if (row[2] != "bound" || row[0] == "large") continue;
    const Result<Workload> workload = generate(*traces, row[0], std::stoull(row[1]));
    ASSERT_TRUE(workload);
    EXPECT_NEAR(energy_floor_kwh(*workload), std::stod(row[5]), 0.00051) << row[0] << " " << row[1];
    ++compared;
  }
  EXPECT_EQ(compared, 8);
}

}  // namespace
}  // namespace proteus::simulate::kvm
