#include "controller/store/moved_series.h"

#include <gtest/gtest.h>

#include "tests/controller/store/shared_store.h"

namespace proteus::store {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(MovedVm, IsOneSeriesInTheStepInWhichItMoved) {
  const TemporaryDirectory directory;
  auto store = RocksStore::open({.directory = directory / "store"});
  ASSERT_TRUE(store) << store.error().message;
  // It runs half of each second, has 8 MiB, and is on h1 until 90 s, on h2 from 85 s on; another stays on h1.
  for (int host = 0; host < 2; ++host) {
    SeriesFeed feed("h" + std::to_string(host + 1));
    const std::vector<Series> series = {{0, Kpi::kEmulatorTimeNs, 0}, {0, Kpi::kMemoryResidentBytes, 0}};
    std::vector<std::pair<Entity, std::vector<Series>>> entities = {{vm_entity("web", uuid(1), {}), series}};
    if (host == 0) entities.push_back({vm_entity("db", uuid(2), {}), series});
    feed.set_entities(entities);
    std::vector<RawMessage> messages;
    for (int i = 0; i < 300; ++i) {
      std::vector<std::optional<std::int64_t>> values(2);
      if (host == 0 ? i <= 90 : i >= 85) values = {std::max(0, host == 0 ? i : i - 90) * 500'000'000LL, 8 * kMiB};
      if (host == 0) values.insert(values.end(), {i * 100'000'000LL, 1 * kMiB});
      for (RawMessage& message : feed.tick(kFullHour + seconds(i), values)) messages.push_back(std::move(message));
    }
    ASSERT_TRUE((*store)->append(messages));
  }
  ASSERT_TRUE((*store)->write_pages());
  const auto points = [&](Kpi kpi, Function function, std::vector<std::string> by, const std::string& vm) {
    Query query;
    query.selector.kpi = kpi;
    if (!vm.empty()) query.selector.vms = {vm};
    query.function = function;
    query.across = Across::kSum;
    query.by = std::move(by);
    query.from = kFullHour;
    query.to = kFullHour + minutes(4);
    query.step = minutes(1);
    std::vector<std::vector<std::optional<double>>> lines;
    EXPECT_TRUE(run_query(*(*store)->series(), query, [&](const QueryResult& line) {
      lines.push_back(line.points);
      return true;
    }));
    return lines;
  };
  const auto rates = points(Kpi::kEmulatorTimeNs, Function::kRate, {"vm"}, "web");
  ASSERT_EQ(rates.size(), 1u);
  for (const auto& point : rates[0]) EXPECT_NEAR(point.value_or(0), 5e8, 2e7);
  const auto all = points(Kpi::kEmulatorTimeNs, Function::kRate, {}, "");
  ASSERT_EQ(all.size(), 1u);
  for (const auto& point : all[0]) EXPECT_NEAR(point.value_or(0), 6e8, 2e7);
  const auto memory = points(Kpi::kMemoryResidentBytes, Function::kMean, {"vm"}, "web");
  ASSERT_EQ(memory.size(), 1u);
  for (const auto& point : memory[0]) EXPECT_EQ(point, 8.0 * kMiB);
  EXPECT_EQ(points(Kpi::kEmulatorTimeNs, Function::kRate, {"host"}, "web").size(), 2u) << "each host's part of it";
  for (const Function function : {Function::kMin, Function::kMax, Function::kLast, Function::kP95}) {
    const auto found = points(Kpi::kMemoryResidentBytes, function, {"vm"}, "web");
    ASSERT_EQ(found.size(), 1u);
    for (const auto& point : found[0]) EXPECT_EQ(point, 8.0 * kMiB);
  }
  const auto increases = points(Kpi::kEmulatorTimeNs, Function::kIncrease, {"vm"}, "web");
  ASSERT_EQ(increases.size(), 1u);
  for (const auto& point : increases[0]) EXPECT_NEAR(point.value_or(0), 30e9, 2e9);
}

/// Sums of what `query` asks for of these messages, from the full hour on.
std::vector<QueryResult> sums_over(Nanoseconds length, RocksStore& store, std::vector<RawMessage>& messages,
                                   Query query) {
  EXPECT_TRUE(store.append(messages));
  EXPECT_TRUE(store.write_pages());
  query.from = kFullHour;
  query.to = kFullHour + length;
  query.across = Across::kSum;
  std::vector<QueryResult> lines;
  EXPECT_TRUE(run_query(*store.series(), query, [&](const QueryResult& line) {
    lines.push_back(line);
    return true;
  }));
  return lines;
}

/// Of a VM that runs on `first` until 120 s and on `second` from then on, each named and labelled as it lists it, one
/// core all the time, measured each minute there and each ten seconds here: what `query` says.
std::vector<QueryResult> ask_of_moved_vm(const std::string& first, const std::string& second, const Query& query) {
  const TemporaryDirectory directory;
  auto store = RocksStore::open({.directory = directory / "store"});
  EXPECT_TRUE(store);
  const std::vector<Series> series = {{0, Kpi::kEmulatorTimeNs, 0}, {0, Kpi::kMemoryResidentBytes, 0}};
  std::vector<RawMessage> messages;
  for (const bool is_second : {false, true}) {
    SeriesFeed feed(is_second ? second : first);
    feed.set_entities(
        {{vm_entity(is_second ? "new" : "old", uuid(1), {{"group.tier", is_second ? "web" : "db"}}), series}});
    for (int second_of_time = is_second ? 125 : 0; second_of_time <= (is_second ? 235 : 120);
         second_of_time += is_second ? 10 : 60) {
      const std::int64_t ns = (second_of_time - (is_second ? 125 : 0)) * 1'000'000'000LL;
      for (RawMessage& message : feed.tick(kFullHour + seconds(second_of_time), {ns, is_second ? 8192 : 4096})) {
        messages.push_back(std::move(message));
      }
    }
    if (is_second) continue;
    feed.set_entities({});  // it is gone there
    for (RawMessage& message : feed.tick(kFullHour + seconds(121), {})) messages.push_back(std::move(message));
  }
  return sums_over(minutes(4), **store, messages, query);
}

TEST(MovedVm, HasARateThatDoesNotDependOnItsHostsNames) {
  Query query;
  query.selector.kpi = Kpi::kEmulatorTimeNs;
  query.function = Function::kRate;
  query.step = seconds(30);
  const auto there = ask_of_moved_vm("h1", "h2", query);
  const auto back = ask_of_moved_vm("h2", "h1", query);
  ASSERT_EQ(there.size(), 1u);
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(there[0].points, back[0].points);
  // From 120 s on: the last minute on the first host, and twenty seconds on the second, for at least that minute.
  EXPECT_NEAR(there[0].points[4].value_or(0), 80e9 / 60, 1e6);
  EXPECT_NEAR(there[0].points[5].value_or(0), 1e9, 1e6);
}

TEST(MovedVm, IsNamedAndLabelledAsTheHostDoesThatHasItNow) {
  Query query;
  query.selector.kpi = Kpi::kMemoryResidentBytes;
  query.function = Function::kMean;
  query.step = minutes(1);
  for (const auto& [first, second] : {std::pair("h1", "h2"), std::pair("h2", "h1")}) {
    for (const auto& [by, value] : {std::pair("group.tier", "web"), std::pair("vm", "new")}) {
      query.by = {by};
      const auto lines = ask_of_moved_vm(first, second, query);
      ASSERT_EQ(lines.size(), 1u) << by << " " << first << ": a name of its own makes it no other series";
      EXPECT_EQ(lines[0].group.at(0).second, value) << first;
      EXPECT_EQ(lines[0].points[0], 4096);
      EXPECT_EQ(lines[0].points[3], 8192);
    }
  }
}

TEST(MovedVm, IsNamedByWhoHasItNowAlsoWithinTheStepInWhichItMoved) {
  Query query;
  query.selector.kpi = Kpi::kMemoryResidentBytes;
  query.function = Function::kMean;
  query.step = minutes(4);
  query.by = {"group.tier"};
  for (const auto& [first, second] : {std::pair("h1", "h2"), std::pair("h2", "h1")}) {
    const auto lines = ask_of_moved_vm(first, second, query);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0].group.at(0).second, "web") << first;
  }
}

