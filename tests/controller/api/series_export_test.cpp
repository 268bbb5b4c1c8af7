#include "controller/api/series_export.h"

#include <gtest/gtest.h>

#include "controller/store/rocks_store.h"
#include "tests/controller/store/series_feed.h"
#include "tests/temporary_directory.h"

namespace proteus::api {
namespace {

TEST(SeriesExport, WhoPreemptedIsNamedBesideItsUuid) {
  const Timestamp start = from_unix_ns(1'700'006'400'000'000'000);
  const std::string web = "00000000-0000-4000-8000-000000000001";
  const std::string db = "00000000-0000-4000-8000-000000000002";
  TemporaryDirectory directory;
  auto store = store::RocksStore::open({.directory = directory / "store"});
  ASSERT_TRUE(store) << store.error().message;
  Entity pair;
  pair.kind = EntityKind::kVmPair;
  pair.parent = 1;
  pair.name = db;
  Entity other = pair;
  other.name = "host";
  store::SeriesFeed feed("h1");
  feed.set_entities({{store::vm_entity("web", web), {}},
                     {pair, {{0, Kpi::kPreemptedByCount, 0}}},
                     {other, {{0, Kpi::kPreemptedByCount, 0}}}});
  std::vector<store::RawMessage> messages = feed.tick(start, {7, 8});
  ASSERT_TRUE((*store)->append(messages));
  ASSERT_TRUE((*store)->write_pages());
  store::SeriesSelector selector;
  selector.kpi = Kpi::kPreemptedByCount;
  const auto exported = [&](ExportFormat format) {
    std::string text;
    const std::int64_t from_us = store::to_us(start);
    store::Allowance unlimited;
    const Exported what{{selector}, from_us, from_us + 1, format, {{db, "d,b"}, {web, "web"}}};
    EXPECT_TRUE(export_series(*(*store)->series(), what, unlimited, [&](std::string_view piece) {
      text += piece;
      return true;
    }));
    return text;
  };
  EXPECT_EQ(exported(ExportFormat::kCsv),
            "time_s,host,vm,uuid,kind,entity,kpi,bucket,value,entity_name\r\n"
            "1700006400.000000,h1,web," +
                web + ",vm_pair," + db +
                ",preempted_by_count,,7,\"d,b\"\r\n"
                "1700006400.000000,h1,web," +
                web + ",vm_pair,host,preempted_by_count,,8,\r\n");
  const std::string metrics = exported(ExportFormat::kOpenMetrics);
  EXPECT_NE(metrics.find("entity=\"" + db + "\",vm=\"web\",uuid=\"" + web + "\",entity_name=\"d,b\"} 7 "),
            std::string::npos)
      << metrics;
  EXPECT_NE(metrics.find("entity=\"host\",vm=\"web\",uuid=\"" + web + "\"} 8 "), std::string::npos) << metrics;
}

// Ten minutes of three buckets, of which one is not there from the third minute on: its count stays what it was.
TEST(SeriesExport, AHistogramReadInPartsIsWrittenAlike) {
  const Timestamp start = from_unix_ns(1'700'006'400'000'000'000);
  TemporaryDirectory directory;
  auto store = store::RocksStore::open({.directory = directory / "store"});
  ASSERT_TRUE(store) << store.error().message;
  store::SeriesFeed feed("h1");
  feed.set_entities(
      {{store::vm_entity("web", "00000000-0000-4000-8000-000000000001"),
        {{0, Kpi::kRunQueueLatencyNs, 3}, {0, Kpi::kRunQueueLatencyNs, 4}, {0, Kpi::kRunQueueLatencyNs, 6}}}});
  std::vector<store::RawMessage> messages;
  for (int i = 0; i < 600; ++i) {
    const auto first = i < 180 ? std::optional<std::int64_t>(i) : std::nullopt;
    for (auto& message : feed.tick(start + std::chrono::seconds(i), {first, 2 * i, 3 * i})) {
      messages.push_back(std::move(message));
    }
  }
  ASSERT_TRUE((*store)->append(messages));
  ASSERT_TRUE((*store)->write_pages());
  store::SeriesSelector selector;
  selector.kpi = Kpi::kRunQueueLatencyNs;
  const auto exported = [&](std::uint64_t bytes_max) {
    std::string text;
    store::Allowance allowance(bytes_max, {});
    const Exported what{{selector},
                        store::to_us(start),
                        store::to_us(start + std::chrono::seconds(600)),
                        ExportFormat::kOpenMetrics,
                        {}};
    const Status done = export_series(*(*store)->series(), what, allowance, [&](std::string_view piece) {
      text += piece;
      return true;
    });
    EXPECT_TRUE(done) << done.error().message;
    return text;
  };
  const std::string whole = exported(1 << 30);
  EXPECT_NE(whole.find("le=\"15.0\"} 179 1700006999.000000"), std::string::npos);
  EXPECT_EQ(exported(20'000), whole);
}

}  // namespace
}  // namespace proteus::api
