#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "agent/collect/id_table.h"
#include "common/kpi.h"
#include "ebpf/run_queue.h"

namespace proteus::collect {

/// What departures from CPUs, taken down by ebpf/run_queue, come to for each VM. Thread: owned by one.
class RunQueueLedger {
 public:
  using Histogram = std::array<std::int64_t, kHistogramBucketCount>;

  RunQueueLedger(std::size_t slots, std::size_t cpus);

  /// Counts for the VM in `slot` what the threads of this process do.
  void watch(pid_t process, std::uint32_t slot);
  void forget(pid_t process);
  /// Which threads of a watched process run vCPUs: instead of what was said before.
  void set_vcpus(pid_t process, std::span<const pid_t> threads);
  /// Sets all that was counted for the slot, and that its VM did to others, to zero.
  void clear(std::uint32_t slot);

  /// logs[cpu]: the departures of that CPU since those taken before, in order. All CPUs as of one moment, as a thread
  /// may have left several.
  /// ends_in_loss[cpu]: departures of VMs' threads behind the last one in its log had no room; empty: none had.
  void take(std::span<const std::span<const run_queue_departure>> logs,
            std::span<const std::uint8_t> ends_in_loss = {});
  /// Departures of VMs' threads behind all those taken so far had no room.
  void lose() { ++losses_; }

  /// Blocks of thread ids that are held in memory.
  std::size_t thread_block_count() const { return threads_.block_count(); }
  const Histogram& waits(std::uint32_t slot) const { return counts_[slot].waits; }
  const Histogram& slices(std::uint32_t slot) const { return counts_[slot].slices; }
  /// Of vCPUs alone.
  std::int64_t own_quota_wait_ns(std::uint32_t slot) const { return counts_[slot].own_quota_wait_ns; }
  /// How often `winner` (nullopt: a thread of no VM) took the CPU from the VM in `slot`.
  std::int64_t preemptions(std::uint32_t slot, std::optional<std::uint32_t> winner) const {
    return preemptions_[cell(slot, winner)];
  }
  /// Grows with each winner that took a VM's CPU for the first time since clear().
  std::uint64_t pairs_count() const { return pairs_count_; }

 private:
  struct Counts {
    Histogram waits{};
    Histogram slices{};
    std::int64_t own_quota_wait_ns = 0;
  };
  /// A VM's process; process 0: nobody's.
  struct Owner {
    std::uint32_t process = 0;
    std::uint32_t slot = 0;
    bool operator==(const Owner&) const = default;
  };
  /// The process of a thread that runs a vCPU; 0: it does not.
  struct Vcpu {
    std::uint32_t process = 0;
    bool operator==(const Vcpu&) const = default;
  };
  /// A VM's thread, as it left a CPU last; process 0: nobody's.
  struct Thread {
    std::uint32_t process = 0;
    std::uint32_t slot = 0;
    std::uint64_t delay_units = 0;
    std::uint32_t losses = 0;  ///< as of then
    bool by_own_quota = false;
    bool operator==(const Thread&) const = default;
  };

  std::size_t cell(std::uint32_t slot, std::optional<std::uint32_t> winner) const {
    return slot * (counts_.size() + 1) + winner.value_or(static_cast<std::uint32_t>(counts_.size()));
  }
  void look_ahead(std::span<const run_queue_departure> log);
  void take_next(std::size_t cpu, const run_queue_departure& departure);
  std::optional<std::uint32_t> count(const run_queue_departure& departure);
  bool is_vcpu(std::uint32_t process, std::uint32_t tid);
  void preempt(std::uint32_t slot, std::optional<std::uint32_t> winner) {
    if (preemptions_[cell(slot, winner)]++ == 0) ++pairs_count_;
  }

  IdTable<Owner> processes_;  // by process id
  IdTable<Thread> threads_;   // of those processes, by thread id
  IdTable<Vcpu> vcpus_;       // likewise
  std::vector<Counts> counts_;
  std::vector<std::int64_t> preemptions_;  // row: from whom, column: by whom, the last one any thread of no VM
  std::uint64_t pairs_count_ = 0;
  std::uint32_t losses_ = 0;                           // times that departures of VMs' threads were missing
  std::vector<std::optional<std::uint32_t>> victims_;  // by CPU: who was preempted by the thread that leaves it next
  std::vector<std::pair<std::size_t, std::span<const run_queue_departure>>> rest_;  // CPU, what is left of its log
  int ended_count_ = 0;  // threads, since their places were last given back
};

}  // namespace proteus::collect