/// Of a VM with what `entity` is in the first half of an hour on h1 and in the second on h2, as `series`, whose counter
/// grows by 1000 a second in each: what `query` says of that hour.
std::vector<QueryResult> ask_of_moved(const std::vector<std::string>& first, const std::vector<std::string>& second,
                                      EntityKind kind, const std::vector<Series>& series, const Query& query,
                                      int seconds_each = 1800) {
  const TemporaryDirectory directory;
  auto store = RocksStore::open({.directory = directory / "store"});
  EXPECT_TRUE(store);
  std::vector<RawMessage> messages;
  for (const bool is_second : {false, true}) {
    SeriesFeed feed(is_second ? "h2" : "h1");
    std::vector<std::pair<Entity, std::vector<Series>>> entities = {
        {vm_entity(is_second ? "new" : "old", uuid(1), {{"group.tier", is_second ? "web" : "db"}}), {}}};
    for (const std::string& name : is_second ? second : first) entities.push_back({{kind, 1, name, {}, {}}, series});
    feed.set_entities(entities);
    const std::size_t count = (is_second ? second : first).size() * series.size();
    for (int i = 0; i < seconds_each; ++i) {
      const Timestamp time = kFullHour + seconds(i + (is_second ? seconds_each : 0));
      for (RawMessage& message : feed.tick(time, std::vector<std::optional<std::int64_t>>(count, i * 1000))) {
        messages.push_back(std::move(message));
      }
    }
    if (is_second) continue;
    feed.set_entities({});  // it is gone there
    for (RawMessage& message : feed.tick(kFullHour + seconds(seconds_each), {})) messages.push_back(std::move(message));
  }
  return sums_over(hours(1), **store, messages, query);
}

