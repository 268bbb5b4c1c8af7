#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "common/ids.h"
#include "controller/simulate/kvm/workload.h"

namespace proteus::simulate::kvm {

/// What hosts and VMs are called where decisions are made: by their names, or else by their numbers. Sorted.
class Ids {
 public:
  Ids() = default;
  Ids(const Names& names, std::size_t hosts, std::size_t vms) {
    for (const std::string& name : names.hosts) hosts_.emplace_back(name);
    for (const std::string& name : names.vms) vms_.emplace_back(name);
    for (std::size_t h = hosts_.size(); h < hosts; ++h) hosts_.emplace_back(fmt::format("h{:05}", h));
    for (std::size_t v = vms_.size(); v < vms; ++v) vms_.emplace_back(fmt::format("v{:06}", v));
  }

  bool empty() const { return hosts_.empty(); }
  const HostId& host(std::size_t h) const { return hosts_[h]; }
  const VmId& vm(std::size_t v) const { return vms_[v]; }
  /// Of one of these.
  int number(const HostId& id) const { return find(hosts_, id); }
  int number(const VmId& id) const { return find(vms_, id); }

 private:
  template <typename Id>
  static int find(const std::vector<Id>& ids, const Id& id) {
    return static_cast<int>(std::lower_bound(ids.begin(), ids.end(), id) - ids.begin());
  }
  std::vector<HostId> hosts_;
  std::vector<VmId> vms_;
};

}  // namespace proteus::simulate::kvm
