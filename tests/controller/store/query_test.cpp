#include "controller/store/query.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/controller/store/shared_store.h"

namespace proteus::store {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// Two hosts with two VMs each, an hour and ten minutes: VM n runs n tenths of a second each second, and has n MiB.
class QueryTest : public SharedStore {
 protected:
  static void SetUpTestSuite() {
    open();
    for (int host = 0; host < 2; ++host) {
      SeriesFeed feed("h" + std::to_string(host + 1));
      std::vector<std::pair<Entity, std::vector<Series>>> entities;
      for (int vm = 1; vm <= 2; ++vm) {
        const int n = 2 * host + vm;
        entities.push_back({vm_entity("vm" + std::to_string(n), uuid(n), {{"group.tier", vm == 1 ? "web" : "db"}}),
                            {{0, Kpi::kEmulatorTimeNs, 0},
                             {0, Kpi::kMemoryResidentBytes, 0},
                             {0, Kpi::kRunQueueLatencyNs, 10},
                             {0, Kpi::kRunQueueLatencyNs, 20}}});
      }
      feed.set_entities(entities);
      append(feed, 4200, [&](int i) {
        std::vector<std::optional<std::int64_t>> values;
        for (int vm = 1; vm <= 2; ++vm) {
          const int n = 2 * host + vm;
          values.insert(values.end(), {i * n * 100'000'000LL, n * kMiB, i * 99LL, i * 1LL});
        }
        return values;
      });
    }
    ASSERT_TRUE(store_->write_pages());
  }

  static Query query(Kpi kpi, Function function) {
    Query query;
    query.selector.kpi = kpi;
    query.function = function;
    query.from = kFullHour + minutes(1);
    query.to = kFullHour + minutes(61);
    return query;
  }
  static std::vector<QueryResult> run(const Query& query) {
    std::vector<QueryResult> lines;
    const auto frame = check(query);
    EXPECT_TRUE(frame) << frame.error().message;
    const Status done = run_query(*store_->series(), query, [&](const QueryResult& line) {
      lines.push_back(line);
      return true;
    });
    EXPECT_TRUE(done) << done.error().message;
    return lines;
  }
  static std::string refusal(const Query& query) {
    const auto frame = check(query);
    return frame ? "" : frame.error().message;
  }
};

TEST_F(QueryTest, EachSeriesHasItsRateWhereverItIsRead) {
  for (const Nanoseconds step : {Nanoseconds(minutes(1)), Nanoseconds(seconds(10)), Nanoseconds(minutes(5))}) {
    Query asked = query(Kpi::kEmulatorTimeNs, Function::kRate);
    asked.step = step;
    const auto lines = run(asked);
    ASSERT_EQ(lines.size(), 4u);
    for (int n = 1; n <= 4; ++n) {
      const QueryResult& line = lines[static_cast<std::size_t>(n - 1)];
      EXPECT_EQ(line.vm, "vm" + std::to_string(n));
      EXPECT_EQ(line.host, HostId(n <= 2 ? "h1" : "h2"));
      for (const auto& point : line.points) {
        ASSERT_TRUE(point);
        EXPECT_NEAR(*point, n * 1e8, 1);
      }
    }
  }
}

TEST_F(QueryTest, SelectsByHostVmAndLabel) {
  Query asked = query(Kpi::kMemoryResidentBytes, Function::kMax);
  asked.selector.vms = {uuid(3)};
  ASSERT_EQ(run(asked).size(), 1u);
  EXPECT_EQ(run(asked)[0].points[7], 3.0 * kMiB);
  asked.selector.hosts = {HostId("h1")};
  EXPECT_TRUE(run(asked).empty());
  asked.selector = {
      .kpi = Kpi::kMemoryResidentBytes, .hosts = {}, .vms = {}, .entity = {}, .labels = {{"group.tier", "db"}}};
  const auto lines = run(asked);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].vm, "vm2");
  EXPECT_EQ(lines[1].vm, "vm4");
}

TEST_F(QueryTest, JoinsGroups) {
  Query asked = query(Kpi::kMemoryResidentBytes, Function::kMean);
  asked.across = Across::kSum;
  auto lines = run(asked);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].members, 4u);
  EXPECT_EQ(lines[0].points[0], 10.0 * kMiB);
  asked.by = {"group.tier"};
  lines = run(asked);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].group.at(0).second, "db");
  EXPECT_EQ(lines[0].points[0], 6.0 * kMiB);
  EXPECT_EQ(lines[1].points[0], 4.0 * kMiB);
  asked.by = {"host"};
  asked.across = Across::kMean;
  lines = run(asked);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].points[5], 1.5 * kMiB);
  EXPECT_EQ(lines[1].points[5], 3.5 * kMiB);
}

