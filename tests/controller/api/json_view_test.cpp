#include "controller/api/json_view.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <variant>

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

/// Each change of what is journalled is to be seen; the time of a decision or a step is its entry's.
template <typename T, typename... Changes>
void expect_shown(const T& whole, Changes... changes) {
  int number = 0;
  const auto expect = [&](auto change) {
    T changed = whole;
    change(changed);
    const store::JournalEntry before{0, kNow, whole};
    const store::JournalEntry after{0, kNow, changed};
    ++number;
    EXPECT_NE(store::encode(before), store::encode(after)) << "change " << number << " is none";
    EXPECT_NE(to_json(before), to_json(after)) << "change " << number << " of " << to_json(before);
  };
  (expect(changes), ...);
}

constexpr Timestamp kLater = kNow + std::chrono::seconds(1);

/// With the one action that `get` gives of it.
template <typename T, typename Get>
void expect_action_shown(const T& whole, Get get) {
  const auto change = [get](auto how) { return [get, how](T& changed) { how(get(changed)); }; };
  using Action = ham::Action;
  expect_shown(
      whole, change([](Action& a) { a.id = 1; }), change([](Action& a) { a.vm = VmId("x"); }),
      change([](Action& a) { a.host = HostId("x"); }), change([](Action& a) { a.operation = SetVcpus{7}; }),
      change([](Action& a) { a.present_value = 1; }), change([](Action& a) { a.reserve.memory_bytes = 1; }),
      change([](Action& a) { a.reserve.cpu_millicores = 1; }),
      change([](Action& a) { a.automation = ham::Automation::kAutomatic; }), change([](Action& a) { a.reason = "x"; }),
      change([](Action& a) { a.expected_duration = std::chrono::seconds(1); }),
      change([](Action& a) { a.expected_downtime_ms = 1; }), change([](Action& a) { a.expected_wait_ratio = 1; }),
      change([](Action& a) { a.expected_storage_s = 1; }), change([](Action& a) { a.expected_drop_share = 1; }),
      change([](Action& a) { a.after = {1}; }), change([](Action& a) { a.learned = ham::learning::Note(); }));
}

/// With the one note that `get` gives of it.
template <typename T, typename Get>
void expect_note_shown(const T& whole, Get get) {
  using Note = ham::learning::Note;
  const auto change = [get](auto how) { return [get, how](T& changed) { how(get(changed)); }; };
  expect_shown(whole, change([](Note& n) { n.kind = ham::learning::Kind::kMigrate; }),
               change([](Note& n) { n.features[15] = 1; }),
               change([](Note& n) { n.horizon = std::chrono::seconds(1); }),
               change([](Note& n) { n.learned_act = false; }), change([](Note& n) { n.control = true; }),
               change([](Note& n) { n.preferred = false; }));
  for (double Note::*amount :
       {&Note::predicted, &Note::cost, &Note::copied_bytes, &Note::utilisation, &Note::scale, &Note::gain,
        &Note::required, &Note::mean, &Note::deviation, &Note::correction, &Note::propensity}) {
    expect_shown(whole, change([amount](Note& n) { n.*amount = 7; }));
  }
}

