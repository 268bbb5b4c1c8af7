#include "controller/simulate/kvm/workload.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "controller/simulate/kvm/splitmix64.h"

namespace proteus::simulate::kvm {
namespace {

constexpr HostClass kClassA{"A", 12, 2400, 65536, 250000, 0.30, 122000, 90, 240};
constexpr HostClass kClassB{"B", 16, 2800, 81920, 500000, 0.25, 1220000, 100, 320};
constexpr HostClass kClassC{"C", 24, 2600, 131072, 1000000, 0.20, 1220000, 120, 420};

struct Scenario {
  std::string_view name;
  std::array<std::size_t, 3> hosts;  ///< of class A, B, C
  std::size_t vms;
  int end_tick;
  bool shifted;  ///< traces are used many times, each time shifted
};
constexpr std::array kScenarios = {
    Scenario{"small", {2, 1, 1}, 64, 2592, false},
    Scenario{"normal", {5, 4, 3}, 200, kTraceTicks, false},
    Scenario{"large", {400, 400, 200}, 20000, 2304, true},
};

constexpr int kVcpusMax = 16;
constexpr double kMemoryMax_mib = 65536;
constexpr std::size_t kVmsPerGroup = 25;
constexpr std::size_t kGroupSize = 3;
constexpr std::size_t kVmsPerPair = 40;

std::vector<std::size_t> shuffled_machines(const Traces& traces, SplitMix64& random) {
  std::vector<std::size_t> machines;
  for (std::size_t i = 0; i < traces.machines.size(); ++i) {
    const Traces::Machine& machine = traces.machines[i];
    if (machine.vcpus <= kVcpusMax && machine.memory_mib <= kMemoryMax_mib) machines.push_back(i);
  }
  for (std::size_t i = machines.size(); i-- > 1;) std::swap(machines[i], machines[random.next() % (i + 1)]);
  return machines;
}

/// The order of the draws is part of the benchmark.
Vm draw_vm(const Traces& traces, std::size_t machine, const Scenario& scenario, SplitMix64& random) {
  Vm vm;
  vm.machine = machine;
  vm.vcpus = traces.machines[machine].vcpus;
  vm.memory_mib = traces.machines[machine].memory_mib;
  const std::uint64_t days = random.next() % 7;
  const std::uint64_t slots = random.next();
  if (scenario.shifted) vm.offset = static_cast<int>(days) * kDayTicks + static_cast<int>(slots % 12);
  const double rank = random.uniform();
  vm.vm_class = rank < 0.2 ? VmClass::kGold : rank < 0.7 ? VmClass::kSilver : VmClass::kBronze;
  vm.pinned = random.uniform() < 0.05;
  vm.scalable = random.uniform() < 0.2;
  const double life = random.uniform();
  const auto begin = static_cast<int>(random.next() % static_cast<std::uint64_t>(scenario.end_tick - kFirstTick));
  const auto length = 144 + static_cast<int>(random.next() % 864);
  if (life >= 0.9) {
    vm.arrives = kFirstTick + begin;
    vm.departs = vm.arrives + length;
  } else if (life >= 0.8) {
    vm.departs = std::max(kFirstTick + begin, kFirstTick + 1);
  }
  vm.value = (0.01 * vm.vcpus + 0.003 * vm.memory_mib / 1024) * class_factor(vm.vm_class);
  return vm;
}

}  // namespace

double class_factor(VmClass vm_class) {
  switch (vm_class) {
    case VmClass::kGold: return 3;
    case VmClass::kSilver: return 1;
    case VmClass::kBronze: return 0.3;
  }
  return 1;
}

Result<Workload> generate(const Traces& traces, std::string_view name, std::uint64_t seed) {
  const auto* const scenario =
      std::find_if(kScenarios.begin(), kScenarios.end(), [&](const Scenario& s) { return s.name == name; });
  if (scenario == kScenarios.end()) {
    return Error{ErrorCode::kInvalidArgument,
                 "no scenario is called '" + std::string(name) + "': small, normal or large"};
  }
  Workload workload;
  workload.traces = &traces;
  workload.end_tick = scenario->end_tick;
  constexpr std::array kClasses = {&kClassA, &kClassB, &kClassC};
  for (std::size_t c = 0; c < kClasses.size(); ++c) {
    workload.hosts.insert(workload.hosts.end(), scenario->hosts[c], kClasses[c]);
  }

  SplitMix64 random(seed);
  const std::vector<std::size_t> machines = shuffled_machines(traces, random);
  if (machines.empty()) return Error{ErrorCode::kInvalidArgument, "no trace is small enough for a host"};
  for (std::size_t v = 0; v < scenario->vms; ++v) {
    workload.vms.push_back(draw_vm(traces, machines[v % machines.size()], *scenario, random));
  }
  const std::size_t groups = scenario->vms / kVmsPerGroup;
  for (std::size_t g = 0; g < groups; ++g) {
    std::vector<int>& group = workload.groups.emplace_back();
    for (std::size_t i = 0; i < kGroupSize; ++i) {
      group.push_back(static_cast<int>(kGroupSize * g + i));
      workload.vms[kGroupSize * g + i].group = static_cast<int>(g);
    }
  }
  for (std::size_t i = 0; i < scenario->vms / kVmsPerPair; ++i) {
    const std::size_t first = kGroupSize * groups + 2 * i;
    workload.vms[first].partner = static_cast<int>(first + 1);
    workload.vms[first + 1].partner = static_cast<int>(first);
  }
  return workload;
}

}  // namespace proteus::simulate::kvm
