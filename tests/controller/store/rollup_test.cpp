#include "controller/store/rollup.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "controller/store/page.h"
#include "tests/temporary_directory.h"

namespace proteus::store {
namespace {

using keys::Figure;
using keys::Level;

constexpr Kpi kKpi = Kpi::kMemoryResidentBytes;
constexpr std::int64_t kHour = 472'222;   // since the epoch
constexpr std::uint32_t kEntities = 150;  // three blocks

class Rollup : public ::testing::Test {
 protected:
  Rollup() : db_(std::move(RocksDb::open({.directory = directory_ / "db"})).value()) {}

  /// A tick each second of an hour's first ten minutes; entity n has n · 4096 in each.
  void write_pages(std::int64_t hours_later = 0, std::uint32_t entities = kEntities) {
    constexpr std::uint32_t kTicks = 600;
    const std::int64_t begin_us = (kHour + hours_later) * kHourUs;
    const keys::PagePlace place{begin_us, 1};
    PageBuilder ticks(kTicks, 1);
    std::vector<std::int64_t> values;
    for (std::uint32_t i = 0; i < kTicks; ++i) values.push_back(begin_us + i * 1'000'000LL);
    ticks.add({0, 0}, values, {});
    PageBuilder figures(kTicks, 4096);
    for (std::uint32_t entity = 1; entity <= entities; ++entity) {
      std::fill(values.begin(), values.end(), entity * 4096LL);
      figures.add({entity, 0}, values, {});
    }
    RocksDb::Batch batch;
    batch.put(Family::kPage, keys::page_key(keys::kTicksKpi, host_, place), ticks.finish());
    batch.put(Family::kPage, keys::page_key(static_cast<std::uint16_t>(kKpi), host_, place), figures.finish());
    ASSERT_TRUE(db_->write(batch));
  }

  RolledHours read(const std::vector<std::uint32_t>& entities, std::int64_t hours = 1) {
    const RollupRange range{Level::kMinute, kKpi, host_, kHour * kHourUs, (kHour + hours) * kHourUs};
    auto hours_read = read_rollups(*db_, nullptr, range, {Figure::kSum, Figure::kWeight}, entities, share_);
    EXPECT_TRUE(hours_read);
    return hours_read ? std::move(*hours_read) : RolledHours();
  }

