#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "controller/store/rocks_store.h"
#include "controller/store/series_reader.h"
#include "tests/controller/store/series_feed.h"
#include "tests/temporary_directory.h"

namespace proteus::store {

inline const Timestamp kStart = from_unix_ns(1'700'000'400'000'000'000);  // 2023-11-14 22:20:00
inline const HostId kHost("h1");
inline const std::string kWeb = "11111111-1111-4111-8111-111111111111";
inline const std::string kDb = "22222222-2222-4222-8222-222222222222";

using Samples = std::map<std::string, std::vector<std::pair<std::int64_t, std::int64_t>>>;  // by "vm/kpi/bucket"

/// A store in a directory of its own, and what it holds by series.
class SeriesStore : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    store_.reset();
    auto opened = RocksStore::open({.directory = directory_ / "store"});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  /// Collects: a synced write for each tick would take minutes.
  void append(std::vector<RawMessage> messages) {
    std::move(messages.begin(), messages.end(), std::back_inserter(unwritten_));
    if (unwritten_.size() >= 300) flush();
  }
  void flush() {
    ASSERT_TRUE(store_->append(unwritten_));
    unwritten_.clear();
  }

  /// Changes the first page of a KPI behind the store's back.
  void damage_page(Kpi kpi, const std::function<void(std::string& page)>& damage) {
    store_.reset();
    {
      auto db = RocksDb::open({.directory = directory_ / "store"});
      ASSERT_TRUE(db);
      std::string key;
      std::string page;
      {
        RocksDb::Cursor cursor = (*db)->cursor(Family::kPage);
        cursor.seek(keys::page_prefix(static_cast<std::uint16_t>(kpi), kHost));
        ASSERT_TRUE(cursor.valid());
        key = cursor.key();
        page = cursor.value();
      }
      damage(page);
      RocksDb::Batch batch;
      batch.put(Family::kPage, key, page);
      ASSERT_TRUE((*db)->write(batch));
    }
    open();
  }

  /// Turns some bytes of the first block of a family's only file; leaves the store closed.
  void damage_file(Family family, const std::string& name) {
    store_.reset();
    std::uint64_t size = 0;
    {
      auto db = RocksDb::open({.directory = directory_ / "store"});
      ASSERT_TRUE(db);
      ASSERT_TRUE((*db)->compact_before(family, std::string(64, '\xff'), false));
      size = (*db)->file_bytes(family);
    }
    int damaged = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory_ / "store")) {
      if (file.path().extension() != ".sst" || file.file_size() != size) continue;
      std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
      const std::string all((std::istreambuf_iterator<char>(bytes)), {});
      if (all.find(name) == std::string::npos) continue;  // RocksDB writes whose it is at its end
      bytes.seekp(40);
      bytes.write("damage", 6);
      ++damaged;
    }
    ASSERT_EQ(damaged, 1);
  }

  /// Everything of one KPI, with times in microseconds.
  Samples samples(Kpi kpi) const {
    Samples all;
    SeriesSelector selector;
    selector.kpi = kpi;
    const Status read = store_->series()->read_samples(
        selector, to_us(kStart - std::chrono::hours(10)), to_us(kStart + std::chrono::hours(100)),
        [&](SeriesReader::HostSamples host) {
          for (const auto& [key, series] : host.series) {
            auto& one = all[host.host.value + "/" + host.entities.at(key.entity).entity.name + "/" +
                            std::to_string(key.bucket)];
            for (std::size_t i = 0; i < series.values.size(); ++i) {
              one.emplace_back(series.times_us[i], series.values[i]);
            }
          }
          return true;
        });
    EXPECT_TRUE(read) << read.error().message;
    return all;
  }
  std::map<SeriesKey, std::vector<StepFigures>> steps(const SeriesSelector& selector, const StepGrid& grid,
                                                      const std::vector<keys::Figure>& figures) const {
    std::map<SeriesKey, std::vector<StepFigures>> all;
    Allowance unlimited;
    const Status read =
        store_->series()->read_steps(selector, grid, figures, unlimited, [&](SeriesReader::HostSteps host) {
          all.insert(host.series.begin(), host.series.end());
          return true;
        });
    EXPECT_TRUE(read) << read.error().message;
    return all;
  }

  /// What is streamed, put together, is what is held: each step once, ascending.
  void expect_streamed_alike(const SeriesSelector& selector, const StepGrid& grid,
                             const std::vector<keys::Figure>& figures) const {
    const auto whole = steps(selector, grid, figures);
    std::map<SeriesKey, std::vector<StepFigures>> streamed;
    SeriesReader::Joiner joiner;
    joiner.take = [&](const SeriesReader::Stretch& stretch) {
      auto& all = streamed[stretch.key];
      EXPECT_LE(all.size(), stretch.first);
      all.resize(stretch.first);
      all.insert(all.end(), stretch.steps.begin(), stretch.steps.end());
      return true;
    };
    joiner.end_part = [] { return true; };
    Allowance unlimited;
    const Status read = store_->series()->stream_steps(selector, grid, figures, unlimited, joiner);
    ASSERT_TRUE(read) << read.error().message;
    const auto is_empty = [](const StepFigures& f) { return f.weight == 0; };
    for (auto& [key, all] : streamed) all.resize(grid.size());
    std::erase_if(streamed, [&](const auto& s) { return std::all_of(s.second.begin(), s.second.end(), is_empty); });
    ASSERT_EQ(streamed.size(), whole.size());
    for (const auto& [key, all] : whole) {
      for (std::size_t i = 0; i < all.size(); ++i) {
        const StepFigures& one = streamed.at(key)[i];
        ASSERT_EQ(one.weight, all[i].weight) << "step " << i;
        if (one.weight == 0) continue;
        ASSERT_EQ(std::tie(one.sum, one.min, one.max, one.last, one.p95),
                  std::tie(all[i].sum, all[i].min, all[i].max, all[i].last, all[i].p95));
      }
    }
  }

  TemporaryDirectory directory_;
  std::unique_ptr<RocksStore> store_;
  std::vector<RawMessage> unwritten_;
};

