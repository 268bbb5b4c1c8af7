#include "controller/store/page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <sstream>

#include "controller/store/packed_block.h"
#include "controller/store/page_head.h"
#include "controller/store/series_head.h"

namespace proteus::store {
namespace {

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

using Row = std::vector<std::optional<std::int64_t>>;  // one for each tick
using Rows = std::map<SeriesKey, Row>;

std::string build(const Rows& rows, std::uint32_t ticks, std::int64_t unit) {
  PageBuilder builder(ticks, unit);
  for (const auto& [key, row] : rows) {
    std::vector<std::int64_t> values;
    PresenceWords present((ticks + 63) / 64);
    for (std::uint32_t tick = 0; tick < ticks; ++tick) {
      values.push_back(row[tick].value_or(123));
      if (row[tick]) present[tick / 64] |= std::uint64_t{1} << tick % 64;
    }
    const bool all = std::all_of(row.begin(), row.end(), [](const auto& v) { return v.has_value(); });
    builder.add(key, values, all && key.bucket % 2 == 0 ? std::span<const std::uint64_t>() : present);
  }
  return builder.finish();
}

/// Whether those with some of the numbers are what all of them are.
void expect_same_at(const Page& page, const PageEntry& entry, const std::vector<std::int64_t>& values) {
  const auto count = static_cast<std::uint32_t>(values.size());
  for (const std::uint32_t stride : {1u, 2u, 7u, 130u, count}) {
    for (const std::uint32_t begin : {0u, stride - 1}) {
      std::vector<std::uint32_t> wanted;
      std::vector<std::int64_t> expected;
      for (std::uint32_t i = begin; i < count; i += stride) {
        wanted.push_back(i);
        expected.push_back(values[i]);
      }
      if (wanted.empty()) continue;
      std::vector<std::int64_t> some;
      EXPECT_TRUE(page.decode_at(entry, wanted, some));
      EXPECT_EQ(some, expected) << "every " << stride << " from " << begin << ", mode " << static_cast<int>(entry.mode);
    }
  }
}

/// Errors turn into a failed expectation and no rows.
Rows read(const Page& page) {
  Rows rows;
  for (const PageEntry& entry : page.entries()) {
    std::vector<std::int64_t> values;
    std::vector<std::uint32_t> ticks;
    EXPECT_TRUE(page.decode(entry, values));
    EXPECT_TRUE(page.ticks_of(entry, ticks));
    if (values.size() != ticks.size() || values.size() != entry.count) {
      ADD_FAILURE() << values.size() << " values at " << ticks.size() << " ticks";
      return {};
    }
    expect_same_at(page, entry, values);
    Row row(page.ticks());
    for (std::size_t i = 0; i < values.size(); ++i) row[ticks[i]] = values[i];
    rows.emplace(entry.key, std::move(row));
  }
  return rows;
}

void expect_same(const Rows& rows, std::uint32_t ticks, std::int64_t unit, const std::string& what) {
  const auto page = Page::open(build(rows, ticks, unit));
  ASSERT_TRUE(page) << what << ": " << page.error().message;
  EXPECT_EQ(page->ticks(), ticks);
  Rows expected;
  for (const auto& [key, row] : rows) {
    if (std::any_of(row.begin(), row.end(), [](const auto& v) { return v.has_value(); })) expected.emplace(key, row);
  }
  EXPECT_EQ(read(*page), expected) << what;

  for (const auto& [key, row] : expected) {
    const PageEntry* entry = page->find(key);
    ASSERT_NE(entry, nullptr) << what;
    std::vector<std::int64_t> values;
    for (const auto& value : row) {
      if (value) values.push_back(*value);
    }
    EXPECT_EQ(entry->count, values.size());
    EXPECT_EQ(entry->first, values.front());
    EXPECT_EQ(entry->last, values.back());
    EXPECT_EQ(entry->min, *std::min_element(values.begin(), values.end())) << what;
    EXPECT_EQ(entry->max, *std::max_element(values.begin(), values.end())) << what;
    EXPECT_EQ(entry->monotone, std::is_sorted(values.begin(), values.end()));
    Uint128 sum = 0;
    for (const auto value : values) {
      sum += static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(entry->min);
    }
    EXPECT_TRUE(entry->sum_above_min == sum) << what;
  }
}

/// A series of the kinds that hosts have: by number.
Row make_row(int kind, std::uint32_t ticks, std::int64_t unit, std::mt19937_64& random) {
  Row row(ticks);
  std::int64_t value = static_cast<std::int64_t>(random() % 1'000'000'000) * unit;
  for (std::uint32_t tick = 0; tick < ticks; ++tick) {
    switch (kind) {
      case 0: break;                                                                             // constant
      case 1: value += random() % 50 == 0 ? unit : 0; break;                                     // rare steps
      case 2: value += static_cast<std::int64_t>(random() % 1000) * unit; break;                 // counter
      case 3: value = static_cast<std::int64_t>(random() % 100'000) * unit; break;               // noise
      case 4: value += 1'000'000 * unit; break;                                                  // steady counter
      case 5: value = random() % 200 == 0 ? static_cast<std::int64_t>(random()) : value; break;  // spikes, any bits
      case 6: value = static_cast<std::int64_t>(random()); break;                                // any bits at all
      case 7: value = random() % 2 == 0 ? kLeast : kMost; break;                                 // extremes
      case 8: value = static_cast<std::int64_t>(random() % 1000) * 4096; break;  // whole pages of memory
      default: value = random() % 90 == 0 ? 0 : value + 3 * unit; break;         // counter that restarts
    }
    row[tick] = value;
  }
  return row;
}

TEST(PackedBlock, EveryWidthComesBack) {
  std::mt19937_64 random(1);
  for (unsigned width = 0; width <= 64; ++width) {
    for (const std::size_t count : {1, 2, 7, 64, 127, 128}) {
      std::vector<std::int64_t> values(count);
      for (auto& value : values) {
        const std::uint64_t bits = width == 64 ? random() : random() & ((std::uint64_t{1} << width) - 1);
        value = static_cast<std::int64_t>(bits - (std::uint64_t{1} << 40));
      }
      if (count > 60) values[count / 2] = kMost;
      std::string bytes;
      put_block(bytes, values);
      const std::size_t size = bytes.size();
      bytes.append(kBlockPadding, '\xff');
      const auto* begin = reinterpret_cast<const unsigned char*>(bytes.data());
      ByteSpan in{begin, begin + size};
      std::vector<std::int64_t> back(count);
      ASSERT_TRUE(take_block(in, count, back.data())) << width;
      EXPECT_EQ(in.at, in.end);
      EXPECT_EQ(back, values) << width << " " << count;
    }
  }
}

TEST(PackedBlock, OneLargeValueDoesNotWidenTheOthers) {
  std::vector<std::int64_t> values(128, 5);
  values[77] = 1'000'000'000'000;
  std::string bytes;
  put_block(bytes, values);
  EXPECT_LE(bytes.size(), 12u);
}

TEST(Page, SeriesOfEveryKindComeBack) {
  std::mt19937_64 random(2);
  for (const std::uint32_t ticks : {1u, 2u, 3u, 64u, 127u, 128u, 129u, 600u, 1000u}) {
    for (const std::int64_t unit : {std::int64_t{1}, std::int64_t{1000}}) {
      Rows rows;
      for (int i = 0; i < 40; ++i) {
        rows[{static_cast<std::uint32_t>(i / 4) * 7, static_cast<std::uint8_t>(i % 4)}] =
            make_row(i % 10, ticks, unit, random);
      }
      expect_same(rows, ticks, unit, std::to_string(ticks) + " ticks");
    }
  }
}

TEST(Page, MissingValuesStayAbsent) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const auto ticks = static_cast<std::uint32_t>(1 + random() % 300);
    Rows rows;
    for (int i = 0; i < 6; ++i) {
      Row row = make_row(static_cast<int>(random() % 10), ticks, 1, random);
      switch (random() % 4) {
        case 0:  // came late, left early
          for (std::uint32_t tick = 0; tick < ticks; ++tick) {
            if (tick < ticks / 3 || tick > ticks / 2) row[tick].reset();
          }
          break;
        case 1:  // now and then
          for (auto& value : row) {
            if (random() % 3 == 0) value.reset();
          }
          break;
        case 2:  // never
          for (auto& value : row) value.reset();
          break;
        default: break;
      }
      rows[{static_cast<std::uint32_t>(i), 0}] = std::move(row);
    }
    expect_same(rows, ticks, 1, "round " + std::to_string(round));
  }
}

TEST(Page, ExtremesOfEveryPairComeBack) {
  const std::vector<std::int64_t> values = {kLeast, kMost, 0, -1, 1, kLeast + 1, kMost - 1};
  Rows rows;
  std::uint32_t number = 0;
  for (const auto a : values) {
    for (const auto b : values) rows[{number++, 0}] = {a, b, a, a, b};
  }
  expect_same(rows, 5, 1, "pairs");
}

TEST(Page, AValueOffItsUnitIsNotRounded) {
  expect_same({{{1, 0}, {1000, 2000, 3001}}, {{2, 0}, {0, 0, 0}}}, 3, 1000, "off");
  expect_same({{{1, 0}, {-1000, 5000, -3000}}}, 3, 1000, "negative");
}

TEST(Page, ConstantSeriesTakeTwoBytesOrLess) {
  Rows rows;
  for (std::uint32_t i = 0; i < 1000; ++i) rows[{i, 0}] = Row(600, 4096 + i % 3);
  EXPECT_LT(build(rows, 600, 1).size(), 2000u);
}

TEST(Page, EachFlippedBitIsFound) {
  std::mt19937_64 random(4);
  const std::string page =
      build({{{1, 0}, make_row(2, 100, 1, random)}, {{2, 3}, make_row(1, 100, 1, random)}}, 100, 1);
  for (std::size_t bit = 0; bit < 8 * page.size(); ++bit) {
    std::string damaged = page;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    const auto opened = Page::open(damaged);
    ASSERT_FALSE(opened) << "bit " << bit;
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
  }
  for (std::size_t size = 0; size < page.size(); ++size) EXPECT_FALSE(Page::open(page.substr(0, size)));
}

// Behind the checksum: whatever the bytes are, it ends, within its limits, and reads nothing that is not there (asan).
TEST(Page, BodiesThatAreNoneAreRefusedOrRead) {
  std::mt19937_64 random(5);
  int opened = 0;  // small numbers often make a directory that holds
  for (int round = 0; round < 20'000; ++round) {
    std::string body(1 + random() % 60, '\0');
    for (char& c : body) c = static_cast<char>(random() % 4 == 0 ? random() : random() % 4);
    const auto read_back =
        Page::from_body(body, static_cast<std::uint32_t>(1 + random() % 200), static_cast<std::uint32_t>(random() % 6));
    if (!read_back) continue;
    ++opened;
    for (const PageEntry& entry : read_back->entries()) {
      std::vector<std::int64_t> values;
      std::vector<std::uint32_t> ticks;
      const Status decoded = read_back->decode(entry, values);
      const Status placed = read_back->ticks_of(entry, ticks);
      if (decoded && placed) {
        EXPECT_EQ(values.size(), ticks.size());
      }
    }
  }
  EXPECT_GT(opened, 0);
}

TEST(Page, OneOfTooManySeriesIsToldBeforeItIsKept) {
  for (const std::uint32_t more : {0u, 1u}) {
    PageBuilder builder(1, 1);
    for (std::uint32_t entity = 0; entity < kPageSeriesMax + more; ++entity) {
      builder.add({entity, 0}, std::array<std::int64_t, 1>{7}, {});
    }
    const std::string page = builder.finish();
    EXPECT_EQ(can_be_read(page), more == 0);
    EXPECT_EQ(Page::open(page).has_value(), more == 0);
  }
}

TEST(Page, NoMoreValuesAreJoinedThanFitIntoMemory) {
  PageBuilder builder(3, 1);
  for (std::uint32_t entity = 0; entity < 4; ++entity) {
    builder.add({entity, 0}, std::array<std::int64_t, 3>{7, 8, 9}, {});
  }
  const auto page = Page::open(builder.finish());
  ASSERT_TRUE(page);
  const std::vector<PagePart> twice = {{3, &*page}, {3, &*page}};
  const auto joined = join(twice, 1, 24);
  ASSERT_TRUE(joined) << joined.error().message;
  EXPECT_EQ(Page::open(*joined)->ticks(), 6u);
  EXPECT_FALSE(join(twice, 1, 23));
}

TEST(Page, LimitsHoldBeforeMemoryIsTaken) {
  EXPECT_FALSE(Page::from_body("\1", 0, 0));
  EXPECT_FALSE(Page::from_body("\1", kPageTicksMax + 1, 0));
  EXPECT_FALSE(Page::from_body("\1", 1, kPageSeriesMax));
  const std::string zero_unit("\0", 1);
  EXPECT_FALSE(Page::from_body(zero_unit, 1, 0));
  EXPECT_TRUE(Page::from_body("\1", 1, 0));
  // A head that promises more than may be.
  std::string page = build({{{1, 0}, {1, 2, 3}}}, 3, 1);
  PageHead head = *read_head(page);
  head.body_bytes = kPageBodyBytesMax + 1;
  head.compressed = true;
  write_head(head, page);
  const auto opened = Page::open(page);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message, "a page's body is too large");
}

/// Bytes in hexadecimal, 32 a line.
std::string hex_lines(const std::string& bytes) {
  std::ostringstream out;
  out << std::hex;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    out << (byte < 16 ? "0" : "") << static_cast<unsigned>(byte) << (i % 32 == 31 || i + 1 == bytes.size() ? "\n" : "");
  }
  return out.str();
}

