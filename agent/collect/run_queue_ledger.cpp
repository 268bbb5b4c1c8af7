#include "agent/collect/run_queue_ledger.h"

#include <algorithm>
#include <bit>

namespace proteus::collect {
namespace {

static_assert(RUN_QUEUE_BUCKETS == kHistogramBucketCount);

constexpr std::uint64_t kDelayMask = (std::uint64_t{1} << RUN_QUEUE_DELAY_BITS) - 1;
constexpr std::uint64_t kSliceMask = (std::uint64_t{1} << RUN_QUEUE_SLICE_BITS) - 1;

/// floor(log2(value)), at most the last bucket; 0 for 0.
std::size_t bucket_of(std::uint64_t ns) {
  return ns == 0 ? 0 : std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(ns)) - 1, RUN_QUEUE_BUCKETS - 1);
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
void RunQueueLedger::take(std::span<const std::span<const run_queue_departure>> logs) {
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
      take_next(cpu, log.front());
      log = log.subspan(1);
    } while (!log.empty() && (is_last || log.front().came_ns <= rest_.front().second.front().came_ns));
    if (log.empty()) {
      rest_.pop_back();
    } else {
      std::push_heap(rest_.begin(), rest_.end(), later);
    }
  }
}

void RunQueueLedger::take_next(std::size_t cpu, const run_queue_departure& departure) {
  std::optional<std::uint32_t>& victim = victims_[cpu];
  const std::optional<std::uint32_t> slot = count(departure);
  // behind a gap nobody knows who it was
  if (victim && (departure.who & RUN_QUEUE_AFTER_GAP) == 0) ++preemptions_[cell(*victim, slot)];
  victim.reset();
  if (!slot || (departure.who & RUN_QUEUE_PREEMPTED) == 0) return;
  if ((departure.who & RUN_QUEUE_BY_KERNEL_THREAD) != 0) {
    ++preemptions_[cell(*slot, std::nullopt)];
  } else {
    victim = slot;
  }
}

/// Returns: the slot of the VM whose thread it is.
std::optional<std::uint32_t> RunQueueLedger::count(const run_queue_departure& departure) {
  const auto process = static_cast<std::uint32_t>(departure.who >> 32);
  const auto tid = static_cast<std::uint32_t>((departure.who >> 8) & 0xffffff);
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
  const std::uint32_t slot = thread.slot;
  const std::uint64_t delay_units = departure.time >> RUN_QUEUE_SLICE_BITS;
  if (waits_are_known) {
    Counts& counts = counts_[slot];
    const std::uint64_t wait_ns = ((delay_units - thread.delay_units) & kDelayMask) << RUN_QUEUE_UNIT_SHIFT;
    ++counts.waits[bucket_of(wait_ns)];
    ++counts.slices[bucket_of((departure.time & kSliceMask) << RUN_QUEUE_UNIT_SHIFT)];
    if (thread.by_own_quota) counts.own_quota_wait_ns += static_cast<std::int64_t>(wait_ns);
  }
  thread.delay_units = delay_units;
  thread.by_own_quota = (departure.who & RUN_QUEUE_BY_OWN_QUOTA) != 0;
  if ((departure.who & RUN_QUEUE_LAST_STAY) != 0) thread = {};
  return slot;
}

}  // namespace proteus::collect
