#include "agent/collect/catalog_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace proteus::collect {
namespace {

TEST(Quantised, FloorsAlsoBelowZero) {
  EXPECT_EQ(quantised(1999, 1000), 1000);
  EXPECT_EQ(quantised(2000, 1000), 2000);
  EXPECT_EQ(quantised(-1, 1), -1);
  EXPECT_EQ(quantised(-1, 1000), -1000);
  EXPECT_EQ(quantised(0, 1000), 0);
}

TEST(Quantised, SumsOfDifferencesStayExact) {
  std::int64_t counter = 0;
  std::int64_t sum = 0;
  std::int64_t sent = 0;
  for (int i = 0; i < 1000; ++i) {
    counter += 1234;  // never a multiple
    const std::int64_t now = quantised(counter, 1000);
    sum += now - sent;
    sent = now;
  }
  EXPECT_LT(counter - sum, 1000);
  EXPECT_GE(counter - sum, 0);
}

template <typename Sink>
void walk(Sink& sink) {
  sink.entity([] { return Entity{EntityKind::kHost, kNoParent, "h", {}, {}}; });
  sink.value(Kpi::kHostCpuTimeNs, 1'234'567);
  sink.value(Kpi::kHostMemoryTotalBytes, std::nullopt);
  const auto vm = sink.entity([] { return Entity{EntityKind::kVm, 0, "a", "u", {}}; });
  EXPECT_EQ(vm, 1u);
  std::array<std::int64_t, kHistogramBucketCount> counts{};
  counts[3] = 7;
  sink.histogram(Kpi::kRunQueueLatencyNs, counts.data());
  sink.histogram(Kpi::kCpuSliceNs, static_cast<const std::int64_t*>(nullptr));
}

TEST(CatalogWalk, NamesAndValuesLineUp) {
  CatalogSink names;
  walk(names);
  constexpr std::size_t kBuckets = kHistogramBucketCount;
  ASSERT_EQ(names.series().size(), 2 + 2 * kBuckets);
  EXPECT_EQ(names.series()[0], (Series{0, Kpi::kHostCpuTimeNs, 0}));
  EXPECT_EQ(names.series()[2 + 3], (Series{1, Kpi::kRunQueueLatencyNs, 3}));
  EXPECT_EQ(names.series().back(), (Series{1, Kpi::kCpuSliceNs, kBuckets - 1}));

  Catalog catalog;
  catalog.series = names.series();
  Frame frame;
  FrameSink values(catalog, frame);
  walk(values);
  std::vector<std::int64_t> wanted(2 + 2 * kBuckets);
  wanted[0] = 1'234'000;
  wanted[2 + 3] = 7;
  EXPECT_EQ(frame.values, wanted);
  std::vector<std::uint8_t> present(2 + 2 * kBuckets, 1);
  present[1] = 0;
  std::fill(present.begin() + 2 + kBuckets, present.end(), 0);
  EXPECT_EQ(frame.present, present);
}

}  // namespace
}  // namespace proteus::collect