// Of what only grows, a page is not read value by value where sums of differences are asked for. A gauge has others,
// and a counter may have grown by more than can be said.
TEST(WhatOnlyGrows, IsNoSumOfDifferencesWhereThatIsNotAsked) {
  const TemporaryDirectory directory;
  auto store = RocksStore::open({.directory = directory / "store"});
  ASSERT_TRUE(store) << store.error().message;
  SeriesFeed feed("h1");
  feed.set_entities(
      {{vm_entity("web", uuid(1), {}), {{0, Kpi::kPageFaultsMinorCount, 0}, {0, Kpi::kMemoryResidentBytes, 0}}}});
  std::vector<RawMessage> messages;
  for (int i = 0; i < 1300; ++i) {
    const std::int64_t counted = i < 35 ? std::numeric_limits<std::int64_t>::min() + i * 1'000
                                        : std::numeric_limits<std::int64_t>::max() - (1300 - i) * 1'000;
    for (RawMessage& message : feed.tick(kFullHour + seconds(i), {counted, i * kMiB})) {
      messages.push_back(std::move(message));
    }
  }
  ASSERT_TRUE((*store)->append(messages));
  ASSERT_TRUE((*store)->write_pages());
  for (const auto& [kpi, function] : {std::pair(Kpi::kPageFaultsMinorCount, Function::kRate),
                                      {Kpi::kPageFaultsMinorCount, Function::kMax},
                                      {Kpi::kMemoryResidentBytes, Function::kMean}}) {
    Query query;
    query.selector.kpi = kpi;
    query.function = function;
    query.across = Across::kSum;
    query.from = kFullHour;
    query.to = kFullHour + minutes(1);
    query.step = seconds(10);
    std::vector<std::optional<double>> points;
    const Status done = run_query(*(*store)->series(), query, [&](const QueryResult& line) {
      points = line.points;
      return true;
    });
    EXPECT_TRUE(done) << done.error().message;
    ASSERT_EQ(points.size(), 6u) << static_cast<int>(function);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const double expected =
          function == Function::kMean ? (10.0 * static_cast<double>(i) + 4.5) * static_cast<double>(kMiB) : 1'000;
      EXPECT_EQ(points[i], expected) << "step " << i << " of function " << static_cast<int>(function);
    }
  }
}

TEST(QueryByVm, TwoVmsOfOneNameAreTwoLines) {
  const TemporaryDirectory directory;
  auto store = RocksStore::open({.directory = directory / "store"});
  ASSERT_TRUE(store);
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web", uuid(2), {}), {{0, Kpi::kMemoryResidentBytes, 0}}},
                     {vm_entity("web", uuid(1), {}), {{0, Kpi::kMemoryResidentBytes, 0}}},
                     {vm_entity("db", uuid(3), {}), {{0, Kpi::kMemoryResidentBytes, 0}}}});
  auto messages = feed.tick(kFullHour, {2 * kMiB, 1 * kMiB, 3 * kMiB});
  ASSERT_TRUE((*store)->append(messages));
  ASSERT_TRUE((*store)->write_pages());
  Query query;
  query.selector.kpi = Kpi::kMemoryResidentBytes;
  query.from = kFullHour;
  query.to = kFullHour + minutes(1);
  query.across = Across::kSum;
  for (const char* by : {"vm", "entity"}) {
    query.by = {by};
    std::vector<std::pair<std::string, double>> lines;  // by name, then by UUID
    ASSERT_TRUE(run_query(*(*store)->series(), query, [&](QueryResult&& line) {
      lines.emplace_back(line.uuid, line.points.at(0).value_or(0));
      return true;
    }));
    EXPECT_EQ(lines, (std::vector<std::pair<std::string, double>>{
                         {uuid(3), 3 * kMiB}, {uuid(1), 1 * kMiB}, {uuid(2), 2 * kMiB}}))
        << by;
  }
}

TEST_F(QueryTest, AHostThatIsNamedTwiceCountsOnce) {
  Query asked = query(Kpi::kMemoryResidentBytes, Function::kMean);
  asked.across = Across::kSum;
  asked.selector.hosts = {HostId("h1"), HostId("h1")};
  const auto lines = run(asked);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].members, 2u);
  EXPECT_EQ(lines[0].points[0], 3.0 * kMiB);
}

TEST_F(QueryTest, GroupsAreOfLabelsThatWhatIsSelectedHas) {
  const SeriesSelector selector{.kpi = Kpi::kMemoryResidentBytes, .hosts = {}, .vms = {}, .entity = {}, .labels = {}};
  EXPECT_TRUE(store_->series()->selection().check_groups(selector, {"vm", "group.tier"}));
  SeriesSelector of_host = selector;
  of_host.kpi = Kpi::kHostCpuTimeNs;
  EXPECT_EQ(store_->series()->selection().check_groups(of_host, {"host", "group.tier"}).error().code,
            ErrorCode::kNotFound)
      << "it is the VMs that have it";
}

TEST_F(QueryTest, HistogramsAreJoinedBucketByBucketOnly) {
  for (const Function function : {Function::kQuantile, Function::kIncrease, Function::kRate}) {
    Query asked = query(Kpi::kRunQueueLatencyNs, function);
    asked.across = Across::kMax;
    EXPECT_EQ(refusal(asked), "run_queue_latency_ns is a histogram: its series are joined by sum, bucket by bucket");
    asked.across = Across::kSum;
    EXPECT_EQ(refusal(asked), "");
  }
}

