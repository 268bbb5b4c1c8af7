#include "controller/store/classed_values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "controller/store/packed_block.h"
#include "controller/store/page.h"
#include "controller/store/page_choice.h"
#include "controller/store/page_head.h"

namespace proteus::store {
namespace {

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

struct Parts {
  std::string payload, symbols, rests;
};

Parts put(const ClassedForm& form, const std::vector<std::int64_t>& values, const std::vector<std::int64_t>& other) {
  Parts parts;
  put_classed(form, values, other, parts.payload, parts.symbols, parts.rests);
  return parts;
}

/// nullopt: refused.
std::optional<std::vector<std::int64_t>> take(const Parts& parts, std::int64_t first,
                                              const std::vector<std::int64_t>& other, std::uint64_t factor = 1) {
  ClassedHead head;
  if (!take_classed_head({bytes_of(parts.payload), bytes_of(parts.payload) + parts.payload.size()}, head)) {
    return std::nullopt;
  }
  const std::string padded = parts.rests + std::string(kBlockPadding, '\xff');
  const ByteSpan rests{bytes_of(padded), bytes_of(padded) + parts.rests.size()};
  std::vector<std::int64_t> values(parts.symbols.size() + 1);
  const std::span<const unsigned char> symbols(bytes_of(parts.symbols), parts.symbols.size());
  if (!take_classed(head, symbols, rests, first, factor, other, {}, values)) return std::nullopt;
  const std::vector<std::uint32_t> wanted = {0, static_cast<std::uint32_t>(values.size() / 2),
                                             static_cast<std::uint32_t>(values.size() - 1)};
  std::vector<std::int64_t> some(wanted.size());
  EXPECT_TRUE(take_classed(head, symbols, rests, first, factor, other, wanted, some));
  EXPECT_EQ(some, (std::vector<std::int64_t>{values[0], values[wanted[1]], values.back()}));
  return values;
}

/// Sizes that differ much from one to the next, as those of what happens on a host.
std::int64_t heavy_tailed(std::mt19937_64& random, unsigned bits_max) {
  const auto bits = static_cast<unsigned>(random() % (bits_max + 1));
  return bits == 0 ? 0 : static_cast<std::int64_t>(random() >> (64 - bits));
}

std::vector<std::int64_t> counter(std::size_t count, unsigned bits_max, std::mt19937_64& random) {
  std::vector<std::int64_t> values{heavy_tailed(random, 40)};
  while (values.size() < count) {
    values.push_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(values.back()) +
                                               static_cast<std::uint64_t>(heavy_tailed(random, bits_max))));
  }
  return values;
}

TEST(ClassedValues, EachFormComesBack) {
  std::mt19937_64 random(1);
  for (const unsigned bits_max : {0u, 1u, 3u, 20u, 57u, 58u, 63u}) {
    for (const std::size_t count : {2, 3, 64, 65, 66, 129, 600}) {
      const auto values = counter(count, bits_max, random);
      const auto other = counter(count, bits_max, random);
      for (const ClassedOf of :
           {ClassedOf::kValues, ClassedOf::kDifferences, ClassedOf::kAlike, ClassedOf::kOpposite}) {
        for (const bool zigzag : {false, true}) {
          const ClassedForm form{of, zigzag, zigzag ? 17 : kLeast, of >= ClassedOf::kAlike ? 3u : 0u};
          const Parts parts = put(form, values, other);
          EXPECT_EQ(parts.symbols.size(), count - 1);
          const auto back = take(parts, values.front(), other);
          ASSERT_TRUE(back) << bits_max << " " << count;
          EXPECT_EQ(*back, values) << bits_max << " " << count << " " << static_cast<int>(of) << zigzag;
        }
      }
    }
  }
}

TEST(ClassedValues, ExtremesComeBack) {
  const std::vector<std::int64_t> values = {kLeast, kMost, 0, -1, 1, kLeast + 1, kMost - 1, kMost, kLeast};
  for (const ClassedOf of : {ClassedOf::kValues, ClassedOf::kDifferences, ClassedOf::kAlike, ClassedOf::kOpposite}) {
    for (const bool zigzag : {false, true}) {
      const std::vector<std::int64_t> other(values.rbegin(), values.rend());
      const auto back = take(put({of, zigzag, kLeast, 1}, values, other), values.front(), other);
      ASSERT_TRUE(back);
      EXPECT_EQ(*back, values);
    }
  }
}

