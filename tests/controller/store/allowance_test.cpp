#include "controller/store/allowance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "controller/store/query.h"
#include "tests/controller/store/shared_store.h"

namespace proteus::store {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kMiBytes = 1 << 20;

/// Two hosts with twenty VMs each, an hour and five minutes.
class AllowanceTest : public SharedStore {
 protected:
  static constexpr int kVms = 20;

  static void SetUpTestSuite() {
    open();
    for (int host = 0; host < 2; ++host) {
      SeriesFeed feed("h" + std::to_string(host + 1));
      std::vector<std::pair<Entity, std::vector<Series>>> entities;
      for (int vm = host * kVms; vm < (host + 1) * kVms; ++vm) {
        entities.push_back(
            {vm_entity("vm" + std::to_string(vm), uuid(vm)),
             {{0, Kpi::kEmulatorTimeNs, 0}, {0, Kpi::kRunQueueLatencyNs, 10}, {0, Kpi::kRunQueueLatencyNs, 20}}});
      }
      feed.set_entities(entities);
      append(feed, 3900, [&](int i) {
        std::vector<std::optional<std::int64_t>> values;
        for (int vm = host * kVms; vm < (host + 1) * kVms; ++vm) {
          values.insert(values.end(), {i * (vm + 1) * 1'000'000LL, i * 99LL, i * (vm % 3 == 0 ? 7LL : 1LL)});
        }
        return values;
      });
    }
    ASSERT_TRUE(store_->write_pages());
  }

