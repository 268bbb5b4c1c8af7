#pragma once

#include <condition_variable>
#include <functional>
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
  /// Joins; the queue must have been closed and the pause stopped, or this waits for them.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

 private:
  std::thread thread_;
};

}  // namespace proteus::act
