#include "agent/collect/vm_table.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/log.h"

namespace proteus::collect {
namespace {

constexpr std::uint64_t kYoungTicks = 5;
constexpr std::uint64_t kLookWaitTicksMost = 16;
/// New pairs change the catalog: they are gathered for so many ticks.
constexpr std::uint64_t kWinnersEveryTicks = 5;
/// Bounds the series of one VM; the winners seen first keep theirs.
constexpr std::size_t kWinnersMost = 32;

bool vcpus_first(const TrackedThread& a, const TrackedThread& b) {
  const auto rank = [](const TrackedThread& t) {
    return std::tuple(!t.thread.vcpu.has_value(), t.thread.vcpu.value_or(0), t.thread.tid);
  };
  return rank(a) < rank(b);
}

}  // namespace

VmTable::VmTable(std::string root, ThreadReader& reader, RunQueueTrace* trace)
    : root_(std::move(root)), reader_(reader), trace_(trace) {}

VmTable::~VmTable() = default;

bool VmTable::update(const Inventory& inventory) {
  ++tick_;
  bool changed = follow(inventory);
  for (auto& [id, vm] : vms_) {
    if (!vm.pid) changed |= find_process(vm);
    if (!vm.pid) continue;
    const auto count = count_threads(root_, *vm.pid);
    if (!count || static_cast<std::size_t>(*count) != vm.threads.size() || tick_ < vm.young_until_tick) {
      changed |= scan_threads(vm);
    }
  }
  changed |= read_threads();
  if (trace_ != nullptr) mark_threads();
  for (auto& [id, vm] : vms_) {
    read_throttled(vm);
    if (vm.slot) trace_->read_histogram(*vm.slot, vm.histogram);
  }
  if (tick_ % kWinnersEveryTicks == 0) changed |= find_winners();
  return changed;
}

bool VmTable::follow(const Inventory& inventory) {
  bool changed = false;
  for (auto it = vms_.begin(); it != vms_.end();) {
    // Without libvirt nobody says that a VM has ended, but its process does.
    const bool ended = !inventory.connected && !it->second.pid;
    if (inventory.vms.count(it->first) != 0 && !ended) {
      ++it;
      continue;
    }
    drop(it->second);
    it = vms_.erase(it);
    changed = true;
  }
  for (const auto& [id, facts] : inventory.vms) {
    const auto known = vms_.find(id);
    if (known != vms_.end()) {
      known->second.facts = &facts;
    } else if (inventory.connected) {
      TrackedVm& vm = vms_[id];
      vm.facts = &facts;
      vm.look_at_tick = tick_;
      changed = true;
    }
  }
  return changed;
}

void VmTable::drop(TrackedVm& vm) {
  if (!vm.slot) return;
  marks_.clear();
  for (const TrackedThread& t : vm.threads) {
    if (t.marked) marks_.push_back({.thread = {vm.pid.value_or(0), t.thread.tid}, .slot = {}});
  }
  trace_->mark(marks_);  // most are gone already, and their marks with them
  trace_->release_slot(*vm.slot);
}

bool VmTable::find_process(TrackedVm& vm) {
  if (tick_ < vm.look_at_tick) return false;
  vm.pid = find_vm_process(root_, vm.facts->name, vm.facts->id.value);
  if (!vm.pid) {
    vm.look_at_tick = tick_ + vm.look_wait_ticks;
    vm.look_wait_ticks = std::min(vm.look_wait_ticks * 2, kLookWaitTicksMost);
    return false;
  }
  vm.look_wait_ticks = 1;
  vm.young_until_tick = tick_ + kYoungTicks;
  vm.cgroup.emplace(root_, *vm.pid);
  vm.emulator_time_ns = vm.faults_major_count = vm.faults_minor_count = 0;
  if (trace_ != nullptr && !vm.slot) {
    vm.slot = trace_->acquire_slot();
    if (!vm.slot) {
      ++refused_count_;
      if (!std::exchange(said_full_, true)) {
        log::warning("run-queue trace: all {} VM slots are taken; {} and later VMs have no run_queue_latency_ns",
                     trace_->slot_count(), vm.facts->name);
      }
    }
  }
  return true;
}

bool VmTable::scan_threads(TrackedVm& vm) {
  const std::vector<VmThread> present = list_threads(root_, *vm.pid);
  if (present.empty()) {
    log::debug("process {} of VM {} is gone", *vm.pid, vm.facts->name);
    vm.pid.reset();
    vm.cgroup.reset();
    vm.threads.clear();
    vm.resident_bytes.reset();
    vm.look_at_tick = tick_ + 1;
    return true;
  }
  std::vector<TrackedThread> threads;
  bool changed = present.size() != vm.threads.size();
  for (const VmThread& thread : present) {
    const auto known = std::find_if(vm.threads.begin(), vm.threads.end(),
                                    [&](const TrackedThread& t) { return t.thread.tid == thread.tid; });
    changed |= known == vm.threads.end() || known->thread != thread;
    if (known == vm.threads.end()) {
      threads.push_back({.thread = thread, .figures = {}});
    } else {
      threads.push_back(*known);
      threads.back().thread = thread;
    }
  }
  if (!changed) return false;
  const auto vcpus = [](const std::vector<TrackedThread>& list) {
    return std::count_if(list.begin(), list.end(), [](const TrackedThread& t) { return t.thread.vcpu.has_value(); });
  };
  if (vcpus_changed_ && !vm.threads.empty() && vcpus(threads) != vcpus(vm.threads)) vcpus_changed_(vm.facts->id);
  std::sort(threads.begin(), threads.end(), vcpus_first);
  if (vm.cgroup) vm.cgroup->rescan();
  vm.threads = std::move(threads);
  return true;
}

void VmTable::mark_threads() {
  marks_.clear();
  for (const auto& [id, vm] : vms_) {
    if (!vm.slot) continue;
    for (const TrackedThread& t : vm.threads) {
      if (!t.marked && t.figures) marks_.push_back({.thread = {*vm.pid, t.thread.tid}, .slot = vm.slot});
    }
  }
  if (marks_.empty()) return;
  trace_->mark(marks_);
  std::size_t i = 0;
  for (auto& [id, vm] : vms_) {
    if (!vm.slot) continue;
    for (TrackedThread& t : vm.threads) {
      if (t.marked || !t.figures) continue;
      t.marked = marks_[i++].done;
      if (!t.marked && !std::exchange(t.refused, true)) ++refused_count_;
    }
  }
}

bool VmTable::read_threads() {
  keys_.clear();
  for (auto& [id, vm] : vms_) {
    for (const TrackedThread& t : vm.threads) keys_.push_back({*vm.pid, t.thread.tid});
  }
  figures_.resize(keys_.size());
  reader_.read(keys_, figures_);

  bool changed = false;
  std::size_t i = 0;
  for (auto& [id, vm] : vms_) {
    vm.counted = false;
    bool gone = false;
    for (TrackedThread& t : vm.threads) {
      account(vm, t, figures_[i++]);
      gone |= !t.figures;
    }
    if (gone) changed |= scan_threads(vm);
  }
  return changed;
}

void VmTable::account(TrackedVm& vm, TrackedThread& thread, const std::optional<ThreadFigures>& now) {
  const std::optional<ThreadFigures> before = thread.figures;
  thread.figures = now;
  if (!now) return;
  // a thread id that has been given to a new thread: its counters began at zero, and the hook does not know it
  const bool same = before && before->start_ns == now->start_ns;
  if (!same) thread.marked = thread.refused = false;
  const ThreadFigures base = same ? *before : ThreadFigures{};
  if (!thread.thread.vcpu) vm.emulator_time_ns += now->run_time_ns - base.run_time_ns;
  vm.faults_major_count += now->faults_major_count - base.faults_major_count;
  vm.faults_minor_count += now->faults_minor_count - base.faults_minor_count;
  if (now->resident_bytes) vm.resident_bytes = now->resident_bytes;
  vm.counted = true;
}

/// The control groups' own figure is exact on most kernels; from 6.18 it holds only a small part of the time, and then
/// the hook's sum is the better one (it adds the wait for a free CPU after the new period has begun). Neither can be
/// too small by much where the other is right, so each tick adds what grew more. Without groups there is no quota, and
/// no figure.
void VmTable::read_throttled(TrackedVm& vm) {
  std::optional<std::int64_t> now;
  if (vm.cgroup) now = vm.cgroup->throttled_time_ns();
  const std::int64_t own_quota_wait_ns = vm.slot ? trace_->own_quota_wait_ns(*vm.slot) : 0;
  const std::int64_t waited_ns = own_quota_wait_ns - std::exchange(vm.own_quota_wait_ns, own_quota_wait_ns);
  if (!now) {
    vm.throttled_time_ns.reset();
    vm.cgroup_throttled_ns = 0;
    return;
  }
  // a group that went away (a vCPU was unplugged) takes its part of the sum with it
  const std::int64_t throttled_ns = *now - std::exchange(vm.cgroup_throttled_ns, *now);
  vm.throttled_time_ns = vm.throttled_time_ns.value_or(0) + std::max({std::int64_t{0}, throttled_ns, waited_ns});
}

std::int64_t VmTable::preemptions(const TrackedVm& vm, const Winner& winner) const {
  if (!winner) return trace_->preemptions(*vm.slot, std::nullopt);
  const auto other = vms_.find(*winner);
  if (other == vms_.end() || !other->second.slot) return 0;
  return trace_->preemptions(*vm.slot, other->second.slot);
}

bool VmTable::find_winners() {
  bool changed = false;
  for (auto& [id, vm] : vms_) {
    if (!vm.slot) continue;
    changed |= std::erase_if(vm.winners, [&](const Winner& w) { return w && vms_.count(*w) == 0; }) > 0;
    const auto consider = [&](const Winner& winner) {
      if (vm.winners.size() >= kWinnersMost || preemptions(vm, winner) == 0) return;
      if (std::find(vm.winners.begin(), vm.winners.end(), winner) != vm.winners.end()) return;
      vm.winners.push_back(winner);
      changed = true;
    };
    consider(std::nullopt);
    for (const auto& [other_id, other] : vms_) {
      if (other.slot) consider(other_id);
    }
  }
  return changed;
}

}  // namespace proteus::collect
