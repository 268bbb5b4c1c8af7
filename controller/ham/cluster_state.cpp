#include "controller/ham/cluster_state.h"

namespace proteus::ham {
namespace {

template <typename T, typename Id>
const T* find_sorted(const std::vector<T>& items, const Id& id) {
  const auto it = std::lower_bound(items.begin(), items.end(), id,
                                   [](const T& item, const Id& wanted) { return item.id < wanted; });
  return it != items.end() && it->id == id ? &*it : nullptr;
}

}  // namespace

const HostState* ClusterState::find_host(const HostId& id) const {
  return find_sorted(hosts, id);
}
const VmState* ClusterState::find_vm(const VmId& id) const {
  return find_sorted(vms, id);
}

}  // namespace proteus::ham
