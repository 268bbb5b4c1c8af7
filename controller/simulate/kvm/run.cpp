#include "controller/simulate/kvm/run.h"

#include <algorithm>
#include <ctime>

namespace proteus::simulate::kvm {
namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void admit(Cluster& cluster, Policy& policy, const TickOutcome& last) {
  for (const int vm : cluster.arrivals()) {
    const Console console(cluster, last);
    const std::optional<int> wish = policy.place(console, vm);
    const double provisioned = cluster.workload().vms[static_cast<std::size_t>(vm)].memory_mib;
    int host = wish ? *wish : cluster.default_place(vm, provisioned / 2);
    if (host == kNever) host = cluster.wake_for_arrival();
    cluster.arrive(vm, host);
  }
}

}  // namespace

RunResult run(const Workload& workload, Policy& policy, const RunOptions& options) {
  Cluster cluster(workload);
  Tally tally;
  TickOutcome last;
  RunResult result;
  const int end =
      options.ticks_max > 0 ? std::min(workload.end_tick, kFirstTick + options.ticks_max) : workload.end_tick;
  while (cluster.tick() < end) {
    const int tick = cluster.tick();
    cluster.finish_wakes();
    cluster.depart();
    admit(cluster, policy, last);
    Console console(cluster, last);
    const double begun_s = cpu_seconds();
    policy.decide(console);
    const double took_s = cpu_seconds() - begun_s;
    result.decision_cpu_s_mean += took_s;
    result.decision_cpu_s_max = std::max(result.decision_cpu_s_max, took_s);
    tally.add_actions(console.refused(), console.reshapes(), console.helpers());
    const MigrationTally migrations = cluster.start_migrations();
    last = simulate_tick(cluster);
    tally.add(cluster, tick, last, migrations);
    if (options.on_tick) options.on_tick(cluster, last, tally);
  }
  result.metrics = tally.metrics();
  if (result.metrics.ticks > 0) result.decision_cpu_s_mean /= result.metrics.ticks;
  return result;
}

}  // namespace proteus::simulate::kvm