TEST(ClassedValues, AreMultiplied) {
  const std::vector<std::int64_t> values = {5, 6, 100, -3};
  const auto back = take(put({ClassedOf::kDifferences, true}, values, {}), 5, {}, 4000);
  EXPECT_EQ(back, (std::vector<std::int64_t>{20'000, 24'000, 400'000, -12'000}));
}

TEST(ClassedValues, TheMostFrequentClassIsTheFirstSymbol) {
  const Parts parts = put({ClassedOf::kDifferences, false}, {0, 0, 5, 10, 15, 20, 20, 25}, {});
  EXPECT_EQ(parts.symbols, std::string("\1\0\0\0\0\1\0", 7));  // 5 has three bits, 0 none
}

TEST(ClassedValues, DamageIsRefused) {
  std::mt19937_64 random(2);
  const auto values = counter(300, 20, random);
  const Parts whole = put({ClassedOf::kDifferences, false}, values, {});
  Parts parts = whole;
  parts.rests.pop_back();
  EXPECT_FALSE(take(parts, 0, {}));
  parts = whole;
  parts.rests.push_back('\0');
  EXPECT_FALSE(take(parts, 0, {}));
  parts = whole;
  parts.symbols[7] = 21;  // more than there are classes
  EXPECT_FALSE(take(parts, 0, {}));
  parts = whole;
  parts.payload.back() = parts.payload[parts.payload.size() - 2];  // a class twice
  EXPECT_FALSE(take(parts, 0, {}));
  parts = whole;
  parts.payload.back() = 65;
  EXPECT_FALSE(take(parts, 0, {}));
  parts = whole;
  parts.payload[0] = 8;
  EXPECT_FALSE(take(parts, 0, {}));
  for (std::size_t size = 0; size < whole.payload.size(); ++size) {
    parts = whole;
    parts.payload.resize(size);
    EXPECT_FALSE(take(parts, 0, {}));
  }
}

std::string page_of(const std::vector<std::vector<std::int64_t>>& series) {
  PageBuilder builder(static_cast<std::uint32_t>(series.front().size()), 1);
  std::uint32_t number = 0;
  for (const auto& values : series) builder.add({++number, 0}, values, {});
  return builder.finish();
}

std::vector<Mode> modes_of(const std::string& page) {
  std::vector<Mode> modes;
  const auto opened = Page::open(page);
  if (!opened) return modes;
  for (const PageEntry& entry : opened->entries()) modes.push_back(entry.mode);
  return modes;
}

TEST(PageChoice, SizesThatDifferMuchAreClassedAndEvenOnesAreNot) {
  std::mt19937_64 random(3);
  std::vector<std::int64_t> even{0};
  while (even.size() < 600) even.push_back(even.back() + static_cast<std::int64_t>(random() % 1024));
  std::vector<std::int64_t> rare(600, 7);
  for (std::size_t i = 300; i < 600; ++i) rare[i] = 8;
  const std::string page = page_of({counter(600, 20, random), even, rare, std::vector<std::int64_t>(600, 1)});
  EXPECT_EQ(modes_of(page), (std::vector{Mode::kClassed, Mode::kDelta, Mode::kSparse, Mode::kConstant}));
}

