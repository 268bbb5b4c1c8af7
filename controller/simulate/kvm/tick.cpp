#include "controller/simulate/kvm/tick.h"

#include <algorithm>
#include <utility>

#include "controller/simulate/kvm/performance.h"

namespace proteus::simulate::kvm {
namespace {

constexpr double kDiskHalf_kbs = 50000;     ///< a VM that moves so much spends half its time in disk I/O
constexpr double kNetworkHalf_kbs = 20000;  ///< likewise
constexpr double kHostSwapSlope = 20;
constexpr double kGuestSwapSlope = 10;
constexpr double kMigrationSlowdown = 0.1;
constexpr double kApartFactor = 0.9;
constexpr double kCoreRate_mibs = 1000;  ///< a migration at this rate takes one core

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

/// A VM on one of its hosts, or its helper on the helper's.
struct Presence {
  std::size_t vm;
  double time = 1;  ///< share of the tick
  double demand_mhz = 0;
  bool helper = false;
};

/// The share of the tick that a VM spends at its source.
double time_at_source(const VmState& vm) {
  return vm.migrating() ? std::min(1.0, vm.remaining_s / kTick_s) : 1;
}

class Tick {
 public:
  explicit Tick(const Cluster& cluster) : cluster_(cluster), workload_(cluster.workload()) {}

  void run(TickOutcome& outcome) {
    performance_.assign(workload_.vms.size(), 0);
    surroundings_.assign(workload_.vms.size(), 0);
    helped_.assign(workload_.vms.size(), 0);
    for (std::size_t h = 0; h < workload_.hosts.size(); ++h) run_host(h, outcome);
    for (std::size_t v = 0; v < workload_.vms.size(); ++v) {
      if (cluster_.vms()[v].present) finish_vm(v, outcome.vms[v]);
    }
  }

 private:
  double sample(std::size_t vm, Series series) const { return workload_.sample(vm, series, cluster_.tick()); }

  /// Of the VM's work, what its helper takes on.
  double helper_mhz(std::size_t vm) const {
    const VmState& state = cluster_.vms()[vm];
    if (!state.helped(cluster_.tick())) return 0;
    const double core_mhz = workload_.hosts[index(state.helper)]->core_mhz;
    return std::min(kHelperShare * sample(vm, Series::kCpu), core_mhz / kHelperCost);
  }

  int vcpus_of(const Presence& p) const { return p.helper ? 1 : workload_.vms[p.vm].vcpus; }

  std::vector<Presence> presences(std::size_t host) const {
    std::vector<Presence> list;
    const HostState& h = cluster_.hosts()[host];
    const auto add = [&](int vm, double time) {
      if (cluster_.vms()[index(vm)].down(cluster_.tick()) || time <= 0) return;
      const VmState& state = cluster_.vms()[index(vm)];
      const double most = workload_.vms[index(vm)].vcpus * workload_.hosts[host]->core_mhz;
      const double own = sample(index(vm), Series::kCpu) - helper_mhz(index(vm));
      const double wanted = std::min({own, state.cap_mhz, most});
      list.push_back({index(vm), time, time * wanted});
    };
    for (const int vm : h.vms) add(vm, time_at_source(cluster_.vms()[index(vm)]));
    for (const int vm : h.incoming) add(vm, 1 - time_at_source(cluster_.vms()[index(vm)]));
    for (const int vm : h.helped) {
      const double work = helper_mhz(index(vm));
      if (work > 0) list.push_back({index(vm), 1, kHelperCost * work, true});
    }
    std::stable_sort(list.begin(), list.end(), [](const Presence& a, const Presence& b) { return a.vm < b.vm; });
    return list;
  }

  /// Sums over the migrations that a host takes part in.
  struct MigrationLoad {
    double cores = 0;
    double network_kbs = 0;
  };
  MigrationLoad migration_load(std::size_t host) const {
    MigrationLoad load;
    const auto add = [&](int vm) {
      const VmState& state = cluster_.vms()[index(vm)];
      if (!state.migrating()) return;
      const double time = time_at_source(state);
      load.cores += time * std::min(1.0, state.rate_mibs / kCoreRate_mibs);
      load.network_kbs += time * state.rate_mibs * 1024;
    };
    for (const int vm : cluster_.hosts()[host].vms) add(vm);
    for (const int vm : cluster_.hosts()[host].incoming) add(vm);
    return load;
  }

  void run_host(std::size_t h, TickOutcome& outcome) {
    const HostClass& host = *workload_.hosts[h];
    HostTick& out = outcome.hosts[h];
    const Power power = cluster_.hosts()[h].power;
    out.power_w = power == Power::kAsleep ? kAsleep_w : host.idle_w;
    if (power != Power::kOn) return;

    const std::vector<Presence> present = presences(h);
    const MigrationLoad migrations = migration_load(h);
    BusyFractions busy{migrations.cores, migrations.cores};
    for (const Presence& p : present) {
      const double cores = p.demand_mhz / host.core_mhz;
      out.demand_mhz += p.demand_mhz;
      busy.sum += cores;
      busy.squares += cores * cores / (p.time * vcpus_of(p));
      if (p.helper) continue;
      out.disk_kbs += p.time * sample(p.vm, Series::kDisk);
      out.network_kbs += p.time * sample(p.vm, Series::kNetwork);
    }
    out.overhead_mhz = migrations.cores * host.core_mhz;
    out.wait = run_queue_wait(busy, host.cores);
    out.disk_load = out.disk_kbs / host.disk_kbs;
    out.network_load = (out.network_kbs + migrations.network_kbs) / host.network_kbs;
    out.network_stretch = stretch(out.network_load);
    out.disk_latency_ms = stretch(out.disk_load) * host.disk_latency_ms;
    const double used = std::min(1.0, (out.demand_mhz + out.overhead_mhz) / host.cpu_mhz());
    out.power_w = host.idle_w + (host.peak_w - host.idle_w) * used;
    share_out(h, present, outcome);
  }