  static Query query(Kpi kpi, Function function, Nanoseconds step) {
    Query query;
    query.selector.kpi = kpi;
    query.function = function;
    query.from = kFullHour;
    query.to = kFullHour + minutes(65);
    query.step = step;
    return query;
  }
  struct Answer {
    Status status;
    std::vector<QueryResult> lines;
  };
  static Answer run(const Query& query, std::uint64_t bytes_max) {
    Answer answer;
    Allowance allowance(bytes_max, {});
    answer.status = run_query(*store_->series(), query, allowance, [&](QueryResult&& line) {
      answer.lines.push_back(std::move(line));
      return true;
    });
    return answer;
  }
  static void expect_alike(const std::vector<QueryResult>& lines, const std::vector<QueryResult>& wanted) {
    ASSERT_EQ(lines.size(), wanted.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      EXPECT_EQ(lines[i].vm, wanted[i].vm);
      EXPECT_EQ(lines[i].bucket, wanted[i].bucket);
      EXPECT_EQ(lines[i].group, wanted[i].group);
      EXPECT_EQ(lines[i].members, wanted[i].members);
      EXPECT_TRUE(lines[i].points == wanted[i].points) << lines[i].vm;
    }
  }
  /// It is answered alike with so much memory.
  static void expect_enough(const Query& query, std::uint64_t bytes_max) {
    const Answer answer = run(query, bytes_max);
    ASSERT_TRUE(answer.status) << answer.status.error().message;
    expect_alike(answer.lines, run(query, std::uint64_t{1} << 40).lines);
  }
  static void expect_too_little(const Query& query, std::uint64_t bytes_max) {
    const Answer answer = run(query, bytes_max);
    ASSERT_FALSE(answer.status);
    EXPECT_EQ(answer.status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(answer.status.error().message.find("ask for fewer hosts, VMs or groups, longer steps or a shorter time"),
              std::string::npos);
  }
};

// 3,900 steps of 56 bytes: 218,400 bytes for each of a host's series that are held together.
TEST_F(AllowanceTest, LinesAreReadAFewAtATime) {
  const Query seconds_each = query(Kpi::kEmulatorTimeNs, Function::kRate, seconds(1));
  expect_enough(seconds_each, 2 * kMiBytes);
  expect_too_little(seconds_each, kMiBytes / 8);
  expect_enough(query(Kpi::kEmulatorTimeNs, Function::kMax, seconds(7)), kMiBytes);
  expect_enough(query(Kpi::kEmulatorTimeNs, Function::kP95, minutes(20)), kMiBytes / 2);
  expect_enough(query(Kpi::kRunQueueLatencyNs, Function::kIncrease, seconds(1)), 2 * kMiBytes);
}

// 60 minutes of 56 bytes: 3,360 bytes for each.
TEST_F(AllowanceTest, RollUpsAreReadAFewAtATime) {
  Query each_minute = query(Kpi::kEmulatorTimeNs, Function::kRate, minutes(1));
  each_minute.to = kFullHour + minutes(60);
  expect_enough(each_minute, kMiBytes / 16);
  each_minute = query(Kpi::kRunQueueLatencyNs, Function::kQuantile, minutes(1));
  each_minute.to = kFullHour + minutes(60);
  expect_enough(each_minute, kMiBytes / 8);
  each_minute.across = Across::kSum;
  expect_enough(each_minute, kMiBytes / 8);
}

// 3,900 steps of 32 buckets of 8 bytes: a megabyte for each VM.
TEST_F(AllowanceTest, QuantilesAreGatheredForAFewEntitiesAtATime) {
  const Query each_vm = query(Kpi::kRunQueueLatencyNs, Function::kQuantile, seconds(1));
  expect_enough(each_vm, 4 * kMiBytes);
  expect_too_little(each_vm, kMiBytes / 2);
}

TEST_F(AllowanceTest, OnlyTheHighestAreHeld) {
  Query highest = query(Kpi::kEmulatorTimeNs, Function::kRate, seconds(1));
  highest.top = 5;
  expect_enough(highest, 2 * kMiBytes);
  highest.top = 40;
  expect_too_little(highest, 2 * kMiBytes);
  highest = query(Kpi::kRunQueueLatencyNs, Function::kQuantile, seconds(1));
  highest.top = 4;
  expect_enough(highest, 4 * kMiBytes);
}

TEST_F(AllowanceTest, TooManyGroupsAreRefused) {
  Query joined = query(Kpi::kEmulatorTimeNs, Function::kRate, seconds(1));
  joined.across = Across::kSum;
  joined.by = {"host"};
  expect_enough(joined, kMiBytes);
  joined.by = {"vm"};
  expect_too_little(joined, kMiBytes);
  EXPECT_TRUE(run(joined, kMiBytes).lines.empty());
  joined = query(Kpi::kRunQueueLatencyNs, Function::kQuantile, seconds(1));
  joined.across = Across::kSum;
  joined.by = {"vm"};
  expect_too_little(joined, 16 * kMiBytes);
}

TEST_F(AllowanceTest, WhatNoMemoryIsEnoughForIsToldBefore) {
  Query one = query(Kpi::kRunQueueLatencyNs, Function::kQuantile, seconds(1));
  EXPECT_TRUE(check_memory(one, 256 * kMiBytes));
  const Status refused = check_memory(one, 10 * kMiBytes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "3900 steps of run_queue_latency_ns take more than the 10 MiB of memory that one answer may: ask for 2560 "
            "steps at most, by longer steps or a shorter time");
  one.across = Across::kSum;
  EXPECT_TRUE(check_memory(one, 10 * kMiBytes)) << "it is found out before anything is sent";
}

TEST_F(AllowanceTest, NothingIsReadForNobody) {
  std::vector<Query> queries;
  for (const Nanoseconds step : {Nanoseconds(seconds(1)), Nanoseconds(minutes(1))}) {
    queries.push_back(query(Kpi::kEmulatorTimeNs, Function::kRate, step));
    queries.push_back(queries.back());
    queries.back().across = Across::kSum;
  }
  for (const Query& asked : queries) {
    bool is_there = true;
    Allowance allowance(std::uint64_t{1} << 40, [&] { return is_there; });
    EXPECT_TRUE(run_query(*store_->series(), asked, allowance, [&](QueryResult&&) { return true; }));
    is_there = false;
    Allowance next(std::uint64_t{1} << 40, [&] { return is_there; });
    const Status status = run_query(*store_->series(), asked, next, [&](QueryResult&&) {
      ADD_FAILURE();
      return true;
    });
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
  }
}

// In the middle of a host's pages: it has none of the others, and no line is given out before the end.
TEST_F(AllowanceTest, ReadingEndsWithWhoeverWaitsForIt) {
  Query joined = query(Kpi::kEmulatorTimeNs, Function::kRate, seconds(1));
  joined.across = Across::kSum;
  joined.selector.hosts = {HostId("h1")};
  int looks = 0;
  Allowance allowance(std::uint64_t{1} << 40, [&] { return ++looks < 2; });
  SeriesReader::Joiner joiner;
  joiner.end_part = [] { return true; };
  joiner.take = [](const SeriesReader::Stretch&) { return true; };
  const StepGrid grid{to_us(kFullHour), to_us(kFullHour + minutes(65)), 1'000'000};
  const std::vector<keys::Figure> figures = {keys::Figure::kSum, keys::Figure::kWeight};
  for (int times = 0; times < 1'000'000; ++times) {
    const Status read = store_->series()->stream_steps(joined.selector, grid, figures, allowance, joiner);
    if (read) continue;  // it was too quick to be looked at twice
    EXPECT_EQ(read.error().code, ErrorCode::kUnavailable);
    break;
  }
  EXPECT_EQ(looks, 2);
}

using Values = std::map<std::string, std::vector<std::pair<std::int64_t, std::int64_t>>>;

TEST_F(AllowanceTest, ValuesAreReadAFewEntitiesOrSomeTimeAtATime) {
  for (const Kpi kpi : {Kpi::kEmulatorTimeNs, Kpi::kRunQueueLatencyNs}) {
    SeriesSelector selector;
    selector.kpi = kpi;
    const auto read = [&](std::uint64_t bytes_max, std::size_t& visits, bool& goes_on) {
      Values values;
      Allowance allowance(bytes_max, {});
      const Status status = store_->series()->read_samples(
          selector, to_us(kFullHour), to_us(kFullHour + minutes(65)), allowance,
          [&](const SeriesReader::HostSamples& some) {
            ++visits;
            goes_on |= some.goes_on;
            EXPECT_TRUE(!some.goes_on || some.entities.size() == 1);
            for (const auto& [key, samples] : some.series) {
              auto& all = values[some.entities.at(key.entity).vm_name + std::to_string(key.bucket)];
              for (std::size_t i = 0; i < samples.values.size(); ++i) {
                all.emplace_back(samples.times_us[i], samples.values[i]);
              }
            }
            return true;
          });
      EXPECT_TRUE(status) << status.error().message;
      return values;
    };
    std::size_t visits = 0;
    bool goes_on = false;
    const Values whole = read(std::uint64_t{1} << 40, visits, goes_on);
    EXPECT_EQ(visits, 2u);
    EXPECT_FALSE(goes_on);
    visits = 0;
    EXPECT_EQ(read(kMiBytes, visits, goes_on), whole);
    EXPECT_GT(visits, 6u);
    EXPECT_FALSE(goes_on) << "one entity's values have room";
    EXPECT_EQ(read(kMiBytes / 16, visits, goes_on), whole);
    EXPECT_TRUE(goes_on);
  }
}

TEST_F(AllowanceTest, ATimeWithoutValuesIsNothingToGoOnFrom) {
  SeriesSelector selector;
  selector.kpi = Kpi::kRunQueueLatencyNs;
  std::set<std::uint32_t> begun;
  Allowance allowance(kMiBytes / 16, {});
  const Status read = store_->series()->read_samples(
      selector, to_us(kFullHour - hours(3)), to_us(kFullHour + minutes(65)), allowance,
      [&](const SeriesReader::HostSamples& some) {
        EXPECT_EQ(some.entities.size(), 1u);
        EXPECT_EQ(begun.insert(some.entities.begin()->first + (some.host.value == "h1" ? 0 : 1000)).second,
                  !some.goes_on);
        return true;
      });
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(begun.size(), 2u * kVms);
}

// What is measured while the first values are taken is among those that follow: no view is held meanwhile, which would
// keep files from going and the database from being opened again.
TEST(SlowReader, HoldsNoViewOfTheDatabase) {
  const TemporaryDirectory directory;
  auto store = RocksStore::open({.directory = directory / "store"});
  ASSERT_TRUE(store) << store.error().message;
  SeriesFeed feed("h1");
  const std::vector<Series> series = {{0, Kpi::kEmulatorTimeNs, 0}};
  feed.set_entities({{vm_entity("vm0", uuid(0)), series}, {vm_entity("vm1", uuid(1)), series}});
  const auto measure = [&](int second) {
    std::vector<RawMessage> messages = feed.tick(kFullHour + seconds(second), {second, second});
    return (*store)->append(messages) && (*store)->write_pages();
  };
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(measure(i));
  SeriesSelector selector;
  selector.kpi = Kpi::kEmulatorTimeNs;
  std::vector<std::size_t> counts;
  Allowance allowance(5'000, {});  // of 32 for each value
  const Status read = (*store)->series()->read_samples(selector, to_us(kFullHour), to_us(kFullHour + minutes(5)),
                                                       allowance, [&](const SeriesReader::HostSamples& samples) {
                                                         counts.push_back(samples.series.begin()->second.values.size());
                                                         EXPECT_TRUE(counts.size() > 1 || measure(100));
                                                         return true;
                                                       });
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(counts, (std::vector<std::size_t>{100, 101}));
}

TEST_F(AllowanceTest, AValueIsFoundWithoutReadingAll) {
  SeriesSelector selector;
  selector.kpi = Kpi::kEmulatorTimeNs;
  const auto has = [&](Timestamp from, Timestamp to) {
    Allowance allowance(kMiBytes, {});
    const auto found = store_->series()->has_samples(selector, to_us(from), to_us(to), allowance);
    EXPECT_TRUE(found) << found.error().message;
    return found && *found;
  };
  EXPECT_TRUE(has(kFullHour, kFullHour + minutes(65)));
  EXPECT_TRUE(has(kFullHour + seconds(3899), kFullHour + minutes(90)));
  EXPECT_FALSE(has(kFullHour + minutes(65), kFullHour + minutes(90)));
  EXPECT_FALSE(has(kFullHour - minutes(65), kFullHour));
}

}  // namespace
}  // namespace proteus::store
