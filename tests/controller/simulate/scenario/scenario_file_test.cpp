#include "controller/simulate/scenario/scenario_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/temporary_directory.h"

namespace proteus::simulate::scenario {
namespace {

class ScenarioFileTest : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
    return directory_ / name;
  }
  /// The message of the problem with this scenario.
  std::string problem(const std::string& text) {
    const auto read = read_scenario_file(write("cluster.toml", text));
    if (read) return "none";
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
    return read.error().message;
  }

  TemporaryDirectory directory_;
};

constexpr const char* kHost = "[[host]]\nname = \"h\"\ncores = 4\nmemory = \"8GiB\"\n";

TEST_F(ScenarioFileTest, TheExampleIsWhatItSays) {
  const auto read = read_scenario_file(PROTEUS_SOURCE_DIR "/docs/examples/cluster.toml");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->name, "cluster");
  EXPECT_EQ(read->history_ticks, 288);
  EXPECT_EQ(read->ticks, 576);
  ASSERT_EQ(read->hosts.size(), 5U);
  EXPECT_EQ(read->hosts[0].name, "big-1");
  EXPECT_EQ(read->hosts[0].core_mhz, 2600);
  EXPECT_EQ(read->hosts[4].core_mhz, 2100);
  EXPECT_EQ(read->hosts[4].memory_mib, 48 * 1024);
  EXPECT_DOUBLE_EQ(read->hosts[4].disk_latency_ms, 0.6);
  EXPECT_EQ(read->hosts[4].disk_kbs, 240 * 1024);
  ASSERT_EQ(read->vms.size(), 27U);
  const Vm& web = read->vms[1];
  EXPECT_EQ(web.name, "web-2");
  EXPECT_EQ(web.vm_class, kvm::VmClass::kGold);
  EXPECT_EQ(web.apart, "web");
  EXPECT_EQ(web.tags.at("role"), "web");
  EXPECT_EQ(web.demand[0].size(), 864U);
  EXPECT_NE(web.demand[0], read->vms[0].demand[0]) << "each has noise of its own";
  EXPECT_NEAR(web.demand[1][14 * 12], 5000, 5);
  const Vm& build = read->vms[26];
  EXPECT_EQ(build.from, 26 * 12);
  EXPECT_EQ(build.until, 38 * 12);
  EXPECT_TRUE(Cluster::make(*read));
}

TEST_F(ScenarioFileTest, ReadsTracesByRow) {
  write("cpu.csv", "vm,t0,t1,t2,t3\na,0.5,0.5,1,2\nmodel,1,1,1,3\n");
  write("net.csv", "vm,t0,t1,t2,t3\na,10,20,30,40\n");
  const auto read = read_scenario_file(write("cluster.toml", std::string("history = \"10m\"\nduration = \"10m\"\n"
                                                                         "core_mhz = 2000\n[traces]\n"
                                                                         "cpu_cores = \"cpu.csv\"\n"
                                                                         "network_kib_per_s = \"net.csv\"\n") +
                                                                 kHost +
                                                                 "[[vm]]\nname = \"a\"\nvcpus = 2\n"
                                                                 "[[vm]]\nname = \"b\"\ncount = 2\ntrace = \"model\"\n"
                                                                 "used_mib = { base = 300 }\n"));
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->vms.size(), 3U);
  EXPECT_EQ(read->vms[0].demand[0], (std::vector<float>{1000, 1000, 2000, 4000}));
  EXPECT_EQ(read->vms[0].demand[3], (std::vector<float>{10, 20, 30, 40}));
  EXPECT_EQ(read->vms[2].name, "b-2");
  EXPECT_EQ(read->vms[2].demand[0], (std::vector<float>{2000, 2000, 2000, 6000}));
  EXPECT_EQ(read->vms[2].demand[1], (std::vector<float>(4, 300)));
  EXPECT_TRUE(read->vms[2].demand[3].empty());
}

