#include "agent/collect/silent_vms.h"

#include "agent/collect/vm_process.h"

namespace proteus::collect {

std::set<VmId> SilentVms::look(const std::map<VmId, VmFacts>& vms, std::chrono::steady_clock::time_point now) {
  std::set<VmId> silent;
  std::map<VmId, std::chrono::steady_clock::time_point> asleep_since;
  for (const auto& [id, facts] : vms) {
    const auto pid = process_of_pid_file(root_, {facts.name, id.value});
    const char state = pid ? process_state(root_, *pid) : '\0';
    if (state == 'T' || state == 't') silent.insert(id);
    if (state != 'D') continue;
    const auto known = asleep_since_.find(id);
    const auto since = known == asleep_since_.end() ? now : known->second;
    asleep_since[id] = since;
    if (now - since >= kAsleepLeast) silent.insert(id);
  }
  asleep_since_ = std::move(asleep_since);
  return silent;
}

}  // namespace proteus::collect
