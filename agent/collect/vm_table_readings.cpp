// What is read of VMs at each tick, and added up.
#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/collect/vm_table.h"

namespace proteus::collect {
namespace {

constexpr std::uint64_t kResctrlEveryTicks = 10;
constexpr std::chrono::seconds kResctrlInterval{
    12};  // of longer ticks; what is told less than once in 5 min has no rate

}  // namespace

void VmTable::read_slot(TrackedVm& vm) {
  sources_.run_queue->read_histograms(*vm.slot, vm.waits, vm.slices);
  if (sources_.reclaim != nullptr) sources_.reclaim->read(*vm.slot, vm.reclaims);
  if (sources_.hardware == nullptr) return;
  vm.hardware.reset();
  if (sources_.hardware->counts_all_cpus()) vm.hardware = sources_.hardware->read(*vm.slot);
}

/// Threads that came since are entered with each reading.
void VmTable::read_resctrl(TrackedVm& vm) {
  const auto now = std::chrono::steady_clock::now();
  if ((tick_ + vm.number) % kResctrlEveryTicks != 0 && now - vm.resctrl_read_at < kResctrlInterval) {
    vm.resctrl.memory_bandwidth_bytes.reset();  // told again it would be no growth now, and all of it later
    return;
  }
  vm.resctrl_read_at = now;
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
  const auto now = std::chrono::steady_clock::now();
  for (auto& [id, vm] : vms_) {
    if (!vm.files) continue;
    VmCgroupHints hints{vm.run_queue_wait_ns, vm.faults_major_count, now, {}};
    if (!pressure_requests_.empty() && vm.pressure_group) hints.pressure = pressures_[i++];
    vm.cgroup_figures = vm.files->read(tick_ + vm.number, hints);
  }
}

void VmTable::read_working_sets() {
  const auto now = std::chrono::steady_clock::now();
  if (sources_.working_sets != nullptr) {
    std::map<VmId, pid_t> guests;
    for (const auto& [id, vm] : vms_) {
      if (vm.pid) guests[id] = *vm.pid;
    }
    sources_.working_sets->update(std::move(guests), now);
  }
  const bool by_damon = sources_.working_sets != nullptr && sources_.working_sets->works(now);
  for (auto& [id, vm] : vms_) {
    vm.working_set_bytes =
        by_damon ? sources_.working_sets->working_set_bytes(id, now) : vm.cgroup_figures.working_set_bytes;
  }
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

void VmTable::read_devices(bool& changed) {
  const auto& figures = sources_.block->read();
  for (auto& [id, vm] : vms_) {
    const auto found = figures.find(vm.number);
    static const std::vector<DeviceFigures> kNone;
    const std::vector<DeviceFigures>& now = found == figures.end() ? kNone : found->second;
    const auto same = [](const DeviceFigures& a, const DeviceFigures& b) { return a.device == b.device; };
    if (std::equal(now.begin(), now.end(), vm.devices.begin(), vm.devices.end(), same)) {
      vm.devices = now;
      continue;
    }
    const std::vector<DeviceFigures> before = std::exchange(vm.devices, now);
    changed = true;
    // Of one whose first requests these are, so that they are a growth from nothing.
    for (DeviceFigures& device : vm.devices) {
      const auto is_it = [&](const DeviceFigures& d) { return same(d, device); };
      if (std::none_of(before.begin(), before.end(), is_it)) device.cell = {};
    }
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
  vm.run_queue_wait_ns += now->run_queue_wait_ns.value_or(0) - base.run_queue_wait_ns.value_or(0);
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