inline std::vector<Series> vm_series() {
  return {{0, Kpi::kMemoryResidentBytes, 0},
          {0, Kpi::kEmulatorTimeNs, 0},
          {0, Kpi::kRunQueueLatencyNs, 3},
          {0, Kpi::kRunQueueLatencyNs, 9}};
}

/// An hour and a half of two VMs, with what real life has: gaps, a VM that comes and goes, a counter that restarts.
/// Calls `tick` for each second; returns what must be there.
inline Samples play(SeriesFeed& feed, int ticks, std::mt19937_64& random,
                    const std::function<void(std::vector<RawMessage>)>& tick, Kpi kpi) {
  Samples expected;
  std::int64_t counter = 0;
  std::int64_t memory = 1 << 30;
  bool two = false;
  for (int i = 0; i < ticks; ++i) {
    if (i == 0 || (i % 700 == 350)) {
      two = i % 1400 == 350;
      std::vector<std::pair<Entity, std::vector<Series>>> entities = {{vm_entity("web1", kWeb), vm_series()}};
      if (two) entities.push_back({vm_entity("db1", kDb), vm_series()});
      feed.set_entities(entities);
    }
    if (i == 1000) counter = 0;
    counter += static_cast<std::int64_t>(random() % 1'000'000) * 1000;
    memory += static_cast<std::int64_t>(random() % 3) * 4096;
    const Timestamp time = kStart + std::chrono::seconds(i) + Nanoseconds(random() % 1'000'000);
    std::vector<std::optional<std::int64_t>> values;
    for (int vm = 0; vm < (two ? 2 : 1); ++vm) {
      const bool measured = random() % 20 != 0;
      values.push_back(measured ? std::optional(memory + vm) : std::nullopt);
      values.push_back(counter + vm * 1000);
      values.push_back(i / 2);
      values.push_back(i);
      const std::string name = vm == 0 ? "h1/web1" : "h1/db1";
      if (kpi == Kpi::kMemoryResidentBytes && measured) expected[name + "/0"].emplace_back(to_us(time), memory + vm);
      if (kpi == Kpi::kEmulatorTimeNs) expected[name + "/0"].emplace_back(to_us(time), counter + vm * 1000);
    }
    tick(feed.tick(time, values));
  }
  return expected;
}

}  // namespace proteus::store
