#include "agent/collect/vm_table.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include "agent/collect/text_file.h"
#include "common/log.h"

namespace proteus::collect {
namespace {

constexpr std::uint64_t kYoungTicks = 5;
constexpr std::uint64_t kRegroupTicks = 2;
constexpr std::uint64_t kResctrlEveryTicks = 10;
constexpr std::uint64_t kLookWaitTicksMost = 16;

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

VmTable::VmTable(std::string root, VmSources sources)
    : root_(std::move(root)),
      sources_(sources),
      has_vhost_kthreads_(::access(under(root_, "/sys/module/vhost").c_str(), F_OK) == 0) {}

VmTable::~VmTable() = default;

bool VmTable::update(const Inventory& inventory) {
  ++tick_;
  vhost_kthreads_.reset();
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
    read_throttled(vm);
    if (vm.slot) read_slot(vm);
    if (sources_.resctrl != nullptr && vm.pid) read_resctrl(vm);
  }
  read_groups();
  read_working_sets();
  if (sources_.run_queue != nullptr) changed |= winners_.update(*sources_.run_queue, vms_, tick_);
  return changed;
}

void VmTable::read_slot(TrackedVm& vm) {
  sources_.run_queue->read_histograms(*vm.slot, vm.waits, vm.slices);
  if (sources_.reclaim != nullptr) sources_.reclaim->read(*vm.slot, vm.reclaims);
  if (sources_.hardware != nullptr) vm.hardware = sources_.hardware->read(*vm.slot);
}

/// Threads that came since are entered with each reading.
void VmTable::read_resctrl(TrackedVm& vm) {
  if ((tick_ + vm.number) % kResctrlEveryTicks != 0) return;
  std::vector<pid_t> threads;
  for (const TrackedThread& t : vm.threads) threads.push_back(t.thread.tid);
  sources_.resctrl->add(vm.facts->id.value, threads);
  vm.resctrl = sources_.resctrl->read(vm.facts->id.value);
}

void VmTable::read_groups() {
  pressure_requests_.clear();
  if (sources_.pressure != nullptr) {
    for (const auto& [id, vm] : vms_) {
      if (!vm.files || !vm.pressure_group) continue;
      pressure_requests_.push_back({*vm.pressure_group, vm.files->wants_exact(vm.run_queue_wait_ns) ? 1u : 0u});
    }
    pressures_.resize(pressure_requests_.size());
    sources_.pressure->read(pressure_requests_, pressures_);
  }
  std::size_t i = 0;
  for (auto& [id, vm] : vms_) {
    if (!vm.files) continue;
    VmCgroupHints hints{vm.run_queue_wait_ns, vm.faults_major_count, {}};
    if (!pressure_requests_.empty() && vm.pressure_group) hints.pressure = pressures_[i++];
    vm.cgroup_figures = vm.files->read(tick_ + vm.number, hints);
  }
}

void VmTable::read_working_sets() {
  const auto now = std::chrono::steady_clock::now();
  if (sources_.damon != nullptr) {
    std::map<VmId, pid_t> guests;
    for (const auto& [id, vm] : vms_) {
      if (vm.pid) guests[id] = *vm.pid;
    }
    sources_.damon->update(guests, now);
  }
  const bool by_damon = sources_.damon != nullptr && sources_.damon->works();
  for (auto& [id, vm] : vms_) {
    vm.working_set_bytes = by_damon ? sources_.damon->working_set_bytes(id, now) : vm.cgroup_figures.working_set_bytes;
  }
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
  vm.replaced = false;
  vm.counted = false;
  vm.look_at_tick = tick_ + 1;
}

bool VmTable::scan_threads(TrackedVm& vm) {
  const std::vector<VmThread> present = list_threads(root_, *vm.pid);
  if (present.empty()) {
    end_process(vm);
    return true;
  }
  const bool young = tick_ < vm.young_until_tick;
  std::vector<TrackedThread> threads;
  bool changed = present.size() != vm.threads.size();
  for (const VmThread& thread : present) {
    const auto known = std::find_if(vm.threads.begin(), vm.threads.end(),
                                    [&](const TrackedThread& t) { return t.thread.tid == thread.tid; });
    changed |= known == vm.threads.end() || (!known->kvm && known->thread != thread);
    if (known == vm.threads.end()) {
      threads.push_back({.thread = thread, .figures = {}});
    } else {
      threads.push_back(*known);
      if (!known->kvm) threads.back().thread = thread;  // what KVM told of it stays
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
  if (vcpus_changed || young) find_kvm(vm);
  std::sort(vm.threads.begin(), vm.threads.end(), vcpus_first);
  if (vcpus_changed || young) tell_vcpus(vm);
  if (vm.throttling) vm.throttling->rescan();
  update_groups(vm);
  vm.regroup_at_tick = tick_ + kRegroupTicks;
  return true;
}

/// Which of its threads run vCPUs of KVM. The number that KVM gives a vCPU is believed before a thread's name.
/// True if that changed.
bool VmTable::find_kvm(TrackedVm& vm) {
  if (sources_.kvm == nullptr) return false;
  bool changed = false;
  const std::vector<kvm_vcpu_place> places = sources_.kvm->find(*vm.pid);
  for (TrackedThread& t : vm.threads) {
    const auto runs = [&](const kvm_vcpu_place& p) {
      return p.tid != 0 ? p.tid == static_cast<__u32>(t.thread.tid)
                        : t.thread.vcpu && static_cast<__u32>(*t.thread.vcpu) == p.vcpu_id;
    };
    const auto place = std::find_if(places.begin(), places.end(), runs);
    const bool known = t.kvm.has_value();
    t.kvm.reset();
    if (place != places.end()) {
      t.kvm = *place;
      t.thread.vcpu = static_cast<int>(place->vcpu_id);
    }
    changed |= known != t.kvm.has_value();
  }
  return changed;
}

/// Looks for the kernel's threads that work for network devices when the process has settled, and again a moment after
/// one was plugged.
bool VmTable::follow_taps() {
  if (!has_vhost_kthreads_) return false;
  bool changed = false;
  for (auto& [id, vm] : vms_) {
    if (!vm.pid) continue;
    if (vm.taps != vm.facts->description.taps) {
      vm.taps = vm.facts->description.taps;
      vm.vhost_at_tick = std::max(vm.vhost_at_tick, tick_ + kRegroupTicks);
    }
    if (vm.vhost_at_tick == 0 || tick_ < vm.vhost_at_tick) continue;
    vm.vhost_at_tick = 0;
    changed |= find_vhost(vm);
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

void VmTable::read_kvm() {
  places_.clear();
  for (auto& [id, vm] : vms_) {
    for (const TrackedThread& t : vm.threads) {
      if (t.kvm) places_.push_back(*t.kvm);
    }
  }
  kvm_figures_.resize(places_.size());
  if (!places_.empty()) sources_.kvm->read(places_, kvm_figures_);
  std::size_t i = 0;
  for (auto& [id, vm] : vms_) {
    for (TrackedThread& t : vm.threads) {
      const std::optional<kvm_counters>* figures = t.kvm ? &kvm_figures_[i++] : nullptr;
      t.kvm_figures = figures != nullptr && *figures ? &**figures : nullptr;
    }
  }
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

void VmTable::read_devices(bool& changed) {
  const auto& figures = sources_.block->read();
  for (auto& [id, vm] : vms_) {
    const auto found = figures.find(vm.number);
    static const std::vector<DeviceFigures> kNone;
    const std::vector<DeviceFigures>& now = found == figures.end() ? kNone : found->second;
    changed |= !std::equal(now.begin(), now.end(), vm.devices.begin(), vm.devices.end(),
                           [](const DeviceFigures& a, const DeviceFigures& b) { return a.device == b.device; });
    vm.devices = now;
  }
}

void VmTable::read_threads() {
  keys_.clear();
  for (auto& [id, vm] : vms_) {
    for (const TrackedThread& t : vm.threads) keys_.push_back({*vm.pid, t.thread.tid});
    for (const TrackedThread& t : vm.vhost_kthreads) keys_.push_back({t.thread.tid, t.thread.tid});
  }
  figures_.resize(keys_.size());
  sources_.threads.read(keys_, figures_);

  std::size_t i = 0;
  for (auto& [id, vm] : vms_) {
    vm.counted = false;
    vm.has_vhost = !vm.vhost_kthreads.empty();
    vm.thread_count.reset();
    for (TrackedThread& t : vm.threads) account(vm, t, figures_[i++]);
    for (TrackedThread& t : vm.vhost_kthreads) account(vm, t, figures_[i++]);
    vm.watched |= vm.counted;
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

void VmTable::account(TrackedVm& vm, TrackedThread& thread, const std::optional<ThreadFigures>& now) {
  vm.has_vhost |= thread.thread.vhost;
  if (!now) {
    if (thread.figures) thread.last = std::make_shared<const ThreadFigures>(*thread.figures);
    thread.figures.reset();
    return;
  }
  static const ThreadFigures kNone;
  const bool was_read = thread.figures.has_value();
  const ThreadFigures* before = was_read ? &*thread.figures : thread.last.get();
  // else its id has been given to a new thread, whose counters began at zero
  const bool same = before != nullptr && is_same_thread(*before, *now);
  if (before != nullptr && !same && thread.thread.tid == vm.pid) {  // so has that of the process, to whomever
    vm.replaced = true;
    return;
  }
  const ThreadFigures& base = same ? *before : vm.watched ? kNone : *now;
  const std::int64_t ran_ns = now->run_time_ns - base.run_time_ns;
  if (thread.thread.vhost) {
    vm.vhost_time_ns += ran_ns;
  } else if (!thread.thread.vcpu) {
    vm.emulator_time_ns += ran_ns;
  }
  vm.run_queue_wait_ns += now->run_queue_wait_ns - base.run_queue_wait_ns;
  vm.faults_major_count += now->faults_major_count - base.faults_major_count;
  vm.faults_minor_count += now->faults_minor_count - base.faults_minor_count;
  // Lanes differ in how finely they tell it; it must not fall from one to the other.
  const std::int64_t guest_time_ns = std::max(now->guest_time_ns, base.guest_time_ns);
  thread.figures = now;
  thread.figures->guest_time_ns = guest_time_ns;
  if (!was_read) thread.last.reset();
  if (now->thread_count) vm.thread_count = now->thread_count;
  if (now->resident_bytes) vm.resident_bytes = now->resident_bytes;
  if (now->ksm_merged_pages) vm.ksm_merged_pages = now->ksm_merged_pages;
  vm.counted = true;
}

/// The control groups' own figure is exact on most kernels; from 6.18 it holds only a small part of the time, and then
/// the hook's sum is the better one (it adds the wait for a free CPU after the new period has begun). Neither can be
/// too small by much where the other is right, so each tick adds what grew more. Without groups there is no quota, and
/// no figure. The hook sees a quota bind at once: while it sees none, the groups are read less often.
void VmTable::read_throttled(TrackedVm& vm) {
  const std::int64_t own_quota_wait_ns = vm.slot ? sources_.run_queue->own_quota_wait_ns(*vm.slot) : 0;
  const std::int64_t waited_ns = own_quota_wait_ns - std::exchange(vm.own_quota_wait_ns, own_quota_wait_ns);
  const bool is_calm = vm.slot && waited_ns == 0 && !vm.throttling_eagerness.is_due(tick_ + vm.number);
  if (vm.throttling && is_calm) return;
  std::optional<std::int64_t> now;
  if (vm.throttling) now = vm.throttling->throttled_time_ns();
  vm.throttling_eagerness.saw(now);
  if (!now) {
    vm.throttled_time_ns.reset();
    vm.cgroup_throttled_ns = 0;
    return;
  }
  // a group that went away (a vCPU was unplugged) takes its part of the sum with it
  const std::int64_t throttled_ns = *now - std::exchange(vm.cgroup_throttled_ns, *now);
  if (!vm.throttled_time_ns) {
    vm.throttled_time_ns = 0;  // what an agent before this one has told of it was more than what the groups hold
    return;
  }
  *vm.throttled_time_ns += std::max({std::int64_t{0}, throttled_ns, waited_ns});
}

}  // namespace proteus::collect
