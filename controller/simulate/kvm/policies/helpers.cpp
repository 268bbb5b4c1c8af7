#include "controller/simulate/kvm/policies/helpers.h"

#include <chrono>
#include <limits>
#include <string>

#include "controller/simulate/kvm/metrics.h"

namespace proteus::simulate::kvm {
ham::HelperRule helper_rule(double gain_floor) {
  ham::HelperRule rule;
  rule.name = "helpers";
  rule.vms = {"@scalable"};
  rule.vcpus = 1;
  rule.memory_bytes = static_cast<std::int64_t>(kHelperMemory_mib + kVmOverhead_mib) * kMiB;
  rule.share = kHelperShare;
  rule.overhead = kHelperCost;
  rule.price = kHelperPrice_eur;
  rule.gain_floor = gain_floor * kHelperPrice_eur / kMigrationPrice_eur;
  rule.most = std::numeric_limits<int>::max();
  rule.ready_after = std::chrono::seconds(kTick_s);
  return rule;
}

std::vector<ham::HelperState> observe_helpers(const Console& console, const Ids& ids) {
  std::vector<ham::HelperState> helpers;
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const VmState& vm = console.vm(static_cast<int>(v));
    if (!vm.present || vm.helper == kNever) continue;
    helpers.push_back({ids.vm(v), ids.host(static_cast<std::size_t>(vm.helper)), console.time(vm.helper_from - 1)});
  }
  return helpers;
}

void end_helpers(Console& console, const Ids& ids, const ham::Decision& decision) {
  for (const ham::HelperChange& change : decision.helpers) {
    if (!change.start) console.end_helper(ids.number(change.vm));
  }
}

void start_helpers(Console& console, const Ids& ids, const ham::Decision& decision) {
  for (const ham::HelperChange& change : decision.helpers) {
    if (change.start) console.start_helper(ids.number(change.vm), ids.number(change.host));
  }
}

}  // namespace proteus::simulate::kvm
