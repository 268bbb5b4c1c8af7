#pragma once

#include <chrono>
#include <cstdint>

namespace proteus {

using Nanoseconds = std::chrono::nanoseconds;
/// Wall-clock time, nanoseconds since the Unix epoch.
using Timestamp = std::chrono::sys_time<Nanoseconds>;

constexpr std::int64_t to_unix_ns(Timestamp t) {
  return t.time_since_epoch().count();
}
constexpr Timestamp from_unix_ns(std::int64_t ns) {
  return Timestamp{Nanoseconds{ns}};
}
/// Seconds as a floating-point number, for rates and models.
constexpr double to_seconds(Nanoseconds d) {
  return static_cast<double>(d.count()) * 1e-9;
}
constexpr Nanoseconds from_seconds(double s) {
  return Nanoseconds{static_cast<std::int64_t>(s * 1e9)};
}

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;
constexpr std::int64_t kGiB = 1024 * kMiB;

}  // namespace proteus
