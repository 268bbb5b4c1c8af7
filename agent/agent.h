#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "agent/act/command_channel.h"
#include "agent/act/hypervisor.h"
#include "agent/act/worker.h"
#include "agent/collect/collector.h"
#include "agent/config.h"
#include "agent/publish/publisher.h"
#include "common/clock.h"
#include "common/queue.h"

namespace proteus {

/// One queue per arrow between threads (main.cpp draws them).
struct AgentQueues {
  /// collect -> publish. Telemetry: the newest matters most.
  Queue<Sample> samples{64, WhenFull::kDropOldest};
  /// command -> workers, one queue per kind of work. Far more than the limits let through; full means refused.
  Queue<act::Job> inspect_jobs{1024, WhenFull::kRefuse};
  Queue<act::Job> reshape_jobs{4096, WhenFull::kRefuse};
  Queue<act::Job> migrate_jobs{1024, WhenFull::kRefuse};
  /// workers -> command. A lost update would leave a command without its end, so a worker waits for room.
  Queue<Update> job_updates{4096, WhenFull::kRefuse};
};

/// What the agent stands on; a simulation or a test brings its own. All references outlive the agent.
struct AgentSurroundings {
  zmq::context_t& context;
  const Clock& clock;
  Collector& collector;
  act::Hypervisor& hypervisor;
  /// MemAvailable or what bounds it more. Called from thread command.
  std::function<Result<std::int64_t>()> memory_available_bytes;
};

/// The agent's modules and threads, between the queues.
/// Thread: owned by one, which starts and stops it.
class Agent {
 public:
  static constexpr std::chrono::milliseconds kWorkersPatience{3000};

  Agent(const AgentConfig& config, std::uint64_t boot_id, wire::KeyPair keys, AgentSurroundings surroundings,
        AgentQueues& queues);
  /// Stops, then waits for workers that a hypervisor's call holds for however long that takes.
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  /// Starts every thread, consumers before producers. Once.
  /// Errors: what Publisher and CommandChannel say; nothing then runs.
  Status start();
  /// Closes the queues and stops in reverse order: no new samples or jobs, workers let go of what they watch (a running
  /// migration goes on without them and is taken up again at the next start), last words are sent, telemetry is sent or
  /// spooled. Workers whose call the hypervisor does not answer are waited for no longer than `patience`: what becomes
  /// of their commands is for the next start to find out, as after a kill. Safe to repeat.
  void stop(std::chrono::milliseconds patience = kWorkersPatience);

  std::uint64_t dropped_frames() const { return publisher_.dropped_frames(); }
  act::CommandStatus command_status() const { return channel_.status(); }

 private:
  void collect();
  void add_workers();
  void wait_for_workers(std::chrono::milliseconds patience) const;

  const AgentConfig& config_;
  const AgentSurroundings surroundings_;
  AgentQueues& queues_;
  act::StoppablePause pause_;
  publish::Publisher publisher_;
  act::CommandChannel channel_;
  std::vector<std::unique_ptr<act::Worker>> workers_;
  std::thread collect_thread_;
};

}  // namespace proteus
