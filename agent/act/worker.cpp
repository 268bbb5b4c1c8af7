#include "agent/act/worker.h"

#include <pthread.h>

#include <utility>

namespace proteus::act {

bool StoppablePause::wait(Nanoseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return stopping_; });
  return !stopping_;
}

void StoppablePause::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

Worker::Worker(std::string name, HostId host, Queue<Job>& jobs, Hypervisor& hypervisor, const LocalLimits& limits,
               const Clock& clock, StoppablePause& pause, std::function<void(Update)> updates,
               std::function<void(const VmId&)> acted)
    : name_(std::move(name)),
      thread_([this, &jobs, acted = std::move(acted),
               context = JobContext{std::move(host), hypervisor, limits, clock, pause, std::move(updates)}]() mutable {
        pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
        while (auto job = jobs.pop()) {
          // A job still waiting when the process stops is not begun; its next run finds it in the outcome log.
          if (!context.pause.wait(Nanoseconds{0})) continue;
          run_job(context, *job);
          if (!std::holds_alternative<Inspect>(job->command.operation)) acted(job->command.vm);
        }
        ended_.set_value();
      }) {}

Worker::~Worker() {
  thread_.join();
}

bool Worker::ends_by(std::chrono::steady_clock::time_point deadline) const {
  return has_ended_.wait_until(deadline) == std::future_status::ready;
}

}  // namespace proteus::act
