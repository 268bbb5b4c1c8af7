#include "agent/resident_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace proteus {
namespace {

constexpr std::size_t kBytes = 1 << 20;

/// A private mapping of a file full of 'x'.
char* map_file(int protection) {
  char name[] = "/tmp/proteus-resident-XXXXXX";
  const int fd = ::mkstemp(name);
  const std::string content(kBytes, 'x');
  EXPECT_EQ(::write(fd, content.data(), kBytes), static_cast<ssize_t>(kBytes));
  ::unlink(name);
  void* mapped = ::mmap(nullptr, kBytes, protection, MAP_PRIVATE, fd, 0);
  ::close(fd);
  return static_cast<char*>(mapped);
}

/// Counts 'x', which touches every page.
std::size_t count_x(const char* bytes) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < kBytes; ++i) count += bytes[i] == 'x' ? 1 : 0;
  return count;
}

TEST(ReleaseStartUpMemory, LetsGoOfFilesAndOfNothingThatIsOurs) {
  char* constants = map_file(PROT_READ);
  char* relocated = map_file(PROT_READ | PROT_WRITE);
  ASSERT_NE(constants, MAP_FAILED);
  ASSERT_NE(relocated, MAP_FAILED);
  EXPECT_EQ(count_x(constants), kBytes);
  relocated[5] = 'y';
  ASSERT_EQ(::mprotect(relocated, kBytes, PROT_READ), 0);  // as the loader does when it has relocated

  EXPECT_GE(release_start_up_memory(), kBytes);
  EXPECT_EQ(count_x(constants), kBytes) << "it is read again";
  EXPECT_EQ(relocated[5], 'y') << "what was written is kept";
  EXPECT_EQ(count_x(relocated), kBytes - 1);
  ::munmap(constants, kBytes);
  ::munmap(relocated, kBytes);
}

}  // namespace
}  // namespace proteus
