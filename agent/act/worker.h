#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>

#include "agent/act/job.h"
#include "common/queue.h"

namespace proteus::act {

/// A Pause for real time, shared by all workers; stop() ends every wait at once and for good.
/// Thread: any.
class StoppablePause final : public Pause {
 public:
  bool wait(Nanoseconds time) override;
  void stop();

 private:
  std::mutex mutex_;  // guards stopping_
  std::condition_variable changed_;
  bool stopping_ = false;
};

/// One named thread that takes jobs from a queue, one after the other, until the queue is closed and empty. Several
/// workers may share a queue: a job belongs to whoever popped it.
class Worker {
 public:
  /// All references outlive the worker. updates: called from the worker's thread. acted: after a job that may have
  /// changed a domain.
  Worker(std::string name, HostId host, Queue<Job>& jobs, Hypervisor& hypervisor, const LocalLimits& limits,
         const Clock& clock, StoppablePause& pause, std::function<void(Update)> updates,
         std::function<void(const VmId&)> acted);
  /// Joins: waits for the job under way, which may be a call that cannot be called back. The queue must have been
  /// closed and the pause stopped, or this waits for them, too.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Waits until the thread has nothing more to do; false: at `deadline` it still has.
  bool ends_by(std::chrono::steady_clock::time_point deadline) const;
  const std::string& name() const { return name_; }

 private:
  const std::string name_;
  std::promise<void> ended_;  // set by the thread
  const std::future<void> has_ended_ = ended_.get_future();
  std::thread thread_;
};

}  // namespace proteus::act
