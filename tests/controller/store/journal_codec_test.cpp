#include <gtest/gtest.h>

#include <random>
#include <string>

#include "controller/store/journal.h"
#include "tests/controller/store/journal_samples.h"

namespace proteus::store {
namespace {

class JournalCodec : public testing::TestWithParam<std::size_t> {};

TEST_P(JournalCodec, GivesBackEveryField) {
  std::mt19937_64 random(20240501 + GetParam());
  for (int i = 0; i < 300; ++i) {
    const JournalEntry entry{random(), from_unix_ns(static_cast<std::int64_t>(random())),
                             random_payload(random, GetParam())};
    const std::string bytes = encode(entry);
    const auto decoded = decode_journal_entry(bytes);
    ASSERT_TRUE(decoded) << decoded.error().message;
    ASSERT_TRUE(same(entry, *decoded)) << "round " << i;
    ASSERT_EQ(encode(*decoded), bytes) << "round " << i;
  }
}

TEST_P(JournalCodec, ReadsBytesAtAnyAddress) {
  std::mt19937_64 random(99 + GetParam());
  const JournalEntry entry{5, from_unix_ns(6), random_payload(random, GetParam())};
  const std::string shifted = "x" + encode(entry);
  const auto decoded = decode_journal_entry(std::string_view(shifted).substr(1));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_TRUE(same(entry, *decoded));
}

// Damage may give another entry or an error, never a crash or an endless read.
TEST_P(JournalCodec, SurvivesDamage) {
  std::mt19937_64 random(7 + GetParam());
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string bytes = encode({1, from_unix_ns(2), random_payload(random, GetParam())});
    if (i % 2 == 0) {
      bytes.resize(random() % bytes.size());
    } else {
      for (int flips = 0; flips < 3; ++flips) bytes[random() % bytes.size()] ^= static_cast<char>(1 << (random() % 8));
    }
    const auto decoded = decode_journal_entry(bytes);
    if (!decoded) {
      EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt);
      ++refused;
    }
  }
  EXPECT_GT(refused, 300);
}

INSTANTIATE_TEST_SUITE_P(AllKinds, JournalCodec, testing::Range<std::size_t>(0, std::variant_size_v<JournalPayload>));

TEST(JournalCodecForm, EqualEntriesAreEqualBytes) {
  ham::Decision a;
  a.chosen.score = {.performance = 0.0, .utilisation = -1, .cost = 2, .latency = 0.0};
  ham::Decision b = a;
  b.chosen.score.performance = -0.0;
  b.chosen.score.latency = -0.0;
  ASSERT_EQ(a.chosen.score, b.chosen.score);
  EXPECT_EQ(encode({1, from_unix_ns(1), a}), encode({1, from_unix_ns(1), b}));
  b.chosen.score.latency = 1e-300;
  EXPECT_NE(encode({1, from_unix_ns(1), a}), encode({1, from_unix_ns(1), b}));
}

TEST(JournalCodecForm, UnknownEnumerationsAreRefused) {
  const JournalEntry entry{1, from_unix_ns(1),
                           step(3, drs::ActionState::kIntended, drs::ActionState{77}, from_unix_ns(1))};
  const auto decoded = decode_journal_entry(encode(entry));
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(decoded.error().message.find("action state 77"), std::string::npos) << decoded.error().message;
}

TEST(JournalCodecForm, NothingIsNoEntry) {
  EXPECT_FALSE(decode_journal_entry(""));
}

TEST(JournalLimits, ListsOfItemsThatHoldNothingComeBack) {
  ham::Decision decision;
  decision.alternatives.resize(1000);
  const auto back = decode_journal_entry(encode({1, Timestamp{}, decision}));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(std::get<ham::Decision>(back->payload).alternatives.size(), 1000u);
}

}  // namespace
}  // namespace proteus::store