TEST_F(ScenarioFileTest, WhatIsWrittenReadsTheSame) {
  auto read = read_scenario_file(PROTEUS_SOURCE_DIR "/docs/examples/cluster.toml");
  ASSERT_TRUE(read);
  read->name = "odd \"name\" \\ \n\x7F";
  read->begins += std::chrono::hours(31);
  read->vms[2].from = -5;
  read->vms[3].pinned = true;
  read->vms[3].scalable = true;
  read->vms[3].host = "big-2";
  const std::string folder = directory_ / "saved/here";
  ASSERT_TRUE(write_scenario(*read, folder));
  const auto again = read_scenario_file(folder + "/cluster.toml");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->name, read->name);
  EXPECT_EQ(again->history_ticks, read->history_ticks);
  EXPECT_EQ(again->ticks, read->ticks);
  EXPECT_EQ(again->begins, read->begins);
  ASSERT_EQ(again->hosts.size(), read->hosts.size());
  for (std::size_t h = 0; h < read->hosts.size(); ++h) {
    const Host& was = read->hosts[h];
    const Host& is = again->hosts[h];
    EXPECT_EQ(std::tie(is.name, is.cores, is.core_mhz, is.memory_mib, is.disk_kbs, is.disk_latency_ms, is.network_kbs,
                       is.idle_w, is.peak_w),
              std::tie(was.name, was.cores, was.core_mhz, was.memory_mib, was.disk_kbs, was.disk_latency_ms,
                       was.network_kbs, was.idle_w, was.peak_w));
  }
  ASSERT_EQ(again->vms.size(), read->vms.size());
  for (std::size_t v = 0; v < read->vms.size(); ++v) {
    const Vm& was = read->vms[v];
    const Vm& is = again->vms[v];
    EXPECT_EQ(std::tie(is.name, is.vcpus, is.memory_mib, is.vm_class, is.pinned, is.scalable, is.host, is.apart,
                       is.talks_to, is.tags, is.from, is.until),
              std::tie(was.name, was.vcpus, was.memory_mib, was.vm_class, was.pinned, was.scalable, was.host, was.apart,
                       was.talks_to, was.tags, was.from, was.until));
    for (std::size_t s = 0; s < kvm::kSeriesCount; ++s) {
      for (std::size_t t = 0; t < was.demand[s].size(); ++t) {
        ASSERT_FLOAT_EQ(is.demand[s][t], was.demand[s][t]) << was.name << ' ' << s << ' ' << t;
      }
    }
  }
  EXPECT_EQ(write_scenario(*read, folder).error().code, ErrorCode::kAlreadyExists);
}

TEST_F(ScenarioFileTest, SaysWhatIsWrongAndWhere) {
  const std::string message = problem(
      "duration = \"20d\"\nspeed = 3\n[[host]]\nname = \"h\"\nmemory = \"8GiB\"\n"
      "[[vm]]\nname = \"a\"\nmemory = \"9GiB\"\nclass = \"iron\"\ncpu_cores = { peak = 2 }\nhost = \"g\"\n");
  for (const char* part : {":1: 'duration'", ":2: ", ":3: ", ":8: no host has the memory", ":9: 'class'", "'base'",
                           ":11: 'host' is 'g', which the scenario does not have"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << " in\n" << message;
  }
  EXPECT_NE(problem(std::string(kHost) + "[[vm]]\nname = \"a\"\n").find(":5: nothing says what CPU VM 'a' asks for"),
            std::string::npos);
  EXPECT_NE(problem(std::string(kHost) + "[[vm]]\nname = \"a\"\ncpu_cores = { base = 1 }\narrives = \"1h\"\n"
                                         "departs = \"30m\"\n")
                .find(":9: 'departs'"),
            std::string::npos);
  EXPECT_NE(problem(std::string(kHost) + "[[vm]]\nname = \"a\"\ncpu_cores = { base = 1 }\ntalks_to = \"b\"\n")
                .find(":8: 'talks_to' is 'b'"),
            std::string::npos);
  const std::string twice =
      problem(std::string(kHost) + "[[vm]]\nname = \"a\"\ncpu_cores = { base = 1 }\n[[vm]]\nname = \"a\"\n" +
              "cpu_cores = { base = 1 }\ntalks_to = \"a\"\nknown_for = \"7m\"\n");
  for (const char* part :
       {":9: another VM is called 'a' already", ":11: a VM talks to others", ":12: 'known_for' must be whole"}) {
    EXPECT_NE(twice.find(part), std::string::npos) << part << " in\n" << twice;
  }
  const std::string vms = "count = 2\ncpu_cores = { base = 1 }\napart = \"x\"\n";
  EXPECT_NE(problem(std::string(kHost) + "[[vm]]\nname = \"a\"\n" + vms).find(":9: 2 VMs are to be apart as 'x'"),
            std::string::npos);
  EXPECT_NE(problem(std::string(kHost) + "[[vm]]\nname = \"a*\"\ncpu_cores = { base = 1 }\n").find(":6: 'name'"),
            std::string::npos);
  EXPECT_NE(problem("begins = \"monday\"\n" + std::string(kHost)).find(":1: 'begins'"), std::string::npos);
  EXPECT_NE(problem(std::string(kHost) + "[[vm]]\nname = \"a\"\ncount = 9000\ncpu_cores = { base = 1 }\n" +
                    "[[vm]]\nname = \"b\"\ncount = 9000\ncpu_cores = { base = 1 }\n")
                .find(":11: at most 10000 VMs"),
            std::string::npos);
  write("cpu.csv", "vm,t0,t1\na,1,2\na,2,3\n");
  EXPECT_NE(
      problem(std::string("[traces]\ncpu_cores = \"cpu.csv\"\n") + kHost).find(":2: 'cpu.csv' has the row 'a' twice"),
      std::string::npos);
  write("cpu.csv", "vm,t0,t1\na,1,2\n");
  EXPECT_NE(problem(std::string("[traces]\ncpu_cores = \"cpu.csv\"\n") + kHost + "[[vm]]\nname = \"a\"\n")
                .find(":2: 'cpu.csv' covers 10 min, but history and duration together ask for 2880"),
            std::string::npos);
  EXPECT_EQ(read_scenario_file(write("c.toml", "[traces]\ncpu_cores = \"none.csv\"\n")).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(read_scenario_file(directory_ / "none.toml").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace proteus::simulate::scenario