  void share_out(std::size_t h, const std::vector<Presence>& present, TickOutcome& outcome) {
    const HostClass& host = *workload_.hosts[h];
    HostTick& out = outcome.hosts[h];
    const double capacity = host.cpu_mhz() - out.overhead_mhz;
    std::vector<double> shares;
    if (out.demand_mhz > capacity) {
      std::vector<Claim> claims;
      for (const Presence& p : present) {
        const double weight = p.helper ? 1 : cluster_.vms()[p.vm].weight;
        claims.push_back({p.demand_mhz, p.time * vcpus_of(p) * weight});
      }
      shares = fair_shares(claims, capacity);
    } else {
      for (const Presence& p : present) shares.push_back(p.demand_mhz);
    }
    for (std::size_t i = 0; i < present.size(); ++i) {
      const Presence& p = present[i];
      VmTick& vm = outcome.vms[p.vm];
      const double cpu = sample(p.vm, Series::kCpu);
      out.cpu_mhz += shares[i];
      if (p.helper) {
        const double done = shares[i] / kHelperCost;
        helped_[p.vm] = done / cpu * (1 - out.wait) / (1 + kHostSwapSlope * out.memory_excess);
        vm.cpu_mhz += done;
        vm.wait += helper_mhz(p.vm) / cpu * out.wait;
        continue;
      }
      const double disk = sample(p.vm, Series::kDisk);
      const double network = sample(p.vm, Series::kNetwork);
      const double served = cpu > 0 ? shares[i] / (p.time * cpu) : 1;
      vm.disk_share = disk / (disk + kDiskHalf_kbs);
      vm.network_share = network / (network + kNetworkHalf_kbs);
      const double guest = guest_factor(p.vm, vm);
      const double disk_factor = io_factor(vm.disk_share, out.disk_latency_ms / workload_.best_disk_latency_ms);
      const double network_factor = io_factor(vm.network_share, out.network_stretch);
      performance_[p.vm] += p.time * served * (1 - out.wait) / (1 + kHostSwapSlope * out.memory_excess) * guest *
                            disk_factor * network_factor;
      surroundings_[p.vm] += p.time * guest * disk_factor * network_factor;
      vm.demand_mhz = cpu;
      vm.cpu_mhz += shares[i];
      vm.wait += (cpu > 0 ? 1 - helper_mhz(p.vm) / cpu : 1) * p.time * out.wait;
      if (out.memory_excess > 0) vm.host_swap += p.time;
    }
  }

  double guest_factor(std::size_t v, VmTick& vm) const {
    const double needed = cluster_.memory_needed(static_cast<int>(v));
    const double ceiling = cluster_.vms()[v].balloon_mib;
    if (needed <= ceiling) return 1;
    vm.guest_swap = true;
    return 1 / (1 + kGuestSwapSlope * (needed - ceiling) / needed);
  }

  void finish_vm(std::size_t v, VmTick& vm) const {
    const VmState& state = cluster_.vms()[v];
    vm.down = state.down(cluster_.tick());
    if (vm.down) {
      vm.loss = 1;
      return;
    }
    double performance = performance_[v] + helped_[v] * surroundings_[v];
    if (state.migrating()) {
      performance *= 1 - kMigrationSlowdown * time_at_source(state);
      if (state.remaining_s <= kTick_s) performance *= 1 - std::min(1.0, state.downtime_s / kTick_s);
    }
    const int partner = workload_.vms[v].partner;
    if (partner != kNever && cluster_.vms()[index(partner)].present &&
        cluster_.vms()[index(partner)].host != state.host) {
      performance *= kApartFactor;
    }
    vm.loss = 1 - performance;
  }

  const Cluster& cluster_;
  const Workload& workload_;
  std::vector<double> performance_;   ///< [vm] of what it does itself
  std::vector<double> surroundings_;  ///< [vm] what memory, disk and network leave of it
  std::vector<double> helped_;        ///< [vm] share of its work that its helper does
};

}  // namespace

TickOutcome simulate_tick(Cluster& cluster) {
  TickOutcome outcome;
  outcome.vms.resize(cluster.workload().vms.size());
  outcome.hosts.resize(cluster.workload().hosts.size());
  cluster.settle_memory();
  MemoryPressure pressure = cluster.kill_for_memory();
  for (std::size_t h = 0; h < outcome.hosts.size(); ++h) outcome.hosts[h].memory_excess = pressure.excess[h];
  outcome.killed = std::move(pressure.killed);
  Tick(cluster).run(outcome);
  cluster.advance();
  return outcome;
}

}  // namespace proteus::simulate::kvm