// A tap's name is the host's doing.
TEST(MovedVm, CountsItsTrafficOnceThoughItsTapsHaveOtherNames) {
  Query query;
  query.selector.kpi = Kpi::kNetRxBytes;
  query.function = Function::kRate;
  query.step = hours(1);
  query.by = {"vm"};
  auto lines = ask_of_moved({"vnet5"}, {"vnet2"}, EntityKind::kTap, {{0, Kpi::kNetRxBytes, 0}}, query);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NEAR(lines[0].points[0].value_or(0), 1000, 1);
  lines = ask_of_moved({"vnet5", "vnet6"}, {"vnet2", "vnet3"}, EntityKind::kTap, {{0, Kpi::kNetRxBytes, 0}}, query);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NEAR(lines[0].points[0].value_or(0), 2000, 2) << "of two";
  lines =
      ask_of_moved({"vnet5", "vnet6"}, {"vnet2", "vnet3"}, EntityKind::kTap, {{0, Kpi::kNetRxBytes, 0}}, query, 600);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NEAR(lines[0].points[0].value_or(0), 2000, 4) << "for as long as it was measured";
  query.step = minutes(10);
  lines = ask_of_moved({"vnet5", "vnet6"}, {"vnet2", "vnet3"}, EntityKind::kTap, {{0, Kpi::kNetRxBytes, 0}}, query);
  ASSERT_EQ(lines.size(), 1u);
  ASSERT_EQ(lines[0].points.size(), 6u);
  for (const auto& point : lines[0].points) EXPECT_NEAR(point.value_or(0), 2000, 4);
  query.by = {"entity"};
  lines = ask_of_moved({"vnet5"}, {"vnet2"}, EntityKind::kTap, {{0, Kpi::kNetRxBytes, 0}}, query);
  EXPECT_EQ(lines.size(), 2u) << "who asks for taps by name gets them";
}

TEST(MovedVm, HasOneQuantile) {
  Query query;
  query.selector.kpi = Kpi::kHaltWaitNs;
  query.function = Function::kQuantile;
  query.quantile = 0.5;
  query.step = hours(1);
  for (const char* by : {"vm", "group.tier"}) {
    query.by = {by};
    const auto lines =
        ask_of_moved({"0"}, {"0"}, EntityKind::kVcpu, {{0, Kpi::kHaltWaitNs, 10}, {0, Kpi::kHaltWaitNs, 20}}, query);
    ASSERT_EQ(lines.size(), 1u) << by;
    EXPECT_EQ(lines[0].group.at(0).second, by == std::string("vm") ? "new" : "web");
  }
}

TEST(MovedVm, IsNoneOnceAllThatIsAskedForIsOfOneHost) {
  const TemporaryDirectory directory;
  auto store = RocksStore::open({.directory = directory / "store"});
  ASSERT_TRUE(store);
  for (const bool is_second : {false, true}) {
    SeriesFeed feed(is_second ? "h2" : "h1");
    feed.set_entities({{vm_entity("web", uuid(1), {}), {{0, Kpi::kEmulatorTimeNs, 0}}}});
    auto messages = feed.tick(kFullHour + hours(is_second ? 96 : 0), {1});
    ASSERT_TRUE((*store)->append(messages));
  }
  ASSERT_TRUE((*store)->write_pages());
  const SeriesSelector selector{.kpi = Kpi::kEmulatorTimeNs, .hosts = {}, .vms = {}, .entity = {}, .labels = {}};
  EXPECT_EQ((*store)->series()->selection().moved_vms(selector, kFullHour).size(), 1u);
  EXPECT_EQ((*store)->series()->selection().moved_vms(selector, kFullHour + hours(72)).size(), 0u);
}

}  // namespace
}  // namespace proteus::store
