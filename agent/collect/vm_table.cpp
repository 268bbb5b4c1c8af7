#include "agent/collect/vm_table.h"

#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "agent/collect/text_file.h"
#include "common/log.h"

namespace proteus::collect {
namespace {

constexpr std::uint64_t kYoungTicks = 5;
constexpr std::uint64_t kRegroupTicks = 2;
constexpr std::uint64_t kLookWaitTicksMost = 16;
constexpr std::uint64_t kKvmWaitTicksMost = 16;
constexpr std::uint64_t kParkedEveryTicks = 256;
constexpr std::uint64_t kSettledTicks = 64;

bool vcpus_first(const TrackedThread& a, const TrackedThread& b) {
  const auto rank = [](const TrackedThread& t) {
    return std::tuple(!t.thread.vcpu.has_value(), t.thread.vcpu.value_or(0), t.thread.tid);
  };
  return rank(a) < rank(b);
}

std::vector<pid_t> vcpus_of(const std::vector<TrackedThread>& threads) {
  std::vector<pid_t> tids;
  for (const TrackedThread& t : threads) {
    if (t.thread.vcpu) tids.push_back(t.thread.tid);
  }
  std::sort(tids.begin(), tids.end());
  return tids;
}

}  // namespace

VmTable::VmTable(std::string root, VmSources sources) : root_(std::move(root)), sources_(sources) {}

VmTable::~VmTable() = default;

void VmTable::use(KvmReader& kvm) {
  sources_.kvm = &kvm;
  for (auto& [id, vm] : vms_) {
    if (vm.pid) vm.kvm_at_tick = tick_;
  }
}

bool VmTable::update(const Inventory& inventory) {
  ++tick_;
  vhost_kthreads_.reset();
  if (sources_.kvm != nullptr) sources_.kvm->begin_tick();
  bool changed = follow(inventory);
  changed |= find_processes();
  if (std::exchange(slot_came_free_, false)) watch_others();
  for (auto& [id, vm] : vms_) {
    const bool young = tick_ < vm.young_until_tick;
    if (!vm.pid || (!young && vm.thread_count)) continue;
    const auto count = count_threads(root_, *vm.pid);
    if (!count || static_cast<std::size_t>(*count) != vm.threads.size() || young) changed |= scan_threads(vm);
  }
  changed |= follow_taps();
  read_threads();
  if (follow_threads()) {
    changed = true;
    read_threads();  // those that came
  }
  if (sources_.kvm != nullptr) read_kvm();
  if (sources_.block != nullptr) {
    forget_detached();
    read_devices(changed);
  }
  if (sources_.run_queue != nullptr) sources_.run_queue->update();
  for (auto& [id, vm] : vms_) {
    vm.disks_are_new = std::exchange(vm.disks_told_at, vm.facts->disks_told_at) != vm.facts->disks_told_at;
    read_throttled(vm);
    if (vm.slot) read_slot(vm);
    if (sources_.resctrl != nullptr && vm.pid) read_resctrl(vm);
  }
  read_groups();
  read_working_sets();
  if (sources_.run_queue != nullptr) changed |= winners_.update(*sources_.run_queue, vms_, tick_);
  return changed;
}

bool VmTable::follow(const Inventory& inventory) {
  bool changed = false;
  auto known = vms_.begin();  // both are ordered by id
  auto told = inventory.vms.begin();
  while (known != vms_.end() || told != inventory.vms.end()) {
    const bool is_told = told != inventory.vms.end();
    // Without libvirt nobody says that a VM has ended, but its process does.
    const bool ended =
        known != vms_.end() && (!is_told || known->first < told->first || (!inventory.connected && !known->second.pid));
    if (ended) {
      drop(known->first, known->second);
      for (auto& [id, vm] : vms_) std::erase(vm.winners, Winner{known->first, {}});
      known = vms_.erase(known);
      changed = true;
    } else if (known == vms_.end() || told->first < known->first) {
      // One that has ended without libvirt is still told of until processes are looked at again.
      if (inventory.connected || inventory.number != followed_number_) {
        TrackedVm& vm = vms_[told->first];
        vm.facts = &told->second;
        vm.number = ++last_number_;
        vm.look_at_tick = tick_;
        changed = true;
      }
      ++told;
    } else {
      known->second.facts = &told->second;
      ++known;
      ++told;
    }
  }
  followed_number_ = inventory.number;
  return changed;
}

void VmTable::drop(const VmId& id, TrackedVm& vm) {
  vm.groups = {};
  update_groups(vm);
  if (sources_.block != nullptr) sources_.block->forget(vm.number);
  if (sources_.resctrl != nullptr) sources_.resctrl->remove(id.value);
  if (!vm.slot) return;
  if (vm.pid) sources_.run_queue->forget(*vm.pid);
  sources_.run_queue->release_slot(*vm.slot);
  if (slot_released_) slot_released_(*vm.slot);
  slot_came_free_ = true;
}

/// Looks for the processes of those VMs that have none, all at once.
bool VmTable::find_processes() {
  std::vector<TrackedVm*> missing;
  std::vector<VmName> names;
  for (auto& [id, vm] : vms_) {
    if (vm.pid || tick_ < vm.look_at_tick) continue;
    missing.push_back(&vm);
    names.push_back({vm.facts->name, vm.facts->id.value});
  }
  if (missing.empty()) return false;
  const std::vector<std::optional<pid_t>> found = find_vm_processes(root_, names);
  bool changed = false;
  for (std::size_t i = 0; i < missing.size(); ++i) {
    TrackedVm& vm = *missing[i];
    if (found[i]) {
      begin_process(vm, *found[i]);
      changed = true;
    } else {
      vm.look_at_tick = tick_ + vm.look_wait_ticks;
      vm.look_wait_ticks = std::min(vm.look_wait_ticks * 2, kLookWaitTicksMost);
    }
  }
  return changed;
}

void VmTable::begin_process(TrackedVm& vm, pid_t pid) {
  vm.pid = pid;
  vm.look_wait_ticks = 1;
  vm.young_until_tick = tick_ + kYoungTicks;
  vm.vhost_at_tick = tick_ + kYoungTicks - 1;
  find_groups(vm);
  vm.emulator_time_ns = vm.vhost_time_ns = vm.run_queue_wait_ns = 0;
  vm.faults_major_count = vm.faults_minor_count = 0;
  vm.watched = false;
  if (sources_.run_queue == nullptr || watch(vm)) return;
  ++refused_count_;
  if (!std::exchange(said_full_, true)) {
    log::warning("run-queue trace: no room for {}; VMs have no run_queue_latency_ns while the {} slots are taken",
                 vm.facts->name, sources_.run_queue->slot_count());
  }
}

/// Gives it a slot if it has none. False if there is none, or no room for its process: it then has none.
bool VmTable::watch(TrackedVm& vm) {
  if (!vm.slot) {
    vm.slot = sources_.run_queue->acquire_slot();
    if (!vm.slot) return false;
    if (sources_.reclaim != nullptr) sources_.reclaim->clear(*vm.slot);
    if (sources_.hardware != nullptr) sources_.hardware->clear(*vm.slot);
  }
  if (sources_.run_queue->watch(*vm.pid, *vm.slot)) {
    tell_vcpus(vm);
    return true;
  }
  sources_.run_queue->release_slot(*vm.slot);
  if (slot_released_) slot_released_(*vm.slot);
  vm.slot.reset();
  vm.winners.clear();
  for (auto& [id, other] : vms_) std::erase(other.winners, Winner{vm.facts->id, {}});
  return false;
}

/// The run-queue trace knows threads by their process only.
void VmTable::tell_vcpus(const TrackedVm& vm) {
  if (vm.slot) sources_.run_queue->set_vcpus(*vm.pid, vcpus_of(vm.threads));
}

/// Those that came while all slots were taken.
void VmTable::watch_others() {
  for (auto& [id, vm] : vms_) {
    if (vm.pid && !vm.slot) watch(vm);
  }
}

void VmTable::end_process(TrackedVm& vm) {
  log::debug("process {} of VM {} is gone", *vm.pid, vm.facts->name);
  if (vm.slot) sources_.run_queue->forget(*vm.pid);
  vm.pid.reset();
  vm.groups = {};
  update_groups(vm);
  vm.throttling.reset();
  vm.files.reset();
  vm.cgroup_figures = {};
  vm.threads.clear();
  vm.thread_count.reset();
  vm.vhost_kthreads.clear();
  vm.vhost_at_tick = 0;
  vm.resident_bytes.reset();
  vm.ksm_merged_pages.reset();
  vm.regroup_at_tick = 0;
  vm.kvm_at_tick = 0;
  vm.replaced = false;
  vm.counted = false;
  vm.look_at_tick = tick_ + 1;
}

bool VmTable::scan_threads(TrackedVm& vm) {
  const bool young = tick_ < vm.young_until_tick;
  std::vector<VmThread> settled;  // in their groups, if libvirt gives them any
  for (const TrackedThread& t : vm.threads) {
    const bool is_by_kvm = t.kvm && t.thread.vcpu == static_cast<int>(t.kvm->vcpu_id);  // maybe not its group's
    if (!young && !is_by_kvm && tick_ > t.came_at_tick + kSettledTicks) settled.push_back(t.thread);
  }
  const std::vector<VmThread> present = list_threads(root_, *vm.pid, settled);
  if (present.empty()) {
    end_process(vm);
    return true;
  }
  std::vector<TrackedThread> threads;
  bool changed = present.size() != vm.threads.size();
  for (const VmThread& thread : present) {
    const auto known = std::find_if(vm.threads.begin(), vm.threads.end(),
                                    [&](const TrackedThread& t) { return t.thread.tid == thread.tid; });
    const bool told = thread.vcpu || (known != vm.threads.end() && !known->kvm);  // else KVM's number stays
    changed |= known == vm.threads.end() || (told && known->thread != thread);
    if (known == vm.threads.end()) {
      threads.push_back({.thread = thread, .figures = {}, .came_at_tick = tick_});
    } else {
      threads.push_back(*known);
      if (told) threads.back().thread = thread;
    }
  }
  if (young) find_groups(vm);
  if (!changed) {
    const bool found = young && find_kvm(vm);
    if (found) tell_vcpus(vm);
    return found;
  }
  const bool vcpus_changed = vcpus_of(threads) != vcpus_of(vm.threads);
  if (vcpus_changed_ && !vm.threads.empty() && vcpus_changed) vcpus_changed_(vm.facts->id);
  vm.threads = std::move(threads);
  if (vcpus_changed) vm.kvm_wait_ticks = 1;
  if (vcpus_changed || young) find_kvm(vm);
  std::sort(vm.threads.begin(), vm.threads.end(), vcpus_first);
  if (vcpus_changed || young) tell_vcpus(vm);
  if (vm.throttling) vm.throttling->rescan();
  update_groups(vm);
  vm.regroup_at_tick = tick_ + kRegroupTicks;
  return true;
}

/// Which of its threads run vCPUs of KVM. KVM's number of a vCPU is an APIC id on x86, which leaves out some where a
/// socket's cores are no power of two: it counts only of a thread whose name and group tell none. True if that changed.
bool VmTable::find_kvm(TrackedVm& vm) {
  if (sources_.kvm == nullptr) return false;
  bool changed = false;
  const std::vector<kvm_vcpu_place> places = sources_.kvm->find(*vm.pid);
  const auto has_kvm = [](const TrackedThread& t) { return t.kvm.has_value(); };
  if (places.empty() && std::any_of(vm.threads.begin(), vm.threads.end(), has_kvm)) {  // no answer, rather than none
    vm.kvm_wait_ticks = std::min(vm.kvm_wait_ticks * 2, kKvmWaitTicksMost);
    vm.kvm_at_tick = tick_ + vm.kvm_wait_ticks;
    return false;
  }
  std::size_t matched = 0;
  for (TrackedThread& t : vm.threads) {
    const auto runs = [&](const kvm_vcpu_place& p) { return p.tid == static_cast<__u32>(t.thread.tid); };
    const auto place = std::find_if(places.begin(), places.end(), runs);
    const bool known = t.kvm.has_value();
    t.kvm.reset();
    if (place != places.end()) {
      ++matched;
      t.kvm = *place;
      if (!t.thread.vcpu) t.thread.vcpu = static_cast<int>(place->vcpu_id);
    }
    changed |= known != t.kvm.has_value();
  }
  // A vCPU that has not run, as before the end of a migration in, or was plugged again, has no thread yet; and one
  // whose thread is there may have come after this tick's walk.
  const auto waits = [](const TrackedThread& t) { return t.thread.vcpu && !t.kvm; };
  const bool is_waited_for =
      !places.empty() && (matched == 0 || std::any_of(vm.threads.begin(), vm.threads.end(), waits));
  vm.kvm_wait_ticks = changed ? 1 : std::min(vm.kvm_wait_ticks * 2, kKvmWaitTicksMost);
  if (is_waited_for) {
    vm.kvm_at_tick = tick_ + vm.kvm_wait_ticks;
  } else if (matched < places.size()) {
    // QEMU keeps one that was unplugged: all such in one walk, where that is of all
    vm.kvm_at_tick = (tick_ / kParkedEveryTicks + 1) * kParkedEveryTicks;
  } else {
    vm.kvm_at_tick = 0;
  }
  return changed;
}

/// Looks for the kernel's threads that work for network devices when the process has settled, and again a moment after
/// one was plugged.
bool VmTable::follow_taps() {
  bool changed = false;
  for (auto& [id, vm] : vms_) {
    if (!vm.pid) continue;
    if (vm.taps != vm.facts->description.taps) {
      vm.taps = vm.facts->description.taps;
      vm.vhost_at_tick = std::max(vm.vhost_at_tick, tick_ + kRegroupTicks);
    }
    if (vm.vhost_at_tick == 0 || tick_ < vm.vhost_at_tick) continue;
    vm.vhost_at_tick = 0;
    // The module comes with the first guest that uses it.
    if (::access(under(root_, "/sys/module/vhost").c_str(), F_OK) == 0) changed |= find_vhost(vm);
  }
  return changed;
}

/// True if there are any that were not known.
bool VmTable::find_vhost(TrackedVm& vm) {
  if (!vhost_kthreads_) vhost_kthreads_ = find_vhost_kthreads(root_);
  const auto workers = vhost_kthreads_->find(*vm.pid);
  if (workers == vhost_kthreads_->end()) return false;
  const std::size_t before = vm.vhost_kthreads.size();
  for (const pid_t worker : workers->second) {
    const auto is_known = [&](const TrackedThread& t) { return t.thread.tid == worker; };
    if (std::any_of(vm.vhost_kthreads.begin(), vm.vhost_kthreads.end(), is_known)) continue;
    vm.vhost_kthreads.push_back({.thread = {worker, std::nullopt, true}, .figures = {}});
  }
  return vm.vhost_kthreads.size() != before;
}

/// libvirt moves a process into its groups a moment after it has started it.
void VmTable::find_groups(TrackedVm& vm) {
  VmGroups groups = find_vm_groups(root_, *vm.pid);
  if (vm.files && groups == vm.groups) return;
  vm.groups = std::move(groups);
  vm.throttling.emplace(vm.groups.cpu);
  vm.throttling_eagerness = Eagerness(kCalmThrottlingEveryTicks);
  vm.files.emplace(vm.groups);
  vm.pressure_group = group_id(vm.groups.unified);
  update_groups(vm);
}

/// Tells the block trace of the groups that came and went.
void VmTable::update_groups(TrackedVm& vm) {
  if (sources_.block == nullptr) return;
  std::vector<std::uint64_t> now = list_group_ids(vm.groups.block);
  std::sort(now.begin(), now.end());
  for (const std::uint64_t id : vm.group_ids) {
    if (!std::binary_search(now.begin(), now.end(), id)) sources_.block->remove_group(id);
  }
  for (const std::uint64_t id : now) {
    if (std::binary_search(vm.group_ids.begin(), vm.group_ids.end(), id)) continue;
    if (!sources_.block->add_group(id, vm.number)) ++refused_count_;
  }
  vm.group_ids = std::move(now);
}

/// Nobody tells on which of the host's disks one of a VM's lay. When the VM loses one, all its counts begin anew, and
/// those of disks that it has kept come back with the next request.
void VmTable::forget_detached() {
  for (auto& [id, vm] : vms_) {
    const std::vector<std::string>& now = vm.facts->description.disks;
    if (now == vm.disks) continue;
    const auto is_gone = [&now](const std::string& disk) {
      return std::find(now.begin(), now.end(), disk) == now.end();
    };
    if (std::any_of(vm.disks.begin(), vm.disks.end(), is_gone)) sources_.block->forget(vm.number);
    vm.disks = now;
  }
}

/// Looks again at the threads of VMs where one came or went. True if it found so.
bool VmTable::follow_threads() {
  bool changed = false;
  for (auto& [id, vm] : vms_) {
    if (vm.replaced) {
      end_process(vm);
      changed = true;
      continue;
    }
    changed |= std::erase_if(vm.vhost_kthreads, [](const TrackedThread& t) { return !t.figures; }) > 0;
    if (vm.kvm_at_tick != 0 && tick_ >= vm.kvm_at_tick && vm.pid && find_kvm(vm)) {
      std::sort(vm.threads.begin(), vm.threads.end(), vcpus_first);
      tell_vcpus(vm);
      changed = true;
    }
    const bool gone =
        std::any_of(vm.threads.begin(), vm.threads.end(), [](const TrackedThread& t) { return !t.figures; });
    const bool came = vm.thread_count && static_cast<std::size_t>(*vm.thread_count) != vm.threads.size();
    if (gone || came) changed |= scan_threads(vm);
    if (vm.regroup_at_tick != 0 && tick_ >= vm.regroup_at_tick) {
      vm.regroup_at_tick = 0;
      changed |= scan_threads(vm);  // one that came may have its name only now
      if (!vm.pid) continue;
      if (vm.throttling) vm.throttling->rescan();
      update_groups(vm);
    }
  }
  return changed;
}

}  // namespace proteus::collect
