#include "common/standard_output.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace proteus {
namespace {

[[noreturn]] void end_with(int code, const char* output) {
  if (std::freopen(output, "w", stdout) == nullptr) std::abort();
  std::cout << "a result";
  _exit(flushed(code, "program"));
}

// Of "differences were found" or "nothing was measured" nobody learned that the answer was lost.
TEST(StandardOutput, WhatIsLostIsToldWhateverTheCode) {
  const char* told = "program: cannot write to standard output: No space left on device";
  for (const int result : {0, 4, 5, 6}) EXPECT_EXIT(end_with(result, "/dev/full"), testing::ExitedWithCode(1), told);
  for (const int error : {1, 2, 3}) EXPECT_EXIT(end_with(error, "/dev/full"), testing::ExitedWithCode(error), told);
}

TEST(StandardOutput, WhatIsWrittenLeavesTheCode) {
  for (const int code : {0, 1, 5}) EXPECT_EXIT(end_with(code, "/dev/null"), testing::ExitedWithCode(code), "^$");
}

}  // namespace
}  // namespace proteus
