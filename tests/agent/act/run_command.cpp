// Carries out one command on a real libvirt and prints every update as a line of JSON: the lab's hand on the agent's
// room.
//   act_run_command URI VM_UUID [--deadline SECONDS] [--abort-after SECONDS] [--adopt] OPERATION
//   OPERATION: inspect | quota US PERIOD_US | shares N | vcpus N | memory MIB | migrate TARGET URI MIGRATE_URI
//   [MIB_PER_S]
// Exit code: 0 if the last update says succeeded, 3 failed, 4 refused, 2 usage.

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "agent/act/job.h"
#include "agent/act/libvirt_hypervisor.h"
#include "agent/act/worker.h"

namespace {

using namespace proteus;

nlohmann::json to_json(const Update& update) {
  nlohmann::json json{
      {"state", to_string(update.state)}, {"message", update.message}, {"time_ns", to_unix_ns(update.time)}};
  if (const auto& m = update.migration) {
    json["migration"] = {{"processed", m->bytes_processed},
                         {"remaining", m->bytes_remaining},
                         {"total", m->bytes_total},
                         {"dirty_bytes_per_s", m->dirty_bytes_per_s},
                         {"downtime_ms", m->downtime_ms}};
  }
  if (const auto& o = update.observed) {
    json["observed"] = {{"active", o->defined_active},    {"running", o->running},         {"vcpus", o->vcpus},
                        {"quota_us", o->cpu_quota_us},    {"period_us", o->cpu_period_us}, {"shares", o->cpu_shares},
                        {"memory_bytes", o->memory_bytes}};
  }
  return json;
}

bool parse(const std::vector<std::string>& words, Operation& operation) {
  if (words.empty()) return false;
  const auto number = [&](std::size_t i) { return std::stoll(words.at(i)); };
  if (words[0] == "inspect")
    operation = Inspect{};
  else if (words[0] == "quota")
    operation = SetCpuQuota{number(1), number(2)};
  else if (words[0] == "shares")
    operation = SetCpuShares{number(1)};
  else if (words[0] == "vcpus")
    operation = SetVcpus{static_cast<std::int32_t>(number(1))};
  else if (words[0] == "memory")
    operation = SetMemory{number(1) * kMiB};
  else if (words[0] == "migrate") {
    Migrate migrate{.target = HostId(words.at(1)), .target_libvirt_uri = words.at(2), .migrate_uri = words.at(3)};
    if (words.size() > 4) migrate.bandwidth_bytes_per_s = number(4) * kMiB;
    operation = migrate;
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 3) throw std::invalid_argument("usage: see the head of run_command.cpp");
  const std::string uri = words[0];
  const SystemClock clock;
  act::Job job;
  job.command.vm = VmId(words[1]);
  job.command.id = job.command.action = 1;
  std::chrono::seconds deadline{60};
  std::chrono::seconds abort_after{0};
  std::size_t i = 2;
  for (; i < words.size() && words[i].starts_with("--"); ++i) {
    if (words[i] == "--adopt")
      job.adopted = true;
    else if (words[i] == "--deadline")
      deadline = std::chrono::seconds(std::stoi(words.at(++i)));
    else if (words[i] == "--abort-after")
      abort_after = std::chrono::seconds(std::stoi(words.at(++i)));
    else
      throw std::invalid_argument("unknown option " + words[i]);
  }
  if (!parse({words.begin() + static_cast<std::ptrdiff_t>(i), words.end()}, job.command.operation)) {
    throw std::invalid_argument("unknown operation");
  }
  job.command.deadline = clock.now() + deadline;

  act::LibvirtHypervisor hypervisor(uri);
  const act::LocalLimits limits;
  act::StoppablePause pause;
  act::StoppablePause patience;
  CommandState last{};
  act::JobContext context{HostId("here"), hypervisor, limits, clock, pause, [&](const Update& update) {
                            last = update.state;
                            std::cout << to_json(update).dump() << std::endl;
                          }};
  std::thread aborter([&] {
    if (abort_after.count() > 0 && patience.wait(abort_after)) job.abort_requested->store(true);
  });
  act::run_job(context, job);
  patience.stop();
  aborter.join();
  return last == CommandState::kSucceeded ? 0 : last == CommandState::kFailed ? 3 : 4;
} catch (const std::exception& trouble) {
  std::cerr << "act_run_command: " << trouble.what() << '\n';
  return 2;
}
