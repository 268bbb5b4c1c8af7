#include "agent/collect/domain_statistics.h"

#include <libvirt/libvirt.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace proteus::collect {

using SteadyTime = std::chrono::steady_clock::time_point;

namespace {

/// The second that a measurement takes, and that to which its begin is told.
constexpr std::chrono::seconds kMeasurement{2};
constexpr std::chrono::seconds kBeganWithin{1};
constexpr int kReportsMissed = 3;

void take_dirty_rate(const DomainStatistics& statistics, VmFacts& facts, Nanoseconds current_for) {
  const SteadyTime now = statistics.asked_at;
  const SteadyTime began = statistics.dirty_rate_began_at;
  const bool is_of_this_run = began >= facts.runs_since;
  if (statistics.memory_dirty_bytes_per_s && is_of_this_run && now - began <= current_for + kMeasurement) {
    facts.memory_dirty_bytes_per_s = statistics.memory_dirty_bytes_per_s;
    facts.dirty_rate_current_at = std::max(facts.dirty_rate_current_at, began);
    if (facts.dirty_rate_wanted_at && began + kBeganWithin >= *facts.dirty_rate_wanted_at)
      facts.dirty_rate_wanted_at.reset();
  }
  if (statistics.can_measure && !facts.dirty_rate_wanted_at) facts.dirty_rate_current_at = now;
  if (now - facts.dirty_rate_current_at > current_for) facts.memory_dirty_bytes_per_s.reset();
}

}  // namespace

void note_state(VmFacts& facts, std::int64_t state, SteadyTime at) {
  const bool ran = facts.state.value_or(VIR_DOMAIN_RUNNING) == VIR_DOMAIN_RUNNING;
  facts.state = state;
  if (state != VIR_DOMAIN_RUNNING) {
    facts.memory_dirty_bytes_per_s.reset();  // QEMU tells the rate of when it last ran
  } else if (!ran) {
    facts.runs_since = at;
  }
}

void apply(const DomainStatistics& statistics, VmFacts& facts, Nanoseconds current_for) {
  if (statistics.asked_at < facts.statistics_at) return;  // of a call that hung: counters would run backwards
  facts.statistics_at = statistics.asked_at;
  if (statistics.state && statistics.asked_at >= facts.read_at) {
    note_state(facts, *statistics.state, statistics.asked_at);
  } else if (statistics.state.value_or(VIR_DOMAIN_RUNNING) != VIR_DOMAIN_RUNNING) {
    facts.memory_dirty_bytes_per_s.reset();
    facts.runs_since = facts.read_at;  // the list is newer
  }
  facts.can_measure_dirty_rate = statistics.can_measure;
  if (statistics.balloon_bytes) facts.balloon_bytes = facts.memory_bytes = statistics.balloon_bytes;
  if (statistics.memory_max_bytes) facts.memory_max_bytes = statistics.memory_max_bytes;
  if (statistics.qemu_answered) {
    facts.guest_memory_usable_bytes = statistics.guest_memory_usable_bytes;
    facts.guest_memory_told_at = statistics.guest_memory_told_at;
  }
  const Nanoseconds reports = facts.description.memory_stats_period * kReportsMissed;
  if (statistics.asked_at - facts.guest_memory_told_at > std::max(current_for, reports))
    facts.guest_memory_usable_bytes.reset();
  if (statistics.disks) {
    facts.disks = *statistics.disks;
    facts.disks_told_at = statistics.asked_at;
  }
  if (facts.state.value_or(VIR_DOMAIN_RUNNING) == VIR_DOMAIN_RUNNING) take_dirty_rate(statistics, facts, current_for);
}

struct StatisticsReader::Shared {
  std::function<std::unique_ptr<StatisticsSource>()> make;

  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  std::function<void()> ready;
  bool stopping = false;
  std::uint64_t generation = 0;  ///< of the thread that is to ask; those before it end when their call does
  int threads = 0;
  std::optional<SteadyTime> asking_since;  ///< of the newest thread
  StatisticsQuestion next;
  Answers answers;
};

StatisticsReader::StatisticsReader(std::function<std::unique_ptr<StatisticsSource>()> make, std::function<void()> ready)
    : shared_(std::make_shared<Shared>()) {
  shared_->make = std::move(make);
  shared_->ready = std::move(ready);
  start_thread();
}

StatisticsReader::~StatisticsReader() {
  std::unique_lock lock(shared_->mutex);
  shared_->stopping = true;
  shared_->ready = nullptr;
  shared_->changed.notify_all();
  shared_->changed.wait_for(lock, std::chrono::seconds(1), [this] { return shared_->threads == 0; });
}

/// The lock is held, or nobody else is there yet.
void StatisticsReader::start_thread() {
  ++shared_->threads;
  shared_->asking_since.reset();
  std::thread([shared = shared_, generation = ++shared_->generation] {
    pthread_setname_np(pthread_self(), "proteus-stats");
    run(shared, generation);
  }).detach();
}

void StatisticsReader::run(const std::shared_ptr<Shared>& shared, std::uint64_t generation) {
  std::unique_ptr<StatisticsSource> source;
  std::unique_lock lock(shared->mutex);
  const auto superseded = [&] { return shared->stopping || shared->generation != generation; };
  for (;;) {
    shared->changed.wait(lock, [&] { return superseded() || !shared->next.empty(); });
    if (superseded()) break;
    const StatisticsQuestion question = std::exchange(shared->next, {});
    shared->asking_since = std::chrono::steady_clock::now();
    lock.unlock();
    if (!source) source = shared->make();
    if (question.all || !question.vms.empty()) {
      auto answer = source->ask(question);
      lock.lock();
      if (answer) {
        for (auto& [vm, statistics] : *answer) {
          DomainStatistics& newest = shared->answers.statistics[vm];
          if (newest.asked_at <= statistics.asked_at) newest = std::move(statistics);
        }
      } else if (shared->generation == generation) {  // else another has asked since
        shared->answers.error = answer.error();
      }
      if (shared->ready) shared->ready();
      lock.unlock();
    }
    if (!question.measure.empty()) source->measure(question.measure);
    lock.lock();
    if (shared->generation == generation) shared->asking_since.reset();
    shared->changed.notify_all();
  }
  lock.unlock();
  source.reset();  // closing a connection takes a call, too
  lock.lock();
  --shared->threads;
  shared->changed.notify_all();
}

void StatisticsReader::ask(const StatisticsQuestion& question) {
  const std::lock_guard lock(shared_->mutex);
  shared_->next.all |= question.all;
  if (question.all) shared_->next.except = question.except;  // as they are now
  shared_->next.vms.insert(question.vms.begin(), question.vms.end());
  shared_->next.measure.insert(question.measure.begin(), question.measure.end());
  if (newest_call_hangs() && shared_->threads < kThreadsMost) start_thread();
  shared_->changed.notify_all();
}

/// The lock is held.
bool StatisticsReader::newest_call_hangs() const {
  const auto since = shared_->asking_since;
  return since && std::chrono::steady_clock::now() - *since >= kHungAfter;
}

bool StatisticsReader::hangs() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->threads > 1 || newest_call_hangs();
}

bool StatisticsReader::wait(std::chrono::milliseconds most) {
  std::unique_lock lock(shared_->mutex);
  if (newest_call_hangs()) return false;
  return shared_->changed.wait_for(lock, most, [this] { return shared_->next.empty() && !shared_->asking_since; });
}

StatisticsReader::Answers StatisticsReader::take() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->answers, {});
}

}  // namespace proteus::collect
