#include "agent/agent.h"

#include <pthread.h>

#include <utility>

#include "common/log.h"

namespace proteus {
namespace {

/// A vCPU that the guest keeps holds its worker for seconds; a second one keeps quotas moving meanwhile.
constexpr int kReshapeWorkersCount = 2;
constexpr Nanoseconds kRoomPatience = std::chrono::milliseconds(10);

publish::PublisherOptions publisher_options(const AgentConfig& config, const wire::KeyPair& keys) {
  publish::PublisherOptions options;
  options.host = config.host;
  options.keys = keys;
  for (const auto& controller : config.controllers) {
    options.controllers.push_back({controller.telemetry, controller.public_key});
  }
  options.spool_directory = config.state_directory + "/spool";
  options.spool_bytes_max = static_cast<std::uint64_t>(config.spool_bytes_max);
  return options;
}

act::CommandChannelOptions channel_options(const AgentConfig& config, std::uint64_t boot_id, wire::KeyPair keys) {
  act::CommandChannelOptions options;
  options.boot_id = boot_id;
  options.keys = std::move(keys);
  for (const auto& controller : config.controllers) {
    options.controllers.push_back({controller.command, controller.public_key});
  }
  options.version = PROTEUS_VERSION;
  options.socket.message_bytes_max = wire::kCommandMessageBytesMax;
  return options;
}

}  // namespace

Agent::Agent(const AgentConfig& config, std::uint64_t boot_id, wire::KeyPair keys, AgentSurroundings surroundings,
             AgentQueues& queues)
    : config_(config),
      surroundings_(std::move(surroundings)),
      queues_(queues),
      publisher_(surroundings_.context, publisher_options(config, keys), queues.samples),
      channel_(surroundings_.context, channel_options(config, boot_id, std::move(keys)), surroundings_.clock,
               act::Lanes{queues.inspect_jobs, queues.reshape_jobs, queues.migrate_jobs}, queues.job_updates) {}

Agent::~Agent() {
  stop();
}

Status Agent::start() {
  if (auto status = publisher_.start(); !status) return with_context(status.error(), "telemetry");
  act::ExecutorOptions executor;
  executor.host = config_.host;
  executor.limits = config_.limits;
  executor.state_directory = config_.state_directory;
  executor.lease = config_.leader_lease;
  if (auto status = channel_.start(std::move(executor), surroundings_.memory_available_bytes); !status) {
    publisher_.stop();
    return with_context(status.error(), "commands");
  }
  add_workers();
  collect_thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "collect");
    collect();
  });
  return {};
}

void Agent::add_workers() {
  const auto add = [&](const std::string& name, Queue<act::Job>& jobs) {
    workers_.push_back(std::make_unique<act::Worker>(
        name, config_.host, jobs, surroundings_.hypervisor, config_.limits, surroundings_.clock, pause_,
        [this](const Update& update) {
          while (!queues_.job_updates.push(update) && pause_.wait(kRoomPatience)) {
          }
        },
        [this](const VmId& vm) { surroundings_.collector.refresh(vm); }));
  };
  add("inspect", queues_.inspect_jobs);
  for (int i = 1; i <= kReshapeWorkersCount; ++i) add("reshape-" + std::to_string(i), queues_.reshape_jobs);
  for (int i = 1; i <= config_.limits.concurrent_migrations_max; ++i) {
    add("migrate-" + std::to_string(i), queues_.migrate_jobs);
  }
}

void Agent::collect() {
  // Ticks fall on multiples of the interval, so that hosts with good clocks measure the same second.
  const auto until_multiple_of = [this](Nanoseconds interval) {
    return interval - surroundings_.clock.now().time_since_epoch() % interval;
  };
  for (int parts = 1;; parts = surroundings_.collector.looks_due()) {
    for (int part = 1; part < parts; ++part) {
      if (!pause_.wait(until_multiple_of(config_.tick / parts))) return;
      surroundings_.collector.look();
    }
    if (!pause_.wait(until_multiple_of(config_.tick))) return;
    queues_.samples.push(surroundings_.collector.tick(surroundings_.clock.now()));
  }
}

void Agent::wait_for_workers(std::chrono::milliseconds patience) const {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (const auto& worker : workers_) {
    if (worker->ends_by(deadline)) continue;
    log::warning("act: {} still waits for the hypervisor; the next start finds out what became of its command",
                 worker->name());
  }
}

void Agent::stop(std::chrono::milliseconds patience) {
  pause_.stop();
  if (collect_thread_.joinable()) collect_thread_.join();
  queues_.inspect_jobs.close();
  queues_.reshape_jobs.close();
  queues_.migrate_jobs.close();
  wait_for_workers(patience);
  queues_.job_updates.close();
  channel_.stop();
  queues_.samples.close();
  publisher_.stop();
}

}  // namespace proteus
