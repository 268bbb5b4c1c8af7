#include "agent/collect/run_queue_ledger.h"

#include <algorithm>
#include <bit>

namespace proteus::collect {
namespace {

static_assert(RUN_QUEUE_BUCKETS == kHistogramBucketCount);

constexpr std::uint64_t kDelayMask = (std::uint64_t{1} << RUN_QUEUE_DELAY_BITS) - 1;
/// Departures whose threads the processor fetches before they are counted, and whose counters.
constexpr int kEndedMost = 4096;
constexpr std::size_t kThreadsAhead = 8;
constexpr std::size_t kCountersAhead = 4;
constexpr std::uint64_t kSliceMask = (std::uint64_t{1} << RUN_QUEUE_SLICE_BITS) - 1;

/// floor(log2(value)), at most the last bucket; 0 for 0.
std::size_t bucket_of(std::uint64_t ns) {
  return ns == 0 ? 0 : std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(ns)) - 1, RUN_QUEUE_BUCKETS - 1);
}

std::uint32_t process_of(const run_queue_departure& departure) {
  return static_cast<std::uint32_t>(departure.who >> 32);
}
std::uint32_t thread_of(const run_queue_departure& departure) {
  return static_cast<std::uint32_t>(departure.who >> 8) & 0xffffff;
}
std::uint64_t delay_units_of(const run_queue_departure& departure) {
  return departure.time >> RUN_QUEUE_SLICE_BITS;
}
std::size_t slice_bucket_of(const run_queue_departure& departure) {
  return bucket_of((departure.time & kSliceMask) << RUN_QUEUE_UNIT_SHIFT);
}
/// before_units: the delay of the thread as it left a CPU before.
std::uint64_t wait_ns_of(const run_queue_departure& departure, std::uint64_t before_units) {
  return ((delay_units_of(departure) - before_units) & kDelayMask) << RUN_QUEUE_UNIT_SHIFT;
}

}  // namespace

RunQueueLedger::RunQueueLedger(std::size_t slots, std::size_t cpus)
    : counts_(slots), preemptions_(slots * (slots + 1)), victims_(cpus) {}

void RunQueueLedger::watch(pid_t process, std::uint32_t slot) {
  forget(process);
  const auto id = static_cast<std::uint32_t>(process);
  processes_.at(id) = {.process = id, .slot = slot};
}

void RunQueueLedger::forget(pid_t process) {
  const auto id = static_cast<std::uint32_t>(process);
  const Owner* owner = processes_.find(id);
  if (owner == nullptr || owner->process != id) return;
  processes_.clear_if([id](const Owner& other) { return other.process == id; });
  threads_.clear_if([id](const Thread& thread) { return thread.process == id; });
  set_vcpus(process, {});
}

void RunQueueLedger::set_vcpus(pid_t process, std::span<const pid_t> threads) {
  const auto id = static_cast<std::uint32_t>(process);
  vcpus_.clear_if([id](const Vcpu& vcpu) { return vcpu.process == id; });
  for (const pid_t tid : threads) vcpus_.at(static_cast<std::uint32_t>(tid)) = {.process = id};
}

bool RunQueueLedger::is_vcpu(std::uint32_t process, std::uint32_t tid) {
  const Vcpu* vcpu = vcpus_.find(tid);
  return vcpu != nullptr && vcpu->process == process;
}

void RunQueueLedger::clear(std::uint32_t slot) {
  counts_[slot] = {};
  for (std::uint32_t other = 0; other < counts_.size(); ++other) {
    preemptions_[cell(slot, other)] = preemptions_[cell(other, slot)] = 0;
  }
  preemptions_[cell(slot, std::nullopt)] = 0;
  std::replace(victims_.begin(), victims_.end(), std::optional(slot), std::optional<std::uint32_t>());
}

