#include "agent/collect/text_file.h"

#include <gtest/gtest.h>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {
namespace {

TEST(TextFile, RereadsAFileThatChanges) {
  const FixtureRoot root;
  root.write("/f", "1\n");
  TextFile file(root.path() + "/f");
  EXPECT_EQ(file.read(), "1\n");
  root.write("/f", "22\n");
  EXPECT_EQ(file.read(), "22\n");
}

TEST(TextFile, FindsAFileThatAppearsLater) {
  const FixtureRoot root;
  TextFile file(root.path() + "/f");
  EXPECT_FALSE(file.read());
  root.write("/f", "x");
  EXPECT_EQ(file.read(), "x");
}

TEST(TextFile, ReadsAFileLargerThanItsBufferWhole) {
  const FixtureRoot root;
  const std::string text(300'000, 'a');
  root.write("/f", text + "z");
  TextFile file(root.path() + "/f");
  const auto read = file.read();
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, text + "z");
}

TEST(TextFile, ReadsAKernelFileThatComesInPieces) {
  TextFile file("/proc/kallsyms");  // larger than any one read
  const auto first = file.read();
  if (!first) GTEST_SKIP() << "no /proc/kallsyms here";
  EXPECT_GT(first->size(), 10'000u);
}

TEST(ParseNumber, TakesTheLeadingNumber) {
  EXPECT_EQ(parse_number(" 42 kB"), 42);
  EXPECT_EQ(parse_number("-1\n"), -1);
  EXPECT_EQ(parse_number("max 100000"), std::nullopt);
  EXPECT_EQ(parse_number(""), std::nullopt);
  EXPECT_EQ(parse_number("18446744073709551615"), INT64_MAX);  // "no limit" of control groups v1
}

TEST(NumberAfter, WantsTheWholeKeyAtTheStartOfALine) {
  const std::string_view text = "throttled_time_x 7\nnot throttled_time 8\nthrottled_time 9\n";
  EXPECT_EQ(number_after(text, "throttled_time"), 9);
  EXPECT_EQ(number_after(text, "absent"), std::nullopt);
}

TEST(Under, JoinsWithOneSlash) {
  EXPECT_EQ(under("/", "/proc"), "/proc");
  EXPECT_EQ(under("/x/", "/proc"), "/x/proc");
}

}  // namespace
}  // namespace proteus::collect
