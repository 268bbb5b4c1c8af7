#pragma once

#include "common/result.h"

namespace proteus::ctl {

/// As the help text and the manual say.
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kUnreachable = 3;
inline constexpr int kNotFound = 4;
inline constexpr int kDifferent = 5;
inline constexpr int kNotBetter = 6;
inline constexpr int kInvalidPolicy = 6;

/// Says it on standard error. Returns: the exit code that it means.
int report(const Error& error);

}  // namespace proteus::ctl