TEST(PageChoice, ASeriesThatMovesLikeAnotherTakesLittle) {
  std::mt19937_64 random(4);
  const auto one = counter(600, 20, random);
  std::vector<std::int64_t> like;
  std::vector<std::int64_t> opposite;
  for (const std::int64_t value : one) {
    like.push_back(value + 1000 + static_cast<std::int64_t>(random() % 2));
    opposite.push_back(-value + static_cast<std::int64_t>(random() % 2));
  }
  const std::size_t alone = page_of({one}).size();
  EXPECT_LT(page_of({one, like}).size(), alone + 300);
  EXPECT_LT(page_of({one, opposite}).size(), alone + 300);
  EXPECT_LT(page_of({one, counter(600, 20, random), like, opposite}).size(), 2 * alone + 600);

  const std::string page = page_of({one, like, opposite});
  const auto opened = Page::open(page);
  ASSERT_TRUE(opened);
  std::vector<std::int64_t> values;
  ASSERT_TRUE(opened->decode(opened->entries()[1], values));
  EXPECT_EQ(values, like);
  ASSERT_TRUE(opened->decode(opened->entries()[2], values));
  EXPECT_EQ(values, opposite);
}

/// The body of a page of two series of `count` values, the second like the first; the second's form is `form`.
std::string body_of(const std::vector<std::int64_t>& one, const std::vector<std::int64_t>& like, char form) {
  std::string payload;
  std::string symbols;
  std::string rests;
  put_classed({ClassedOf::kDifferences, false}, one, {}, payload, symbols, rests);
  const std::size_t first_payload = payload.size();
  const std::size_t first_rests = rests.size();
  put_classed({ClassedOf::kAlike, true, 0, 1}, like, one, payload, symbols, rests);
  std::string body("\1\1\1\0\0", 5);  // unit, entities, buckets
  const char monotone = static_cast<char>(form_of(Mode::kClassed, Presence::kAll, true, false));
  body += {monotone, form};
  put_varint(body, zigzag(one.front()));
  put_varint(body, zigzag(like.front()));
  put_varint(body, zigzag(one.back() - one.front()));
  put_varint(body, zigzag(like.back() - like.front()));
  body += std::string("\0\0", 2);  // sums: no matter
  put_varint(body, first_payload);
  put_varint(body, payload.size() - first_payload);
  put_varint(body, first_rests);
  put_varint(body, rests.size() - first_rests);
  return body + payload + symbols + rests;
}

// Behind the checksum: whatever the bytes are, it ends, within its limits, and reads nothing that is not there (asan).
TEST(ClassedPage, BodiesThatAreNoneAreRefusedOrRead) {
  std::mt19937_64 random(5);
  const auto one = counter(70, 9, random);
  std::vector<std::int64_t> like;
  for (const std::int64_t value : one) like.push_back(value + 5);
  const char monotone = static_cast<char>(form_of(Mode::kClassed, Presence::kAll, true, false));
  const std::string whole = body_of(one, like, monotone);
  std::vector<std::int64_t> values;
  {
    const auto page = Page::from_body(whole, 70, 2);
    ASSERT_TRUE(page) << page.error().message;
    ASSERT_TRUE(page->decode(page->entries()[1], values));
    EXPECT_EQ(values, like);
  }
  int opened = 0;
  int decoded = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string body = whole;
    for (int i = 0; i < 1 + round % 3; ++i) body[random() % body.size()] = static_cast<char>(random());
    const auto page = Page::from_body(body, 70, 2);
    if (!page) continue;
    ++opened;
    for (const PageEntry& entry : page->entries()) {
      if (page->decode(entry, values)) ++decoded;
    }
  }
  EXPECT_GT(opened, 1000);
  EXPECT_GT(decoded, 1000);
}

TEST(ClassedPage, ASeriesMayOnlyBeLikeAWholeOneInFrontOfIt) {
  std::mt19937_64 random(6);
  const auto one = counter(70, 9, random);
  const char monotone = static_cast<char>(form_of(Mode::kClassed, Presence::kAll, true, false));
  std::string body = body_of(one, one, monotone);
  std::vector<std::int64_t> values;
  // The second's payload says how far in front the other one is, behind its form and reference.
  std::string payload;
  std::string symbols;
  std::string rests;
  put_classed({ClassedOf::kAlike, true, 0, 1}, one, one, payload, symbols, rests);
  const std::size_t at = body.rfind(payload);
  ASSERT_NE(at, std::string::npos);
  body[at + 2] = 2;
  const auto page = Page::from_body(body, 70, 2);
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->decode(page->entries()[0], values));
  const Status decoded = page->decode(page->entries()[1], values);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace proteus::store
