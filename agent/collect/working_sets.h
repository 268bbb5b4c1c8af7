#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "agent/collect/damon.h"

namespace proteus::collect {

/// DAMON on a thread of its own: the kernel answers a question about what was accessed at the end of an aggregation
/// interval (2 s; mm/damon/sysfs.c, damos_walk()), and may not answer at all while the watched process hangs.
/// Thread: owned by one, which never waits for it but in the destructor.
class WorkingSets {
 public:
  using SteadyTime = Damon::SteadyTime;

  explicit WorkingSets(Damon damon);
  ~WorkingSets();
  WorkingSets(const WorkingSets&) = delete;
  WorkingSets& operator=(const WorkingSets&) = delete;

  /// Once a tick; passed on every second or so. guests: with their processes.
  void update(std::map<VmId, pid_t> guests, SteadyTime now);
  /// As Damon's, of the last time that the kernel answered.
  bool works(SteadyTime now) const;
  /// Likewise. Neither does it work while the kernel has not answered for half a minute, or for two ticks that are
  /// longer.
  std::optional<std::int64_t> working_set_bytes(const VmId& vm, SteadyTime now) const;

 private:
  struct Question {
    std::map<VmId, pid_t> guests;
    SteadyTime now;
  };

  void run();
  bool is_silent(SteadyTime now) const;  // with mutex_ held

  SteadyTime asked_at_{};         // the last question
  SteadyTime::duration pause_{};  // and how long after the one before
  mutable std::mutex mutex_;
  std::condition_variable asked_;
  std::optional<Question> question_;                          // guarded by mutex_
  bool ending_ = false;                                       // guarded by mutex_
  bool works_ = true;                                         // guarded by mutex_
  SteadyTime answered_at_{};                                  // guarded by mutex_
  std::map<VmId, std::optional<std::int64_t>> working_sets_;  // guarded by mutex_
  Damon damon_;                                               // the thread's
  std::thread thread_;
};

}  // namespace proteus::collect
