#include "controller/simulate/planetlab/sharing.h"

#include <algorithm>
#include <cmath>

namespace proteus::simulate::planetlab {

double share_cpu(const HostType& host, std::span<Share> vms) {
  // How it is summed and the order of the factors decide the last bits, and with them what fits and is rounded down.
  double left = host.mips();
  for (const Share& vm : vms) {
    const double capped = std::min(vm.requested, host.core_mips);
    left -= vm.transit == Transit::kIn ? Share::kIncomingShare * capped : capped;
  }
  const bool fits = left >= 0;
  const double scale = host.mips() / (host.mips() - left);
  for (Share& vm : vms) {
    double mips = std::min(vm.requested, host.core_mips);
    if (vm.transit == Transit::kIn) mips *= Share::kIncomingShare;
    if (!fits) mips *= scale;
    if (vm.transit == Transit::kOut) mips *= Share::kOutgoingShare;
    vm.allocated = fits ? mips : std::floor(mips);
  }
  return fits ? left : 0;
}

}  // namespace proteus::simulate::planetlab