// replay --diff printed two equal entries for a real difference.
TEST(JournalledOutputs, ShowAllOfADecision) {
  ham::Decision whole;
  whole.chosen.actions.resize(1);
  whole.alternatives.resize(1);
  whole.rejections.resize(1);
  whole.outlooks.resize(1);
  whole.power.resize(1);
  whole.helpers.resize(1);
  whole.learning.present = true;
  whole.learning.opinion.emplace().examined = true;
  using Decision = ham::Decision;
  expect_shown(
      whole, [](Decision& d) { d.id = 1; }, [](Decision& d) { d.policy = "x"; },
      [](Decision& d) { d.chosen.label = "x"; }, [](Decision& d) { d.chosen.score.performance = 1; },
      [](Decision& d) { d.do_nothing.label = "x"; }, [](Decision& d) { d.do_nothing.score.utilisation = 1; },
      [](Decision& d) { d.alternatives[0].score.cost = 1; }, [](Decision& d) { d.alternatives[0].score.latency = 1; },
      [](Decision& d) { d.alternatives[0].actions.resize(1); }, [](Decision& d) { d.rejections[0].candidate = "x"; },
      [](Decision& d) { d.rejections[0].rule = "x"; }, [](Decision& d) { d.rejections[0].reason = "x"; },
      [](Decision& d) { d.summary = "x"; }, [](Decision& d) { d.emptying = {HostId("x")}; },
      [](Decision& d) { d.power[0].host = HostId("x"); }, [](Decision& d) { d.power[0].awake = false; },
      [](Decision& d) { d.power[0].reason = "x"; }, [](Decision& d) { d.learning.present = false; });
  expect_shown(
      whole, [](Decision& d) { d.outlooks[0].vm = VmId("x"); }, [](Decision& d) { d.outlooks[0].host = HostId("x"); },
      [](Decision& d) { d.outlooks[0].cpu_window_max.p10 = 1; },
      [](Decision& d) { d.outlooks[0].cpu_window_max.p50 = 1; },
      [](Decision& d) { d.outlooks[0].cpu_window_max.p90 = 1; },
      [](Decision& d) { d.outlooks[0].cpu_window_max.p95 = 1; },
      [](Decision& d) { d.outlooks[0].cpu_window_max.p99 = 1; }, [](Decision& d) { d.outlooks[0].cpu_limit_cores = 1; },
      [](Decision& d) { d.outlooks[0].model = "x"; }, [](Decision& d) { d.outlooks[0].until_limit = Nanoseconds(1); },
      [](Decision& d) { d.helpers[0].vm = VmId("x"); }, [](Decision& d) { d.helpers[0].host = HostId("x"); },
      [](Decision& d) { d.helpers[0].start = false; }, [](Decision& d) { d.helpers[0].reason = "x"; },
      [](Decision& d) { d.helpers[0].gain = 1; },
      [](Decision& d) { d.helpers[0].automation = ham::Automation::kAutomatic; });
  expect_shown(
      whole, [](Decision& d) { d.learning.acting = true; }, [](Decision& d) { d.learning.revision = 1; },
      [](Decision& d) { d.learning.held.resize(1); }, [](Decision& d) { d.learning.corrected = 1; },
      [](Decision& d) { d.learning.rules_alone = "x"; }, [](Decision& d) { d.learning.opinion.reset(); },
      [](Decision& d) { d.learning.opinion->vm = VmId("x"); }, [](Decision& d) { d.learning.opinion->label = "x"; },
      [](Decision& d) { d.learning.opinion->examined = false; },
      [](Decision& d) { d.learning.opinion->occasion = true; });
  expect_action_shown(whole, [](Decision& d) -> ham::Action& { return d.chosen.actions[0]; });
  expect_note_shown(whole, [](Decision& d) -> ham::learning::Note& { return d.learning.opinion->note; });
}

