#include "controller/ham/score/contention.h"

#include <algorithm>
#include <cmath>

namespace proteus::ham {

double held_back_cores(double demand_cores, double limit_cores, int vcpus) {
  if (demand_cores <= limit_cores) return 0;
  const double busy = std::min(static_cast<double>(vcpus), std::ceil(demand_cores));
  return std::max(demand_cores, busy) - limit_cores;
}

}  // namespace proteus::ham
