#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/collect/inventory.h"
#include "common/ids.h"
#include "common/result.h"

namespace proteus::collect {

/// What one call for statistics told of a domain; a busy one leaves out what only QEMU knows.
struct DomainStatistics {
  std::optional<std::int64_t> state;  ///< virDomainState
  std::optional<std::int64_t> balloon_bytes;
  std::optional<std::int64_t> memory_max_bytes;
  std::optional<std::int64_t> guest_memory_usable_bytes;
  std::chrono::steady_clock::time_point guest_memory_told_at;  ///< by the guest
  std::optional<std::int64_t> memory_dirty_bytes_per_s;        ///< if one has been measured
  std::chrono::steady_clock::time_point dirty_rate_began_at;   ///< its measurement, to the second
  std::optional<std::vector<DiskFacts>> disks;
  bool qemu_answered = false;                      ///< else what only QEMU knows is left out
  bool can_measure = false;                        ///< QEMU has answered, and knows of dirty rates
  std::chrono::steady_clock::time_point asked_at;  ///< what is told may be as old
};

/// Into the facts, unless those are newer. The state also comes with the list of domains. What is left out stays as it
/// was, but what is no longer current: QEMU goes on telling the last dirty rate it measured and the last figures that
/// the guest reported. A dirty rate is taken if its measurement began since the VM runs and no longer than
/// `current_for` ago; it then stays for as long as nobody waits for a newer one (guests are measured in turns), and for
/// `current_for` more if one was asked for in vain or QEMU cannot be asked. What the guest has left is current for as
/// long, or for three times the period at which it reports.
void apply(const DomainStatistics& statistics, VmFacts& facts, Nanoseconds current_for);

/// What a list of domains has told at that time.
void note_state(VmFacts& facts, std::int64_t state, std::chrono::steady_clock::time_point at);

/// What is asked at a time.
struct StatisticsQuestion {
  bool all = false;        ///< of every active domain
  std::set<VmId> except;   ///< but these, if of all
  std::set<VmId> vms;      ///< of these
  std::set<VmId> measure;  ///< and then let QEMU measure these domains' dirty rates
  bool empty() const { return !all && vms.empty() && measure.empty(); }
};

/// Answers questions, each as long as it takes. Thread: owned by one.
class StatisticsSource {
 public:
  virtual ~StatisticsSource() = default;
  /// Domains that are gone are left out.
  virtual Result<std::map<VmId, DomainStatistics>> ask(const StatisticsQuestion& question) = 0;
  /// Lets QEMU measure these domains' dirty rates; those that do not answer or have a job are passed over.
  virtual void measure(const std::set<VmId>& vms) = 0;
};

/// Asks on a thread of its own ("proteus-stats"), since an answer takes for as long as one QEMU does not answer its
/// monitor, which may be for ever (a process that is stopped, or waits for a disk that is gone). A thread that has
/// waited for kHungAfter when the next question comes is left to its call and replaced, as libvirt lets the next call
/// pass over a domain that is waited for; it may still answer, and then ends. At most kThreadsMost, as each holds one
/// of the daemon's workers, too, of which it has 20: whose process tells that it cannot answer is better not asked
/// (silent_vms.h). Thread: owned by one; `ready` is called on another.
class StatisticsReader {
 public:
  static constexpr std::chrono::seconds kHungAfter{3};
  static constexpr int kThreadsMost = 10;

  /// make: on the thread that asks, which owns what it returns. ready: answers have come.
  StatisticsReader(std::function<std::unique_ptr<StatisticsSource>()> make, std::function<void()> ready);
  /// Waits for a call in progress, for a second at most.
  ~StatisticsReader();
  StatisticsReader(const StatisticsReader&) = delete;
  StatisticsReader& operator=(const StatisticsReader&) = delete;

  /// Joins what has not been asked yet. Returns at once.
  void ask(const StatisticsQuestion& question);
  /// Until everything is answered; false if that takes longer, or a thread hangs already.
  bool wait(std::chrono::milliseconds most);
  /// A call has waited for kHungAfter, or one that did still waits.
  bool hangs() const;
  /// What has come since the last call, and why something has not, if so.
  struct Answers {
    std::map<VmId, DomainStatistics> statistics;
    std::optional<Error> error;
  };
  Answers take();

 private:
  struct Shared;
  static void run(const std::shared_ptr<Shared>& shared, std::uint64_t generation);
  void start_thread();
  bool newest_call_hangs() const;

  std::shared_ptr<Shared> shared_;  // a thread that hangs outlives this object
};

}  // namespace proteus::collect
