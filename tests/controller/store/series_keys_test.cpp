#include "controller/store/series_keys.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/hex.h"

namespace proteus::store::keys {
namespace {

const HostId kHost("h1");
const PagePlace kPlace{1'700'000'000'000'000, 258};

StoredEntity disk() {
  return {.number = 7,
          .kind = EntityKind::kDisk,
          .parent = 3,
          .name = "vda",
          .uuid = "",
          .labels = {{"a", "b"}, {"c", ""}},
          .seen_day = 19'675};
}
HostProgress progress() {
  return {.next_lsn = 300, .chunks = {kPlace, {1'700'000'128'000'000, 400}}, .dirty_hours = {472'222, 472'223}};
}

// One of each, as series_keys.h draws them.
TEST(SeriesKeys, GoldenBytes) {
  const std::vector<std::pair<std::string, std::string>> drawing = {
      {"page.key", page_key(10, kHost, kPlace)},
      {"rollup.key", rollup_key({Level::kMinute, 10, Figure::kMax, kHost}, 2, 1'699'999'200'000'000)},
      {"rollup.key.whole", whole_rollup_key({Level::kMinute, 10, Figure::kMax, kHost}, 1'699'999'200'000'000)},
      {"series.key", entity_key(kHost, 7)},
      {"series.value", entity_value(disk())},
      {"meta.p.key", progress_key(kHost)},
      {"meta.p.value", progress_value(progress())},
      {"meta.q.key", std::string(kPositionKey)},
  };
  std::string text;
  for (const auto& [name, bytes] : drawing) text += name + " " + hex(bytes) + "\n";
  std::ifstream file(PROTEUS_FIXTURES "/store/series.golden");
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str());
}

TEST(SeriesKeys, AnEntityWithoutADayIsReadAsBefore) {
  const std::string value = entity_value(disk());
  const auto entity = parse_entity(entity_key(kHost, 7), value.substr(0, value.size() - 4));
  ASSERT_TRUE(entity);
  EXPECT_EQ(entity->seen_day, 0u);
  EXPECT_EQ(entity->labels, disk().labels);
  EXPECT_FALSE(parse_entity(entity_key(kHost, 7), value.substr(0, value.size() - 1)));
}

TEST(SeriesKeys, ComeBack) {
  EXPECT_EQ(*parse_page_place(page_key(10, kHost, kPlace)), kPlace);
  EXPECT_EQ(*parse_page_place(page_key(10, kHost, {-5, 1})), (PagePlace{-5, 1}));
  const RollupSeries series{Level::kHour, 10, Figure::kSum, kHost};
  for (const std::string& key : {rollup_key(series, 7, 42), whole_rollup_key(series, 42)}) {
    const auto rollup = parse_rollup_place(key);
    ASSERT_TRUE(rollup);
    EXPECT_EQ(rollup->level, Level::kHour);
    EXPECT_EQ(rollup->time_us, 42);
  }
  EXPECT_EQ(*parse_entity_host(entity_key(kHost, 7)), kHost);
  EXPECT_EQ(*parse_entity(entity_key(kHost, 7), entity_value(disk())), disk());
  EXPECT_EQ(*parse_progress_host(progress_key(kHost)), kHost);
  EXPECT_EQ(*parse_progress(progress_value(progress())), progress());
}

TEST(SeriesKeys, RollUpsOfABlockSortByTimeAndNoWholeOneIsBetweenThem) {
  const RollupSeries series{Level::kMinute, 10, Figure::kSum, kHost};
  EXPECT_LT(rollup_key(series, 7, -1), rollup_key(series, 7, 0));
  EXPECT_LT(rollup_key(series, 7, kPlace.time_us), rollup_key(series, 8, 0));
  const std::uint32_t last = rollup_block(0xffff'ffff);
  EXPECT_LT(rollup_key(series, last, kPlace.time_us), whole_rollup_key(series, 0));
}

TEST(SeriesKeys, PagesOfAKpiSortByHostAndTime) {
  EXPECT_LT(page_key(1, HostId("h2"), kPlace), page_key(2, HostId("h1"), kPlace));
  EXPECT_LT(page_key(1, kHost, {-1, 9}), page_key(1, kHost, {0, 0}));
  EXPECT_LT(page_key(1, kHost, kPlace), page_key(1, kHost, {kPlace.time_us, kPlace.lsn + 1}));
}

TEST(SeriesKeys, BytesThatAreCutOffAreRefused) {
  const std::string entity = entity_value(disk());
  for (std::size_t size = 0; size < entity.size(); ++size) {
    if (size == entity.size() - 4) continue;  // the form without a day
    EXPECT_FALSE(parse_entity(entity_key(kHost, 7), entity.substr(0, size))) << size;
  }
  const std::string state = progress_value(progress());
  for (std::size_t size = 0; size < state.size(); ++size) EXPECT_FALSE(parse_progress(state.substr(0, size))) << size;
  EXPECT_FALSE(parse_page_place("short"));
  EXPECT_FALSE(parse_rollup_place(std::string(20, '\7')));
  EXPECT_FALSE(parse_progress_host("p"));
}

}  // namespace
}  // namespace proteus::store::keys
