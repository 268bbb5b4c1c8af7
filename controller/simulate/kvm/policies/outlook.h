#pragma once

#include <cstddef>
#include <vector>

namespace proteus::simulate::kvm {

/// What the VMs are expected to do over the next ticks, as paths of some likelihood. A cell is one tick of one path;
/// cell p · ticks + i is tick i of path p.
struct Outlook {
  std::size_t ticks = 0;
  std::size_t paths = 0;
  std::size_t vms = 0;
  std::vector<double> weights;     ///< [path] likelihood; their sum is 1
  std::vector<float> cpu_mhz;      ///< [vm · cells() + cell]
  std::vector<float> disk_kbs;     ///< likewise
  std::vector<float> network_kbs;  ///< likewise
  std::vector<float> need_mib;     ///< likewise; what the guest touches and its kernel

  std::size_t cells() const { return ticks * paths; }
  void reset(std::size_t vm_count, std::size_t tick_count, std::size_t path_count) {
    ticks = tick_count;
    paths = path_count;
    vms = vm_count;
    weights.assign(paths, 1.0 / static_cast<double>(paths));
    for (auto* values : {&cpu_mhz, &disk_kbs, &network_kbs, &need_mib}) values->assign(vms * cells(), 0);
  }
};

}  // namespace proteus::simulate::kvm
