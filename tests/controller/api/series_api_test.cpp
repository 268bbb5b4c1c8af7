#include <gtest/gtest.h>
#include <httplib.h>

#include <nlohmann/json.hpp>

#include "controller/api/json_view.h"
#include "controller/api/series_query.h"
#include "controller/api/server.h"
#include "controller/store/rocks_store.h"
#include "tests/controller/api/store_backend.h"
#include "tests/controller/store/series_feed.h"
#include "tests/temporary_directory.h"

namespace proteus::api {
namespace {

using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'006'400'000'000'000);  // 2023-11-15T00:00:00Z

class SeriesApi : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = store::RocksStore::open({.directory = directory_ / "store"});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
    store::SeriesFeed feed("h1");
    feed.set_entities(
        {{store::vm_entity("we,b\"1", "00000000-0000-4000-8000-000000000001"),
          {{0, Kpi::kMemoryResidentBytes, 0}, {0, Kpi::kRunQueueLatencyNs, 4}, {0, Kpi::kRunQueueLatencyNs, 6}}}});
    std::vector<store::RawMessage> messages;
    for (int i = 0; i < 180; ++i) {
      for (auto& message : feed.tick(kStart + seconds(i), {4096 * (i / 60), i, 2 * i}))
        messages.push_back(std::move(message));
    }
    ASSERT_TRUE(store_->append(messages));
    ASSERT_TRUE(store_->write_pages());
    backend_ = std::make_unique<StoreBackend>(*store_);
    ServerOptions options;
    options.port = 0;
    options.token = "token";
    clock_ = std::make_unique<VirtualClock>(kStart + seconds(180));
    auto server = Server::start(options, *backend_, *clock_);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    client_ = std::make_unique<httplib::Client>("127.0.0.1", server_->port());
    client_->set_bearer_token_auth("token");
  }
  std::string get(const std::string& path, int status = 200) {
    const auto answer = client_->Get(path.c_str());
    if (!answer) return "no answer";
    EXPECT_EQ(answer->status, status) << answer->body;
    return answer->body;
  }
  std::string error(const std::string& path) { return Json::parse(get(path, 400))["error"]["message"]; }

