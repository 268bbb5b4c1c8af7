#include "controller/store/encoded_head.h"

#include <gtest/gtest.h>

namespace proteus::store {
namespace {

const HostId kHost("h1");

/// A tick each second; each holds so many bytes.
std::vector<EncodedRow> rows(int count, std::size_t bytes) {
  const auto catalog = std::make_shared<const wire::KnownCatalog>();
  std::vector<EncodedRow> rows;
  for (int i = 0; i < count; ++i) {
    auto frame = std::make_shared<wire::EncodedFrame>();
    frame->time = from_unix_ns(1'700'000'000'000'000'000) + std::chrono::seconds(i);
    frame->values.assign(bytes, 'x');
    EncodedRow row;
    row.frame = frame;
    row.known = catalog;
    rows.push_back(row);
  }
  return rows;
}

HeadSize size_of(std::span<const EncodedRow> rows) {
  HeadSize size;
  for (const EncodedRow& row : rows) size.add(row);
  return size;
}
bool is_complete(std::span<const EncodedRow> rows) {
  return completes(kHost, rows, size_of(rows));
}

std::shared_ptr<const wire::KnownCatalog> known(std::size_t series_count, std::size_t memory_bytes) {
  auto known = std::make_shared<wire::KnownCatalog>();
  known->quanta.assign(series_count, 1);
  known->memory_bytes = memory_bytes;
  return known;
}

/// The rows of the first whole window.
std::span<const EncodedRow> whole_window(const std::vector<EncodedRow>& all) {
  const std::span<const EncodedRow> rows(all);
  const Cut first = cut(kHost, rows);
  EXPECT_TRUE(first.complete);
  EXPECT_TRUE(first.ends_window);
  return rows.subspan(first.rows);
}

TEST(EncodedHead, AChunkIsAsLongAsItsWindow) {
  const std::vector<EncodedRow> all = rows(1300, 100);
  const Cut chunk = cut(kHost, whole_window(all));
  EXPECT_EQ(chunk.rows, 600u);
  EXPECT_TRUE(chunk.complete);
  EXPECT_TRUE(chunk.ends_window);
}

TEST(EncodedHead, NothingIsCompleteBeforeItsWindowEnds) {
  const std::vector<EncodedRow> all = rows(1300, 100);
  const std::span<const EncodedRow> window = whole_window(all);
  EXPECT_FALSE(cut(kHost, window.first(600)).complete);
  EXPECT_FALSE(is_complete(window.first(600)));
  EXPECT_TRUE(is_complete(window.first(601)));
}

// All of it may be of one KPI, and a page that is too large could never be read.
TEST(EncodedHead, AChunkHasNoMoreBytesThanAPageMayHave) {
  const std::vector<EncodedRow> all = rows(40, 1u << 20);
  EXPECT_FALSE(size_of(std::span(all).first(15)).is_full());
  EXPECT_TRUE(size_of(std::span(all).first(16)).is_full());
}

TEST(EncodedHead, AHostThatSendsMuchHasSeveralChunksInAWindow) {
  const std::size_t each = kChunkBytesMax / 200;
  const std::vector<EncodedRow> all = rows(900, each);
  std::span<const EncodedRow> left(all);
  std::size_t largest = 0;
  while (cut(kHost, left).complete) {
    const Cut chunk = cut(kHost, left);
    largest = std::max(largest, chunk.rows);
    EXPECT_LE(chunk.rows, 201u);
    EXPECT_TRUE(chunk.ends_window || is_complete(left.first(chunk.rows)));
    left = left.subspan(chunk.rows);
  }
  EXPECT_EQ(largest, 201u);
  EXPECT_LE(left.size(), 201u);
}

TEST(EncodedHead, HoweverManyBytesItSendsAChunkHasItsLeastTicks) {
  const std::size_t each = kChunkBytesMax / 50;
  const std::vector<EncodedRow> all = rows(200, each);
  EXPECT_FALSE(is_complete(std::span(all).first(kChunkTicksMin - 1)));
  EXPECT_TRUE(is_complete(std::span(all).first(kChunkTicksMin)));
}

TEST(EncodedHead, NoMoreValuesAreDecodedTogetherThanFitIntoMemory) {
  std::vector<EncodedRow> all = rows(40, 100);
  const auto large = known(kChunkValuesMax / 16, 1000);
  for (EncodedRow& row : all) row.known = large;
  EXPECT_EQ(cut(kHost, all).rows, 16u);
  EXPECT_TRUE(cut(kHost, all).complete);
  EXPECT_FALSE(is_complete(std::span(all).first(15)));
  EXPECT_TRUE(is_complete(std::span(all).first(16)));
}

TEST(EncodedHead, NoMoreCatalogsAreHeldThanFitIntoMemory) {
  std::vector<EncodedRow> all = rows(40, 100);
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].known = i % 2 == 0 ? known(10, kChunkCatalogBytesMax / 4) : all[i - 1].known;  // each for two ticks
  }
  EXPECT_EQ(cut(kHost, all).rows, 7u) << "with the first tick of the fourth";
  EXPECT_TRUE(cut(kHost, all).complete);
  EXPECT_TRUE(is_complete(std::span(all).first(7)));
  EXPECT_FALSE(is_complete(std::span(all).first(6)));
}

TEST(EncodedHead, CatalogsThatTakeTurnsAreHeldOnce) {
  std::vector<EncodedRow> all = rows(100, 100);
  const auto even = known(10, kChunkCatalogBytesMax / 4);
  const auto odd = known(10, kChunkCatalogBytesMax / 4);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].known = i % 2 == 0 ? even : odd;
  EXPECT_FALSE(size_of(all).is_full());
}

}  // namespace
}  // namespace proteus::store
