#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/collect/bpf_support.h"
#include "agent/collect/kvm_exit_trace.h"
#include "agent/collect/net_trace.h"
#include "agent/collect/questions.h"
#include "agent/collect/run_queue_trace.h"

namespace proteus::collect {

/// The hooks that are attached only while somebody asks. Thread: owned by one.
class OnDemand {
 public:
  /// threads: null if there is no run-queue trace, without which exits cannot be told apart by VM. Outlives this.
  OnDemand(const std::string& questions_path, const RunQueueTrace* threads)
      : questions_(questions_path), threads_(threads) {}

  /// Attaches and detaches what is asked for, and reads what is attached. True if there are other series than before.
  /// A series begins at zero, in the tick in which there is something to count for the first time, and has that from
  /// the next on: it has grown by it.
  bool update(Timestamp now);
  /// The slot's VM has ended.
  void forget(std::uint32_t slot);

  /// Of the VM in `slot`; null while nobody asks, or if it has not exited.
  const ExitFigures* exits(std::uint32_t slot) const;
  bool counts_net_softirq() const { return softirq_ != nullptr; }
  std::optional<std::int64_t> net_softirq_time_ns(std::size_t cpu) const;
  /// Those that are attached now.
  std::vector<NamedProgram> programs() const;
  /// Exits for which there was no room.
  std::int64_t refused_exits_count() const { return exits_ ? exits_->refused_count() : 0; }
  /// By reason.
  const std::vector<std::pair<std::string, std::int64_t>>& packet_drops() const { return packet_drops_; }

 private:
  template <typename Hook, typename Create>
  void follow(Question question, std::unique_ptr<Hook>& hook, Create create);
  void read_exits();
  void read_drops();

  AskedQuestions questions_;
  const RunQueueTrace* const threads_;
  Questions asked_;   ///< and attached, or refused by the kernel
  Questions wanted_;  ///< now
  std::unique_ptr<KvmExitTrace> exits_;
  std::unique_ptr<NetSoftirqTrace> softirq_;
  std::unique_ptr<PacketDropTrace> drops_;
  std::map<std::uint32_t, ExitFigures> exit_figures_;
  std::vector<std::pair<std::string, std::int64_t>> packet_drops_;
  std::set<std::pair<std::uint32_t, std::string>> exit_series_;  ///< slot and reason; "": stays in user space
  std::set<std::string> drop_series_;
};

}  // namespace proteus::collect
