#include "controller/simulate/planetlab/machines.h"

#include <algorithm>
#include <cmath>

namespace proteus::simulate::planetlab {

double HostType::power(double utilisation) const {
  utilisation = std::min(utilisation, 1.0);  // rounding may carry a sum of parts beyond the whole
  const auto below = static_cast<std::size_t>(std::floor(utilisation * 10));
  const auto above = static_cast<std::size_t>(std::ceil(utilisation * 10));
  if (below == above) return watts[below];
  const double slope = (watts[above] - watts[below]) / 10;
  return watts[below] + slope * (utilisation - static_cast<double>(below) / 10) * 100;
}

double energy_kwh_all_on() {
  double watts = 0;
  for (std::size_t host = 0; host < kHosts; ++host) watts += host_type(host).watts.back();
  return watts * ((kSamples - 1) * kSampleS + kStepOffsetS) / 3.6e6;
}

}  // namespace proteus::simulate::planetlab