TEST(JournalledOutputs, ShowAllOfAnActionAndItsSteps) {
  using Record = drs::ActionRecord;
  Record whole;
  whole.progress.emplace();
  whole.transitions.resize(1);
  expect_shown(
      whole, [](Record& r) { r.decision = 1; }, [](Record& r) { r.prerequisites = {1}; },
      [](Record& r) { r.state = drs::ActionState::kSent; }, [](Record& r) { r.term = 1; },
      [](Record& r) { r.intended_at = kLater; }, [](Record& r) { r.trigger_time = kLater; },
      [](Record& r) { r.deadline = kLater; }, [](Record& r) { r.command = 1; },
      [](Record& r) { r.executed_at = kLater; }, [](Record& r) { r.ended_at = kLater; },
      [](Record& r) { r.progress.reset(); }, [](Record& r) { r.progress->bytes_processed = 1; },
      [](Record& r) { r.progress->bytes_remaining = 1; }, [](Record& r) { r.progress->bytes_total = 1; },
      [](Record& r) { r.progress->dirty_bytes_per_s = 1; }, [](Record& r) { r.progress->downtime_ms = 1; },
      [](Record& r) { r.message = "x"; }, [](Record& r) { r.transitions.clear(); });
  expect_action_shown(whole, [](Record& r) -> ham::Action& { return r.action; });
  using Transition = drs::Transition;
  expect_shown(
      Transition(), [](Transition& t) { t.action = 1; }, [](Transition& t) { t.from = drs::ActionState::kSent; },
      [](Transition& t) { t.to = drs::ActionState::kSent; }, [](Transition& t) { t.agent_time = kLater; },
      [](Transition& t) { t.message = "x"; }, [](Transition& t) { t.command = 1; },
      [](Transition& t) { t.deadline = kLater; }, [](Transition& t) { t.trigger = kLater; });
}

TEST(JournalledOutputs, ShowAllOfACommand) {
  const auto with = [](auto operation) {
    Command command;
    command.operation = operation;
    return command;
  };
  expect_shown(
      Command(), [](Command& c) { c.id = 1; }, [](Command& c) { c.action = 1; }, [](Command& c) { c.term = 1; },
      [](Command& c) { c.controller = "x"; }, [](Command& c) { c.host = HostId("x"); },
      [](Command& c) { c.vm = VmId("x"); }, [](Command& c) { c.issued = kLater; },
      [](Command& c) { c.deadline = kLater; }, [](Command& c) { c.require_running = false; },
      [](Command& c) { c.require_value = 0; },
      [&](Command& c) {
        c = with(SetCpuQuota{1, 100000});
      },
      [&](Command& c) {
        c = with(SetCpuQuota{-1, 1});
      },
      [&](Command& c) { c = with(Inspect{}); });
  expect_shown(with(SetCpuShares{1}), [&](Command& c) { c = with(SetCpuShares{2}); });
  expect_shown(with(SetVcpus{1}), [&](Command& c) { c = with(SetVcpus{2}); });
  expect_shown(with(SetMemory{1}), [&](Command& c) { c = with(SetMemory{2}); });
  expect_shown(
      with(Reserve{1, 1}),
      [&](Command& c) {
        c = with(Reserve{2, 1});
      },
      [&](Command& c) {
        c = with(Reserve{1, 2});
      });
  expect_shown(with(Release{1}), [&](Command& c) { c = with(Release{2}); });
  expect_shown(with(Abort{1}), [&](Command& c) { c = with(Abort{2}); });
  const auto move = [](auto how) { return [how](Command& c) { how(std::get<Migrate>(c.operation)); }; };
  expect_shown(with(Migrate()), move([](Migrate& m) { m.target = HostId("x"); }),
               move([](Migrate& m) { m.target_libvirt_uri = "x"; }), move([](Migrate& m) { m.migrate_uri = "x"; }),
               move([](Migrate& m) { m.bandwidth_bytes_per_s = 1; }), move([](Migrate& m) { m.downtime_ms_max = 1; }),
               move([](Migrate& m) { m.auto_converge = false; }), move([](Migrate& m) { m.post_copy_allowed = true; }));
}

TEST(JournalledOutputs, ShowAllOfAnOutcome) {
  using Outcome = ham::learning::Outcome;
  expect_shown(
      Outcome(), [](Outcome& o) { o.action = 1; }, [](Outcome& o) { o.vm = VmId("x"); },
      [](Outcome& o) { o.realised = 1; }, [](Outcome& o) { o.weight = 2; }, [](Outcome& o) { o.difference = 1; },
      [](Outcome& o) { o.lower = 1; }, [](Outcome& o) { o.acting = true; }, [](Outcome& o) { o.revision = 1; });
  expect_note_shown(Outcome(), [](Outcome& o) -> ham::learning::Note& { return o.note; });
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
