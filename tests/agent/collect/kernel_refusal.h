#pragma once

#include <gtest/gtest.h>

#include <string>

namespace proteus::collect {

/// Whether the verifier found fault with a program of ours. It says EACCES then; a kernel that lacks what the program
/// needs says something else, as does one that does not permit it.
inline bool is_our_fault(const std::string& reason) {
  return reason.find("program load failed: Permission denied") != std::string::npos;
}

}  // namespace proteus::collect

/// Ends a test whose program could not be loaded: skipped if the kernel is not able to, failed if the program is at
/// fault.
#define SKIP_UNLESS_OUR_FAULT(reason)                         \
  do {                                                        \
    const std::string why = (reason);                         \
    if (::proteus::collect::is_our_fault(why)) FAIL() << why; \
    GTEST_SKIP() << why;                                      \
  } while (false)