  TemporaryDirectory directory_;
  std::unique_ptr<store::RocksStore> store_;
  std::unique_ptr<StoreBackend> backend_;
  std::unique_ptr<VirtualClock> clock_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(SeriesApi, AnswersByStep) {
  const Json answer = Json::parse(get("/v1/query?kpi=memory_resident_bytes&from=-3m&step=1m&fn=max"));
  EXPECT_EQ(answer["unit"], "bytes");
  EXPECT_EQ(answer["from"], "2023-11-15T00:00:00.000Z");
  EXPECT_EQ(answer["step_s"], 60.0);
  ASSERT_EQ(answer["lines"].size(), 1u);
  EXPECT_EQ(answer["lines"][0]["host"], "h1");
  EXPECT_EQ(answer["lines"][0]["vm"], "we,b\"1");
  EXPECT_EQ(answer["lines"][0]["points"], Json({0.0, 4096.0, 8192.0}));
}

TEST_F(SeriesApi, CountsTheStepsThatAreNotOver) {
  const auto unfinished = [&](const std::string& asked) {
    return Json::parse(get("/v1/query?kpi=memory_resident_bytes&step=1m&" + asked))["unfinished_steps"].get<int>();
  };
  EXPECT_EQ(unfinished("from=-3m"), 0) << "the last ends now";
  clock_->set(kStart + seconds(181));
  EXPECT_EQ(unfinished("from=-3m"), 1);
  EXPECT_EQ(unfinished("from=-3m&to=-2m"), 0);
  EXPECT_EQ(unfinished("from=-3m&to=1700006700"), 2) << "from 1700006580 on";
  EXPECT_EQ(unfinished("from=1700008200&to=1700008500"), 5) << "all lie ahead";
  EXPECT_EQ(Json::parse(get("/v1/query?kpi=run_queue_latency_ns&fn=increase"))["fn"], "increase");
}

TEST_F(SeriesApi, GroupsAndLeavesOutWhatWasNotMeasured) {
  const Json answer = Json::parse(get("/v1/query?kpi=memory_resident_bytes&from=-5m&step=1m&across=sum&by=host"));
  ASSERT_EQ(answer["lines"].size(), 1u);
  EXPECT_EQ(answer["lines"][0]["group"]["host"], "h1");
  EXPECT_TRUE(answer["lines"][0]["points"][0].is_null());
  EXPECT_TRUE(Json::parse(get("/v1/query?kpi=memory_resident_bytes&entity=nobody"))["lines"].empty());
}

TEST_F(SeriesApi, TheHistoryOfAVmThatIsGoneIsFoundByItsName) {
  EXPECT_TRUE(Json::parse(get("/v1/history?vm=we%2Cb%221")).empty());
  EXPECT_NE(get("/v1/history?vm=nobody", 404).find("there is no VM 'nobody'"), std::string::npos);
}

TEST_F(SeriesApi, SaysWhatIsWrongWithAQuestion) {
  EXPECT_EQ(error("/v1/query"), "'' is no KPI; proteusctl kpis lists them");
  EXPECT_NE(error("/v1/query?kpi=memory_resident_bytes&fn=rate").find("is a gauge"), std::string::npos);
  EXPECT_NE(error("/v1/query?kpi=memory_resident_bytes&step=soon").find("'soon'"), std::string::npos);
  EXPECT_NE(error("/v1/query?kpi=memory_resident_bytes&label=x").find("KEY=VALUE"), std::string::npos);
  for (const char* same : {"label=a=b&label=a=c", "label=a%3Db&label=a%3Dc"}) {
    EXPECT_EQ(error(std::string("/v1/query?kpi=memory_resident_bytes&") + same),
              "label: 'a' is asked for twice, and has one value");
  }
  EXPECT_NE(get("/v1/query?kpi=memory_resident_bytes&label=a=b=c", 404).find("has a label 'a'"), std::string::npos);
  EXPECT_NE(error("/v1/query?kpi=memory_resident_bytes&across=product").find("sum, mean, min, max"), std::string::npos);
  EXPECT_NE(error("/v1/query?kpi=memory_resident_bytes&top=0").find("top is from 1"), std::string::npos);
  EXPECT_NE(error("/v1/export?format=xml").find("csv, openmetrics, arrow"), std::string::npos);
}

TEST_F(SeriesApi, WhatIsMisspeltDoesNotSelectEverything) {
  EXPECT_EQ(error("/v1/query?kpi=memory_resident_bytes&hots=h1"), "'hots' is no parameter of /v1/query");
  EXPECT_EQ(error("/v1/query?kpi=memory_resident_bytes&step=1m&step=2m"), "step is given more than once");
  EXPECT_EQ(error("/v1/export?kpi=memory_resident_bytes&step=1m"), "'step' is no parameter of /v1/export");
  EXPECT_EQ(error("/v1/record?hosts=h1"), "'hosts' is no parameter of /v1/record");
}

TEST_F(SeriesApi, AVmOfWhichNothingIsStoredIsSaidToBeThat) {
  for (const char* path : {"/v1/query", "/v1/export"}) {
    const std::string asked = std::string(path) + "?kpi=memory_resident_bytes&vm=nobody";
    EXPECT_EQ(Json::parse(get(asked, 404))["error"]["message"], "nothing is stored of a VM 'nobody'");
  }
}

TEST_F(SeriesApi, SeveralVmsMayBeNamed) {
  const std::string vms = "vm=we%2Cb%221&vm=00000000-0000-4000-8000-000000000001";
  const std::string once = "vm=00000000-0000-4000-8000-000000000001";
  for (const std::string path : {"/v1/query?kpi=memory_resident_bytes&from=-3m&step=1m&", "/v1/export?"}) {
    EXPECT_EQ(get(path + vms), get(path + once));
    EXPECT_NE(get(path + vms + "&vm=nobody", 404).find("nothing is stored of a VM 'nobody'"), std::string::npos);
  }
  const std::string joined = "/v1/query?kpi=memory_resident_bytes&from=-3m&step=1m&across=mean&";
  EXPECT_EQ(get(joined + vms), get(joined + once)) << "it counts once";
}

TEST_F(SeriesApi, ALabelThatNothingHasIsSaidToBeThat) {
  const std::string asked = "/v1/query?kpi=memory_resident_bytes&across=sum&by=host&by=";
  EXPECT_EQ(Json::parse(get(asked + "colour", 404))["error"]["message"],
            "nothing that is asked for has a label 'colour'; series are grouped by entity, host, vm");
  EXPECT_EQ(Json::parse(get(asked + "entity"))["lines"].size(), 1u);
}

TEST_F(SeriesApi, AHostOfWhichNothingIsStoredIsSaidToBeThat) {
  for (const char* path : {"/v1/query?kpi=memory_resident_bytes&", "/v1/export?", "/v1/record?"}) {
    const std::string asked = std::string(path) + "host=h1&host=elsewhere";
    EXPECT_EQ(Json::parse(get(asked, 404))["error"]["message"], "nothing is stored of a host 'elsewhere'");
  }
}

TEST_F(SeriesApi, ATimeThatRunsBackwardsIsRefused) {
  for (const char* path : {"/v1/export", "/v1/record"}) {
    EXPECT_EQ(error(std::string(path) + "?from=1700006402&to=1700006401"),
              "from 2023-11-15T00:00:02.000Z is not before to 2023-11-15T00:00:01.000Z");
  }
  EXPECT_EQ(error("/v1/record?from=2030-01-01T00:00:00Z"), "from 2030-01-01T00:00:00.000Z lies ahead");
}

TEST_F(SeriesApi, ExportsCsv) {
  const std::string text = get("/v1/export?kpi=memory_resident_bytes&from=1700006460&to=1700006462");
  EXPECT_EQ(text,
            "time_s,host,vm,uuid,kind,entity,kpi,bucket,value,entity_name\r\n"
            "1700006460.000000,h1,\"we,b\"\"1\",00000000-0000-4000-8000-000000000001,vm,\"we,b\"\"1\","
            "memory_resident_bytes,,4096,\r\n"
            "1700006461.000000,h1,\"we,b\"\"1\",00000000-0000-4000-8000-000000000001,vm,\"we,b\"\"1\","
            "memory_resident_bytes,,4096,\r\n");
}

TEST_F(SeriesApi, AnExportSaysInItsHeadThatItHoldsNoValue) {
  const auto says_nothing = [&](const std::string& selected) {
    const auto answer = client_->Get("/v1/export?" + selected);
    EXPECT_TRUE(answer && answer->status == 200) << selected;
    return answer && answer->get_header_value(kNothingMeasuredHeader) == "yes";
  };
  EXPECT_TRUE(says_nothing("kpi=memory_resident_bytes&from=-1d&to=-1h"));
  EXPECT_TRUE(says_nothing("kpi=cpu_run_time_ns"));
  EXPECT_TRUE(says_nothing("entity=nobody"));
  EXPECT_FALSE(says_nothing("kpi=cpu_run_time_ns&kpi=memory_resident_bytes"));
  EXPECT_FALSE(says_nothing("from=0&to=1700006401")) << "what lies far before the end is found, too";
}

TEST_F(SeriesApi, ExportsOpenMetrics) {
  const std::string text = get(
      "/v1/export?format=openmetrics&kpi=memory_resident_bytes&kpi=run_queue_latency_ns&from=1700006460&to=1700006461");
  EXPECT_EQ(text,
            "# TYPE proteus_memory_resident_bytes gauge\n"
            "# HELP proteus_memory_resident_bytes task mm rss_stat, and hugetlb_usage\n"
            "proteus_memory_resident_bytes{host=\"h1\",kind=\"vm\",entity=\"we,b\\\"1\",vm=\"we,b\\\"1\","
            "uuid=\"00000000-0000-4000-8000-000000000001\"} 4096 1700006460.000000\n"
            "# TYPE proteus_run_queue_latency_ns histogram\n"
            "# HELP proteus_run_queue_latency_ns sched_switch, step of sched_info.run_delay\n"
            "proteus_run_queue_latency_ns_bucket{host=\"h1\",kind=\"vm\",entity=\"we,b\\\"1\",vm=\"we,b\\\"1\","
            "uuid=\"00000000-0000-4000-8000-000000000001\",le=\"31.0\"} 60 1700006460.000000\n"
            "proteus_run_queue_latency_ns_bucket{host=\"h1\",kind=\"vm\",entity=\"we,b\\\"1\",vm=\"we,b\\\"1\","
            "uuid=\"00000000-0000-4000-8000-000000000001\",le=\"127.0\"} 180 1700006460.000000\n"
            "proteus_run_queue_latency_ns_bucket{host=\"h1\",kind=\"vm\",entity=\"we,b\\\"1\",vm=\"we,b\\\"1\","
            "uuid=\"00000000-0000-4000-8000-000000000001\",le=\"+Inf\"} 180 1700006460.000000\n"
            "# EOF\n");
}

TEST_F(SeriesApi, ExportsArrow) {
  const auto answer = client_->Get("/v1/export?format=arrow&kpi=memory_resident_bytes&from=1700006460&to=1700006462");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->get_header_value("Content-Type"), "application/vnd.apache.arrow.file");
  EXPECT_TRUE(answer->body.starts_with("ARROW1"));  // what is in it: arrow_file_test.cpp
  EXPECT_TRUE(answer->body.ends_with("ARROW1"));
  EXPECT_NE(answer->body.find("memory_resident_bytesmemory_resident_bytes"), std::string::npos);  // two rows of one KPI
}

