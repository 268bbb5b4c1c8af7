#include "controller/ctl/query_command.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controller/ctl/history_command.h"

namespace proteus::ctl {
namespace {

using Json = nlohmann::ordered_json;

TEST(QueryCommand, AsksForWhatWasGiven) {
  SeriesRequest request;
  request.kpi = "cpu_run_time_ns";
  EXPECT_EQ(query_path(request), "/v1/query?kpi=cpu_run_time_ns");
  request.hosts = {"h1", "h 2"};
  request.vms = {"web1", "web2"};
  request.labels = {"group.tier=web"};
  request.by = {"host", "vm"};
  request.across = "sum";
  request.from = "-1h";
  EXPECT_EQ(
      query_path(request),
      "/v1/query?kpi=cpu_run_time_ns&host=h1&host=h%202&vm=web1&vm=web2&label=group.tier%3Dweb&from=-1h&across=sum"
      "&by=host&by=vm");
  SeriesRequest all;
  EXPECT_EQ(export_path(all), "/v1/export");
  all.format = "openmetrics";
  all.kpis = {"vm_state"};
  EXPECT_EQ(export_path(all), "/v1/export?kpi=vm_state&format=openmetrics");
}

TEST(QueryCommand, WhatIsJoinedOrRankedIsAnsweredAtTheEnd) {
  SeriesRequest request;
  request.kpi = "cpu_run_time_ns";
  EXPECT_FALSE(is_answered_at_the_end(request));
  request.across = "sum";
  EXPECT_TRUE(is_answered_at_the_end(request));
  request.across.clear();
  request.top = "10";
  EXPECT_TRUE(is_answered_at_the_end(request));
}

TEST(HistoryCommand, AsksForWhatWasGiven) {
  HistoryRequest request;
  EXPECT_EQ(history_path(request), "/v1/history?limit=200");
  EXPECT_FALSE(request.selects());
  request = {
      .limit = 5, .all = true, .vms = {"web 1"}, .hosts = {"h1", "h2"}, .kinds = {"action"}, .from = "-1d", .to = ""};
  EXPECT_EQ(history_path(request), "/v1/history?limit=5&all=1&vm=web%201&host=h1&host=h2&kind=action&from=-1d");
  EXPECT_TRUE(request.selects());
}

TEST(QueryCommand, PrintsALineForEachSeries) {
  const Json answer = Json::parse(R"({"kpi": "cpu_run_time_ns", "unit": "ns/s", "from": "A", "to": "B", "step_s": 60,
      "lines": [{"host": "h1", "vm": "web1", "kind": "vcpu", "entity": "0", "points": [1000000, null, 3000000]},
                {"group": {"host": "h1"}, "series": 3, "points": [null, null, null]}]})");
  const std::string text = print_query(answer, {});
  EXPECT_EQ(text.substr(0, text.find('\n')), "cpu_run_time_ns in ns/s, A to B, steps of 60.0 s");
  EXPECT_NE(text.find("web1/0"), std::string::npos) << text;
  EXPECT_NE(text.find("1 M"), std::string::npos) << text;
  EXPECT_NE(text.find("2 M"), std::string::npos) << text;
  EXPECT_NE(text.find("3 M"), std::string::npos) << text;
  EXPECT_NE(text.find("host=h1"), std::string::npos) << text;
  EXPECT_EQ(print_query(Json::parse(R"({"lines": []})"), {}), "nothing was measured in that time\n");
}

TEST(QueryCommand, AnIncreaseIsNotShownOfAStepThatIsNotOver) {
  Json answer = Json::parse(R"({"kpi": "cpu_run_time_ns", "unit": "ns", "fn": "increase", "from": "A", "to": "B",
      "step_s": 60, "unfinished_steps": 1, "lines": [{"host": "h1", "vm": "web1", "kind": "vcpu", "entity": "0",
      "points": [4000, 4000, 17]}]})");
  std::string text = print_query(answer, {});
  EXPECT_NE(text.find("steps of 60.0 s; the last is not over yet and left out\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("17"), std::string::npos) << text;
  answer["fn"] = "rate";
  text = print_query(answer, {});
  EXPECT_NE(text.find("steps of 60.0 s; the last is not over yet\n"), std::string::npos) << text;
  EXPECT_NE(text.find("17"), std::string::npos) << text;
  answer["fn"] = "increase";
  answer["unfinished_steps"] = 3;
  text = print_query(answer, {});
  EXPECT_NE(text.find("; the last 3 are not over yet\n"), std::string::npos) << text;
  EXPECT_NE(text.find("17"), std::string::npos) << "it is all there is";
}

TEST(QueryCommand, WhoPreemptedIsNamed) {
  const Json answer = Json::parse(R"({"kpi": "preempted_by_count", "unit": "1/s", "from": "A", "to": "B", "step_s": 60,
      "lines": [{"host": "h1", "vm": "web1", "kind": "vm_pair", "entity": "u-2", "points": [1]},
                {"host": "h1", "vm": "web1", "kind": "vm_pair", "entity": "host", "points": [1]},
                {"host": "h1", "vm": "web1", "kind": "vm_pair", "entity": "u-9", "points": [1]},
                {"group": {"entity": "web1/u-2"}, "points": [1]}]})");
  EXPECT_TRUE(names_vms_by_uuid(answer));
  const std::string text = print_query(answer, {{"u-2", "db1"}});
  for (const char* name : {"web1/db1 ", "web1/host ", "web1/u-9 ", "entity=web1/db1 "}) {
    EXPECT_NE(text.find(name), std::string::npos) << name << "\n" << text;
  }
  EXPECT_EQ(text.find("u-2"), std::string::npos) << text;
  EXPECT_FALSE(names_vms_by_uuid(Json::parse(R"({"lines": [{"kind": "vcpu", "entity": "0", "points": []}]})")));
}

}  // namespace
}  // namespace proteus::ctl
