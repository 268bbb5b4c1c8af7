#include "controller/store/encoded_head.h"

#include <gtest/gtest.h>

namespace proteus::store {
namespace {

const HostId kHost("h1");

/// A tick each second; each holds so many bytes.
std::vector<EncodedRow> rows(int count, std::size_t bytes) {
  std::vector<EncodedRow> rows;
  for (int i = 0; i < count; ++i) {
    auto frame = std::make_shared<wire::EncodedFrame>();
    frame->time = from_unix_ns(1'700'000'000'000'000'000) + std::chrono::seconds(i);
    frame->values.assign(bytes, 'x');
    EncodedRow row;
    row.frame = frame;
    rows.push_back(row);
  }
  return rows;
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
  EXPECT_FALSE(completes(kHost, window.first(600), 600 * 100));
  EXPECT_TRUE(completes(kHost, window.first(601), 601 * 100));
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
    EXPECT_TRUE(chunk.ends_window || completes(kHost, left.first(chunk.rows), chunk.rows * each));
    left = left.subspan(chunk.rows);
  }
  EXPECT_EQ(largest, 201u);
  EXPECT_LE(left.size(), 201u);
}

TEST(EncodedHead, HoweverMuchItSendsAChunkHasItsLeastTicks) {
  const std::size_t each = kChunkBytesMax / 50;
  const std::vector<EncodedRow> all = rows(200, each);
  EXPECT_FALSE(completes(kHost, std::span(all).first(kChunkTicksMin - 1), each * (kChunkTicksMin - 1)));
  EXPECT_TRUE(completes(kHost, std::span(all).first(kChunkTicksMin), each * kChunkTicksMin));
}

}  // namespace
}  // namespace proteus::store
