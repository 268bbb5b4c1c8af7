#include "controller/profile/finite_queue.h"

#include <algorithm>
#include <cmath>

namespace proteus::profile {

double finite_wait_cores(double load_cores, double vcpus, double capacity_cores) {
  if (vcpus <= capacity_cores || load_cores <= 0) return 0;
  constexpr double kInverseSqrt2 = 0.70710678118654752;
  constexpr double kInverseSqrt2Pi = 0.39894228040143268;
  constexpr double kNoWait = 5;  // deviations; what is beyond is less than a ten-millionth of one
  double runnable = std::min(load_cores, vcpus);
  double waiting = 0;
  for (int round = 0; round < 4; ++round) {
    const double deviation = std::sqrt(std::max(1e-9, runnable * (1 - runnable / vcpus)));
    const double spare = capacity_cores - runnable;
    const double z = spare / deviation;
    if (z > kNoWait) return 0;
    waiting = deviation * kInverseSqrt2Pi * std::exp(-z * z / 2) - spare * 0.5 * std::erfc(z * kInverseSqrt2);
    waiting = std::clamp(waiting, 0.0, vcpus - std::min(load_cores, capacity_cores));
    const double more = std::min(vcpus, load_cores + waiting);
    if (more == runnable) break;  // the rounds to come would say the same
    runnable = more;
  }
  return waiting;
}

}  // namespace proteus::profile
