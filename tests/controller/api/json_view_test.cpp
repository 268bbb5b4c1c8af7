#include "controller/api/json_view.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

namespace proteus::api {
namespace {

constexpr Timestamp kNow = from_unix_ns(1'769'847'330'123'000'000);

TEST(Time, IsRfc3339InUtc) {
  EXPECT_EQ(to_rfc3339(kNow), "2026-01-31T08:15:30.123Z");
  EXPECT_EQ(to_rfc3339(from_unix_ns(-1'000'000)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(to_rfc3339(from_unix_ns(-1'000'000'000)), "1969-12-31T23:59:59.000Z");
  EXPECT_EQ(to_rfc3339(from_unix_ns(std::numeric_limits<std::int64_t>::min())), "1677-09-21T00:12:43.145Z");
  EXPECT_EQ(to_rfc3339(from_unix_ns(std::numeric_limits<std::int64_t>::max())), "2262-04-11T23:47:16.854Z");
}

TEST(Time, IsReadInEveryFormThatIsDocumented) {
  EXPECT_EQ(*parse_time("2026-01-31T08:15:30.123Z", {}), kNow);
  EXPECT_EQ(*parse_time("2026-01-31T08:15:30Z", {}), kNow - std::chrono::milliseconds(123));
  EXPECT_EQ(*parse_time("2026-01-31T09:15:30.123+01:00", {}), kNow);
  EXPECT_EQ(*parse_time("2026-01-31T02:45:30.123-05:30", {}), kNow);
  EXPECT_EQ(*parse_time("1769847330.123", {}), kNow);
  EXPECT_EQ(*parse_time("now", kNow), kNow);
  EXPECT_EQ(*parse_time("-15m", kNow), kNow - std::chrono::minutes(15));
  EXPECT_EQ(to_rfc3339(*parse_time("2026-01-31", kNow)), "2026-01-31T00:00:00.000Z");
  for (const char* wrong : {"", "yesterday", "-", "-15", "2026-02-30", "2026-13-01", "2026-1-31", "2026-01-31Z",
                            "2026-01-31T08:15:30", "12x", "1e9", "-1e2s", "2026-01-31T08:15:30.5e400Z"}) {
    EXPECT_FALSE(parse_time(wrong, kNow)) << wrong;
  }
  for (const char* beyond : {"9999-01-01", "1600-01-01", "9999-01-01T00:00:00Z", "-9999999w", "9e9"}) {
    EXPECT_FALSE(parse_time(beyond, kNow)) << beyond;
  }
}

TEST(Score, IsShownAsTheSumThatItIs) {
  const Json json = to_json(ham::ScoreTerms{-3, -1, 0.5, 0.25});
  EXPECT_DOUBLE_EQ(json["total"].get<double>(), -4.75);
  EXPECT_DOUBLE_EQ(json["performance"].get<double>() + json["utilisation"].get<double>() - json["cost"].get<double>() -
                       json["latency"].get<double>(),
                   json["total"].get<double>());
}

TEST(Decisions, TellOfHelpers) {
  ham::Decision decision;
  decision.helpers.push_back({VmId("u1"), HostId("h2"), true, "it is slow", 1.5, ham::Automation::kApprove});
  const Json json = to_json(decision);
  ASSERT_EQ(json["helpers"].size(), 1u);
  EXPECT_EQ(json["helpers"][0], Json({{"vm", "u1"},
                                      {"host", "h2"},
                                      {"start", true},
                                      {"reason", "it is slow"},
                                      {"gain", 1.5},
                                      {"automation", "approve"}}));
}

TEST(Hosts, ShowTheWaitFactorOnceItIsKnown) {
  auto state = std::make_shared<ham::ClusterState>();
  state->hosts.resize(2);
  state->hosts[1].fingerprint.wait_factor = profile::ResponseCurve({{0.75, 1.5, 90, 0.25}});
  Snapshot snapshot;
  snapshot.state = state;
  const Json hosts = hosts_json(snapshot);
  EXPECT_EQ(hosts[0]["fingerprint"]["wait_factor"], Json::array());
  EXPECT_EQ(hosts[1]["fingerprint"]["wait_factor"],
            Json::array({{{"utilisation", 0.75}, {"factor", 1.5}, {"error", 0.25}, {"weight_s", 90.0}}}));
}

TEST(Hosts, ForecastIsTheSumOfItsVmsAndItsOverhead) {
  auto state = std::make_shared<ham::ClusterState>();
  ham::HostState host;
  host.id = HostId("h1");
  host.fingerprint.cpu_capacity_cores = 2;
  host.cpu_overhead_cores = 0.1;
  state->hosts.push_back(host);
  for (const double p90 : {0.5, 3.0}) {
    ham::VmState vm;
    vm.id = VmId("u" + std::to_string(p90));
    vm.name = "v";
    vm.host = host.id;
    vm.forecasts[forecast::Resource::kCpu].window_max = {0.05, 0.1, p90, p90, 3.5};
    state->vms.push_back(vm);
  }
  Snapshot snapshot;
  snapshot.state = state;
  const Json hosts = hosts_json(snapshot);
  EXPECT_NEAR(hosts[0]["cpu"]["forecast_p90_cores"].get<double>(), 1.6, 1e-12) << "no VM wants more than its vCPUs";
  EXPECT_EQ(hosts[0]["vms"].size(), 2u);
  EXPECT_TRUE(vms_json(snapshot)[0]["unmovable"].is_null());
}

TEST(Vms, AreNotShownToWantMoreThanTheirVcpusCanRun) {
  auto state = std::make_shared<ham::ClusterState>();
  ham::VmState& vm = state->vms.emplace_back();
  vm.allocation.vcpus = 2;
  vm.allocation.vcpus_max = 4;
  vm.forecasts[forecast::Resource::kCpu].window_max = {0.5, 1.0, 3.5, 4.5, 9.0};
  vm.forecasts[forecast::Resource::kMemory].window_max = {1e9, 1e9, 1e9, 1e9, 1e9};
  Snapshot snapshot;
  snapshot.state = state;
  EXPECT_TRUE(vms_json(snapshot)[0]["forecasts"].empty()) << "of what was never measured";
  EXPECT_TRUE(vms_json(snapshot)[0]["signature"].is_null());
  vm.served.emplace();
  EXPECT_TRUE(vms_json(snapshot)[0]["signature"].is_object());
  Json forecasts = vms_json(snapshot)[0]["forecasts"];
  EXPECT_EQ(forecasts["cpu"]["window_max"],
            Json({{"p10", 0.5}, {"p50", 1.0}, {"p90", 3.5}, {"p95", 4.0}, {"p99", 4.0}}));
  EXPECT_EQ(forecasts["memory"]["window_max"]["p90"], 1e9);
  EXPECT_EQ(state->vms[0].forecasts[forecast::Resource::kCpu].window_max.p99, 9.0) << "what is decided by stays";
  vm.allocation = {};
  vm.cpu_used_cores = 3;
  forecasts = vms_json(snapshot)[0]["forecasts"];
  EXPECT_EQ(forecasts["cpu"]["window_max"]["p90"], 3.0) << "its vCPUs are not known yet";
}

TEST(Vms, AllocationIsNullUntilLibvirtHasToldOfIt) {
  auto state = std::make_shared<ham::ClusterState>();
  ham::Allocation& allocation = state->vms.emplace_back().allocation;
  Snapshot snapshot;
  snapshot.state = state;
  Json vm = vms_json(snapshot)[0];
  ASSERT_EQ(vm["allocation"].size(), 8u);
  for (const char* figure : {"vcpus", "vcpus_max", "cpu_quota_us", "cpu_period_us", "cpu_shares", "cpu_limit_cores",
                             "memory_bytes", "memory_max_bytes"}) {
    ASSERT_TRUE(vm["allocation"].contains(figure)) << figure;
    EXPECT_TRUE(vm["allocation"][figure].is_null()) << figure << ": what is assumed is not told";
  }
  EXPECT_TRUE(vm["cpu"]["limit_cores"].is_null());

  allocation = {.vcpus = 2,
                .vcpus_max = 4,
                .cpu_quota_us = 50'000,
                .cpu_period_us = 100'000,
                .cpu_shares = 2048,
                .memory_bytes = 0,
                .memory_max_bytes = 4096};
  vm = vms_json(snapshot)[0];
  EXPECT_EQ(vm["allocation"], Json({{"vcpus", 2},
                                    {"vcpus_max", 4},
                                    {"cpu_quota_us", 50'000},
                                    {"cpu_period_us", 100'000},
                                    {"cpu_shares", 2048},
                                    {"cpu_limit_cores", 1.0},
                                    {"memory_bytes", nullptr},
                                    {"memory_max_bytes", 4096}}));
  EXPECT_EQ(vm["cpu"]["limit_cores"], 1.0);
  allocation.memory_bytes = 1024;
  allocation.memory_max_bytes = 0;
  vm = vms_json(snapshot)[0];
  EXPECT_EQ(vm["allocation"]["vcpus"], 2) << "either amount of memory tells that there is a word of it";
  EXPECT_EQ(vm["allocation"]["memory_bytes"], 1024);
  EXPECT_TRUE(vm["allocation"]["memory_max_bytes"].is_null());
}

TEST(Vms, WhatWasNeverMeasuredIsNullAndOneOfASilentHostIsNotFresh) {
  auto state = std::make_shared<ham::ClusterState>();
  state->hosts.resize(1);
  state->hosts[0].id = HostId("h1");
  state->vms.resize(1);
  state->vms[0].host = HostId("h1");
  Snapshot snapshot;
  snapshot.state = state;
  Json vm = vms_json(snapshot)[0];
  for (const char* figure : {"used_cores", "demand_cores", "run_queue_wait_ratio", "throttled_ratio"}) {
    EXPECT_TRUE(vm["cpu"][figure].is_null()) << figure;
  }
  EXPECT_FALSE(vm["fresh"].get<bool>());
  state->hosts[0].fresh = true;
  state->vms[0].served.emplace();
  vm = vms_json(snapshot)[0];
  EXPECT_EQ(vm["cpu"]["used_cores"], 0.0) << "it was, and used none";
  EXPECT_TRUE(vm["fresh"].get<bool>());
  EXPECT_TRUE(hosts_json(snapshot)[0]["fresh"].get<bool>());
  snapshot.ingest_problem = "disk full";
  EXPECT_FALSE(vms_json(snapshot)[0]["fresh"].get<bool>()) << "nothing comes in";
  EXPECT_FALSE(hosts_json(snapshot)[0]["fresh"].get<bool>());
  EXPECT_EQ(status_json(snapshot)["hosts"]["fresh"], 0);
}

}  // namespace
}  // namespace proteus::api