// The drawing in page.h, byte by byte: one series of each mode and presence, uncompressed so that it can be followed.
TEST(Page, GoldenBytes) {
  Rows rows;
  rows[{1, 0}] = {7000, 7000, 7000, 7000};                  // constant, all
  rows[{1, 2}] = {std::nullopt, 1000, 3000, std::nullopt};  // a run
  rows[{4, 0}] = {5000, std::nullopt, 4000, 9000};          // bitmap
  rows[{300, 0}] = {0, 8000, 16000, 24000};                 // shift, steady
  const std::string page = build(rows, 4, 1000);
  std::ifstream file(PROTEUS_FIXTURES "/store/page.golden");
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(hex_lines(page), golden.str());
}

// The same of format 2: mostly small steps and a few large ones, one series by its differences and one in classes.
TEST(Page, GoldenBytesOfClasses) {
  Rows rows;
  std::mt19937 random(1);
  std::int64_t value = 0;
  for (int tick = 0; tick < 256; ++tick) {
    value += random() % 12 == 0 ? 100'000 + random() % 500'000 : random() % 4;
    rows[{1, 0}].push_back(1000 * value);
    rows[{2, 0}].push_back(1000 * (7'000'000 + value + tick % 2));
  }
  const std::string page = build(rows, 256, 1000);
  ASSERT_EQ(page[0], 2);
  std::ifstream file(PROTEUS_FIXTURES "/store/page_classes.golden");
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(hex_lines(page), golden.str());
}

}  // namespace
}  // namespace proteus::store