TEST_F(QueryTest, RanksTheHighest) {
  Query asked = query(Kpi::kEmulatorTimeNs, Function::kRate);
  asked.top = 2;
  const auto lines = run(asked);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].vm, "vm4");
  EXPECT_EQ(lines[1].vm, "vm3");
}

TEST_F(QueryTest, QuantilesComeFromBuckets) {
  Query asked = query(Kpi::kRunQueueLatencyNs, Function::kQuantile);
  asked.quantile = 0.5;
  auto lines = run(asked);
  ASSERT_EQ(lines.size(), 4u);  // one for each VM
  ASSERT_TRUE(lines[0].points[3]);
  EXPECT_NEAR(*lines[0].points[3], 1024 + 1024 * 50.0 / 99, 1e-6);  // 99 in [1024, 2048), 1 in [2^20, 2^21)
  asked.quantile = 1;
  asked.across = Across::kSum;
  lines = run(asked);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].points[3], 2.0 * 1024 * 1024);
}

TEST_F(QueryTest, QuantilesAreGivenOutHostByHost) {
  // What is measured of a host while the first one's lines are taken is in its own: it has not been read yet.
  const TemporaryDirectory directory;
  auto opened = RocksStore::open({.directory = directory / "store"});
  ASSERT_TRUE(opened) << opened.error().message;
  RocksStore& store = **opened;
  std::vector<SeriesFeed> feeds{SeriesFeed("h1"), SeriesFeed("h2"), SeriesFeed("h3")};
  const auto measure = [&](int host, int second, std::int64_t count) {
    std::vector<RawMessage> messages = feeds[static_cast<std::size_t>(host)].tick(kFullHour + seconds(second), {count});
    return store.append(messages) && store.write_pages();
  };
  for (int host = 0; host < 3; ++host) {
    feeds[static_cast<std::size_t>(host)].set_entities(
        {{vm_entity("vm" + std::to_string(host), uuid(host), {}), {{0, Kpi::kRunQueueLatencyNs, 10}}}});
    ASSERT_TRUE(measure(host, 0, 0) && measure(host, 1, 5));
  }
  Query asked = query(Kpi::kRunQueueLatencyNs, Function::kQuantile);
  asked.from = kFullHour;
  asked.to = kFullHour + seconds(3);
  asked.step = seconds(1);
  std::vector<QueryResult> lines;
  const Status done = run_query(*store.series(), asked, [&](const QueryResult& line) {
    if (lines.empty()) {
      EXPECT_TRUE(measure(2, 2, 9));
    }
    lines.push_back(line);
    return true;
  });
  ASSERT_TRUE(done) << done.error().message;
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_FALSE(lines[0].points[2]);
  EXPECT_TRUE(lines[2].points[2]);
}

TEST_F(QueryTest, WhatWasNotMeasuredIsAbsent) {
  Query asked = query(Kpi::kMemoryResidentBytes, Function::kLast);
  asked.from = kFullHour - hours(1);
  asked.to = kFullHour + minutes(2);
  const auto lines = run(asked);
  ASSERT_EQ(lines.size(), 4u);
  ASSERT_EQ(lines[0].points.size(), 62u);
  EXPECT_FALSE(lines[0].points[59]);
  EXPECT_EQ(lines[0].points[60], 1.0 * kMiB);
}

TEST_F(QueryTest, QuestionsThatMakeNoSenseAreAnsweredInASentence) {
  EXPECT_EQ(refusal(query(Kpi::kMemoryResidentBytes, Function::kRate)),
            "memory_resident_bytes is a gauge: it has no rate; ask for mean, min, max, last or p95");
  EXPECT_EQ(refusal(query(Kpi::kEmulatorTimeNs, Function::kLast)),
            "emulator_time_ns is a counter: ask for its rate or increase");
  EXPECT_EQ(refusal(query(Kpi::kEmulatorTimeNs, Function::kQuantile)),
            "emulator_time_ns is no histogram: its p95 is that of the values of a step");
  Query asked = query(Kpi::kEmulatorTimeNs, Function::kRate);
  asked.to = asked.from;
  EXPECT_EQ(refusal(asked), "the time asked for ends before it begins");
  asked.to = asked.from + hours(24 * 365);
  asked.step = seconds(1);
  EXPECT_NE(refusal(asked).find("ask for longer steps"), std::string::npos);
  asked = query(Kpi::kEmulatorTimeNs, Function::kRate);
  asked.by = {"host"};
  EXPECT_NE(refusal(asked).find("sum, mean, min or max"), std::string::npos);
}

TEST(BucketQuantile, InterpolatesWithinABucket) {
  EXPECT_FALSE(bucket_quantile({}, 0.5));
  EXPECT_FALSE(bucket_quantile({0, 0}, 0.5));
  EXPECT_EQ(bucket_quantile({10}, 0.5), 1.0);
  EXPECT_EQ(bucket_quantile({0, 10}, 0), 2.0);
  EXPECT_EQ(bucket_quantile({0, 10}, 1), 4.0);
  EXPECT_EQ(bucket_quantile({5, 0, 5}, 0.75), 6.0);
}

}  // namespace
}  // namespace proteus::store
