#include <sys/prctl.h>
#include <time.h>

#include "agent/calibrate/measure.h"
#include "agent/calibrate/stopwatch.h"

namespace proteus::calibrate {
namespace {

constexpr std::int64_t kSleep_ns = 1'000'000;
constexpr std::int64_t kSecond_ns = 1'000'000'000;

std::int64_t to_ns(const timespec& time) {
  return time.tv_sec * kSecond_ns + time.tv_nsec;
}

}  // namespace

Result<std::vector<double>> measure_wake_up_ns(Nanoseconds budget) {
  // Else the kernel may be 50 µs late on purpose, to wake several threads at once.
  const int slack = ::prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
  ::prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  std::vector<double> latencies;
  for (const Stopwatch watch(budget); watch.time_left();) {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const std::int64_t wake_ns = to_ns(now) + kSleep_ns;
    const timespec wake{.tv_sec = wake_ns / kSecond_ns, .tv_nsec = wake_ns % kSecond_ns};
    if (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, nullptr) != 0) continue;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    latencies.push_back(static_cast<double>(to_ns(now) - wake_ns));
  }
  ::prctl(PR_SET_TIMERSLACK, slack, 0, 0, 0);
  return latencies;
}

}  // namespace proteus::calibrate
