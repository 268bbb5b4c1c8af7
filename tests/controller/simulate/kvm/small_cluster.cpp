#include "tests/controller/simulate/kvm/small_cluster.h"

namespace proteus::simulate::kvm {
namespace {

constexpr HostClass kHost{"test", 2, 1000, 10000, 1000, 0.20, 125000, 100, 200};

}  // namespace

SmallCluster::SmallCluster() {
  workload_.traces = &traces_;
  workload_.hosts = {&kHost, &kHost};
  workload_.end_tick = kTraceTicks;
}

int SmallCluster::add_vm(double memory_mib, Demand demand) {
  const std::size_t machine = traces_.machines.size();
  traces_.machines.push_back({1, memory_mib});
  const double values[] = {demand.cpu_mhz, demand.active_mib, demand.disk_kbs, demand.network_kbs};
  for (std::size_t s = 0; s < kSeriesCount; ++s) {
    traces_.samples[s].insert(traces_.samples[s].end(), kTraceTicks, static_cast<float>(values[s]));
  }
  Vm vm;
  vm.machine = machine;
  vm.memory_mib = memory_mib;
  vm.value = 1;
  workload_.vms.push_back(vm);
  return static_cast<int>(machine);
}

void SmallCluster::set(int vm, Series series, int from_tick, double value) {
  for (int t = from_tick; t < kTraceTicks; ++t) set_one(vm, series, t, value);
}

void SmallCluster::set_one(int vm, Series series, int tick, double value) {
  traces_.samples[static_cast<std::size_t>(series)][static_cast<std::size_t>(vm) * kTraceTicks +
                                                    static_cast<std::size_t>(tick)] = static_cast<float>(value);
}

}  // namespace proteus::simulate::kvm
