#include "agent/collect/text_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>

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

// The table of mounts has such records too, of overlays of many layers. Here it is the list of a process's mappings, of
// which some are of a file whose path is long, each behind others that leave it no room on the kernel's page.
TEST(TextFile, AShortReadBeforeALongRecordIsNotTheEnd) {
  const FixtureRoot root;
  std::string name;
  while (root.path().size() + name.size() < 3400) name += "/" + std::string(200, 'd');
  root.write(name + "/mapped", "x");
  const int fd = ::open((root.path() + name + "/mapped").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  constexpr std::size_t kLong = 8, kShortBetween = 20;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t length = kLong * (kShortBetween + 1) * page;
  void* const all = ::mmap(nullptr, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(all, MAP_FAILED);
  auto* at = static_cast<char*>(all);
  for (std::size_t i = 0; i < kLong; ++i) {
    for (std::size_t k = 0; k < kShortBetween; ++k, at += page) {
      ASSERT_EQ(::mprotect(at, page, k % 2 == 0 ? PROT_READ : PROT_NONE), 0);
    }
    ASSERT_NE(::mmap(at, page, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0), MAP_FAILED);
    at += page;
  }
  const std::string maps = read_file("/proc/self/maps").value_or("");
  ::munmap(all, length);
  ::close(fd);
  std::size_t found = 0;
  for (std::size_t from = maps.find(name); from != std::string::npos; from = maps.find(name, from + 1)) ++found;
  EXPECT_EQ(found, kLong);
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