  const TemporaryDirectory directory_;
  const HostId host_{"h1"};
  const std::unique_ptr<RocksDb> db_;
  Allowance allowance_;
  Allowance::Share share_{allowance_, 1u << 30};
};

TEST_F(Rollup, EntitiesAreFoundWhereverTheirBlocksAre) {
  write_pages();
  RocksDb::Batch batch;
  ASSERT_TRUE(roll_up(*db_, host_, kHour, batch));
  ASSERT_TRUE(db_->write(batch));
  std::vector<std::uint32_t> all;
  for (std::uint32_t entity = 1; entity <= kEntities; ++entity) all.push_back(entity);
  for (const auto& wanted : {std::vector<std::uint32_t>{63}, {64}, {1, 65, 150}, all}) {
    const RolledHours hours = read(wanted);
    ASSERT_EQ(hours.size(), 1u);
    const std::vector<RolledSeries>& rolled = hours.at(kHour * kHourUs);
    ASSERT_EQ(rolled.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(rolled[i].key, (SeriesKey{wanted[i], 0}));
      ASSERT_EQ(rolled[i].steps.size(), 60u);
      EXPECT_EQ(rolled[i].steps[9].weight, 60);
      EXPECT_EQ(rolled[i].steps[9].sum, 60 * 4096LL * wanted[i]);
      EXPECT_EQ(rolled[i].steps[10].weight, 0);
    }
  }
}

TEST_F(Rollup, AnHourOfFewSeriesIsOnePageBesideThoseInBlocks) {
  write_pages();
  write_pages(1, 3);
  RocksDb::Batch batch;
  ASSERT_TRUE(roll_up(*db_, host_, kHour, batch));
  ASSERT_TRUE(roll_up(*db_, host_, kHour + 1, batch));
  ASSERT_TRUE(db_->write(batch));
  const keys::RollupSeries series{Level::kMinute, static_cast<std::uint16_t>(kKpi), Figure::kSum, host_};
  const std::int64_t later_us = (kHour + 1) * kHourUs;
  EXPECT_TRUE(*db_->get(Family::kRollup, keys::whole_rollup_key(series, later_us))) << "as earlier versions wrote all";
  EXPECT_FALSE(*db_->get(Family::kRollup, keys::whole_rollup_key(series, kHour * kHourUs)));
  const RolledHours hours = read({2, 120}, 3);
  ASSERT_EQ(hours.size(), 2u);
  EXPECT_EQ(hours.at(kHour * kHourUs).size(), 2u);
  const std::vector<RolledSeries>& few = hours.at(later_us);
  ASSERT_EQ(few.size(), 1u);
  EXPECT_EQ(few[0].key, (SeriesKey{2, 0}));
  EXPECT_EQ(few[0].steps[9].sum, 60 * 4096 * 2);
  EXPECT_EQ(few[0].steps[9].weight, 60);
}

TEST_F(Rollup, OfMoreSeriesThanFitIntoMemorySomeAreMadeAtATime) {
  write_pages();
  RocksDb::Batch together;
  ASSERT_TRUE(roll_up(*db_, host_, kHour, together));
  ASSERT_TRUE(db_->write(together));
  const auto all_pages = [&] {
    std::map<std::string, std::string> pages;
    RocksDb::Cursor cursor = db_->cursor(Family::kRollup);
    for (cursor.seek(""); cursor.valid(); cursor.next()) pages[std::string(cursor.key())] = cursor.value();
    return pages;
  };
  const auto expected = all_pages();
  ASSERT_FALSE(expected.empty());
  RocksDb::Batch none;
  for (const auto& [key, value] : expected) none.erase(Family::kRollup, key);
  ASSERT_TRUE(db_->write(none));
  RocksDb::Batch in_parts;
  ASSERT_TRUE(roll_up(*db_, host_, kHour, in_parts, 1));
  ASSERT_TRUE(db_->write(in_parts));
  EXPECT_EQ(all_pages(), expected);
}

TEST_F(Rollup, DamageIsToldNotRead) {
  write_pages();
  RocksDb::Batch batch;
  ASSERT_TRUE(roll_up(*db_, host_, kHour, batch));
  const keys::RollupSeries series{Level::kMinute, static_cast<std::uint16_t>(kKpi), Figure::kWeight, host_};
  batch.put(Family::kRollup, keys::rollup_key(series, 1, kHour * kHourUs), "no page");
  ASSERT_TRUE(db_->write(batch));
  const RollupRange range{Level::kMinute, kKpi, host_, kHour * kHourUs, (kHour + 1) * kHourUs};
  const auto damaged = read_rollups(*db_, nullptr, range, {Figure::kSum, Figure::kWeight}, {65}, share_);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(read({31}).size(), 1u);  // of another block
}

TEST_F(Rollup, ASumWithoutItsWeightIsNoMean) {
  write_pages();
  RocksDb::Batch batch;
  ASSERT_TRUE(roll_up(*db_, host_, kHour, batch));
  const keys::RollupSeries series{Level::kMinute, static_cast<std::uint16_t>(kKpi), Figure::kWeight, host_};
  batch.erase(Family::kRollup, keys::rollup_key(series, 1, kHour * kHourUs));
  ASSERT_TRUE(db_->write(batch));
  const RollupRange range{Level::kMinute, kKpi, host_, kHour * kHourUs, (kHour + 1) * kHourUs};
  const auto damaged = read_rollups(*db_, nullptr, range, {Figure::kSum, Figure::kWeight}, {65}, share_);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(damaged.error().message.find("weights"), std::string::npos) << damaged.error().message;
  EXPECT_EQ(read({31}).size(), 1u);
  // What has expired leaves the disk piece by piece.
  RocksDb::Expiry expiry;
  expiry.minutes.from_us = kHour * kHourUs + 1;
  db_->set_expiry(std::move(expiry));
  EXPECT_TRUE(read({65}).empty());
  EXPECT_TRUE(read({31}).empty());
}

}  // namespace
}  // namespace proteus::store