/// Merges the logs by the time at which the threads had come: a thread's departures in the order in which it made them.
void RunQueueLedger::take(std::span<const std::span<const run_queue_departure>> logs,
                          std::span<const std::uint8_t> ends_in_loss) {
  rest_.clear();
  for (std::size_t cpu = 0; cpu < logs.size(); ++cpu) {
    if (!logs[cpu].empty()) rest_.emplace_back(cpu, logs[cpu]);
  }
  const auto later = [](const auto& a, const auto& b) { return a.second.front().came_ns > b.second.front().came_ns; };
  std::make_heap(rest_.begin(), rest_.end(), later);
  while (!rest_.empty()) {
    std::pop_heap(rest_.begin(), rest_.end(), later);
    auto& [cpu, log] = rest_.back();
    // mostly several in a row
    const bool is_last = rest_.size() == 1;
    do {
      look_ahead(log);
      take_next(cpu, log.front());
      log = log.subspan(1);
    } while (!log.empty() && (is_last || log.front().came_ns <= rest_.front().second.front().came_ns));
    if (log.empty()) {
      if (!ends_in_loss.empty() && ends_in_loss[cpu] != 0) ++losses_;  // for what other CPUs have from here on
      rest_.pop_back();
    } else {
      std::push_heap(rest_.begin(), rest_.end(), later);
    }
  }
  // Threads that ended have left their places empty, and ids go on.
  if (ended_count_ < kEndedMost) return;
  ended_count_ = 0;
  threads_.clear_if([](const Thread& thread) { return thread.process == 0; });
}

/// Hundreds of threads and their VMs' counters are not in the cache when they are needed.
void RunQueueLedger::look_ahead(std::span<const run_queue_departure> log) {
  if (log.size() > kThreadsAhead) threads_.prefetch(thread_of(log[kThreadsAhead]));
  if (log.size() <= kCountersAhead) return;
  const run_queue_departure& departure = log[kCountersAhead];
  const Thread* thread = threads_.find(thread_of(departure));
  if (thread == nullptr || thread->process != process_of(departure)) return;
  const Counts& counts = counts_[thread->slot];
  __builtin_prefetch(&counts.waits[bucket_of(wait_ns_of(departure, thread->delay_units))], 1);
  __builtin_prefetch(&counts.slices[slice_bucket_of(departure)], 1);
}

void RunQueueLedger::take_next(std::size_t cpu, const run_queue_departure& departure) {
  std::optional<std::uint32_t>& victim = victims_[cpu];
  if ((departure.who & RUN_QUEUE_AFTER_LOSS) != 0) ++losses_;
  const std::optional<std::uint32_t> slot = count(departure);
  // behind a gap nobody knows who it was
  if (victim && (departure.who & RUN_QUEUE_AFTER_GAP) == 0) preempt(*victim, slot);
  victim.reset();
  if (!slot || (departure.who & RUN_QUEUE_PREEMPTED) == 0) return;
  if ((departure.who & RUN_QUEUE_BY_KERNEL_THREAD) != 0) {
    preempt(*slot, std::nullopt);
  } else {
    victim = slot;
  }
}

/// Returns: the slot of the VM whose thread it is.
std::optional<std::uint32_t> RunQueueLedger::count(const run_queue_departure& departure) {
  const std::uint32_t process = process_of(departure);
  const std::uint32_t tid = thread_of(departure);
  Thread* known = threads_.find(tid);
  bool waits_are_known = known != nullptr && known->process == process;
  if (!waits_are_known) {
    const Owner* owner = processes_.find(process);
    const bool is_of_vm = owner != nullptr && owner->process == process;
    if (known != nullptr && known->process != 0) *known = {};  // its id is another's now
    if (!is_of_vm) return std::nullopt;
    known = &threads_.at(tid);
    *known = {.process = process, .slot = owner->slot};
    waits_are_known = (departure.who & RUN_QUEUE_FIRST_STAY) != 0;
  }
  Thread& thread = *known;
  if ((departure.who & RUN_QUEUE_FIRST_STAY) != 0) {  // the one that had the id before left where the log was full
    thread.delay_units = 0;
    thread.by_own_quota = false;
  } else if (thread.losses != losses_) {
    waits_are_known = false;  // one wait, or many
  }
  thread.losses = losses_;
  const std::uint32_t slot = thread.slot;
  if (waits_are_known) {
    Counts& counts = counts_[slot];
    const std::uint64_t wait_ns = wait_ns_of(departure, thread.delay_units);
    ++counts.waits[bucket_of(wait_ns)];
    ++counts.slices[slice_bucket_of(departure)];
    if (thread.by_own_quota && is_vcpu(process, tid)) counts.own_quota_wait_ns += static_cast<std::int64_t>(wait_ns);
  }
  thread.delay_units = delay_units_of(departure);
  thread.by_own_quota = (departure.who & RUN_QUEUE_BY_OWN_QUOTA) != 0;
  if ((departure.who & RUN_QUEUE_LAST_STAY) != 0) {
    thread = {};
    ++ended_count_;
  }
  return slot;
}

}  // namespace proteus::collect