TEST_F(SeriesApi, SaysHowManySeriesAJoinedLineJoinsAndOfNoOther) {
  const std::string range = "&from=1700006400&to=1700006460&step=10s";
  const auto lines = [&](const std::string& what) {
    return Json::parse(get("/v1/query?kpi=" + what + range))["lines"];
  };
  EXPECT_EQ(lines("memory_resident_bytes&across=sum")[0]["series"], 1) << "also if it is one";
  EXPECT_EQ(lines("run_queue_latency_ns&across=sum")[0]["series"], 2) << "buckets";
  EXPECT_FALSE(lines("memory_resident_bytes")[0].contains("series"));
  EXPECT_FALSE(lines("run_queue_latency_ns")[0].contains("series"));
}

TEST_F(SeriesApi, ALabelThatNothingHasIsNoEmptyAnswer) {
  for (const char* route : {"/v1/query?kpi=memory_resident_bytes", "/v1/export?format=csv&kpi=memory_resident_bytes"}) {
    const Json answer = Json::parse(get(std::string(route) + "&label=tier%3Dweb", 404));
    EXPECT_EQ(answer["error"]["message"], "nothing that is asked for has a label 'tier', or any") << route;
  }
}

TEST(ParseRange, IsTheHourBeforeItsEndUnlessItSaysMore) {
  const Timestamp now = kStart;
  const auto range = [&](const std::string& from, const std::string& to) {
    return *parse_range(
        [&](const char* name) {
          const std::string& text = std::string_view(name) == "from" ? from : to;
          return text.empty() ? std::vector<std::string>() : std::vector<std::string>{text};
        },
        now);
  };
  using std::chrono::hours;
  EXPECT_EQ(range("", ""), std::pair(now - hours(1), now));
  EXPECT_EQ(range("", "-1h"), std::pair(now - hours(2), now - hours(1)));
  EXPECT_EQ(range("-3h", ""), std::pair(now - hours(3), now));
  EXPECT_EQ(range("-3h", "-2h"), std::pair(now - hours(3), now - hours(2)));
}

TEST(ParseStep, TakesUnits) {
  EXPECT_EQ(*parse_step("0.7d"), std::chrono::seconds(60480)) << "which is none of doubles";
  EXPECT_EQ(*parse_step("1025ms"), std::chrono::milliseconds(1025));
  EXPECT_EQ(*parse_step("90"), seconds(90));
  EXPECT_EQ(*parse_step("5m"), seconds(300));
  EXPECT_EQ(*parse_step("0.5s"), std::chrono::milliseconds(500));
  EXPECT_EQ(*parse_step("500ms"), std::chrono::milliseconds(500));
  EXPECT_EQ(*parse_step("1d"), std::chrono::hours(24));
  for (const char* text : {"", "m", "ms", "0.1ms", "-1s", "0", "1y", "1e9d"}) EXPECT_FALSE(parse_step(text)) << text;
}

}  // namespace
}  // namespace proteus::api
