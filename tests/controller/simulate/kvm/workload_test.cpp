#include "controller/simulate/kvm/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/simulate/kvm/splitmix64.h"

namespace proteus::simulate::kvm {
namespace {

Traces forty_machines() {
  Traces traces;
  for (int i = 0; i < 40; ++i) traces.machines.push_back({1 + i % 4, 1024.0 * (1 + i)});
  traces.machines[7].vcpus = 32;          // too large for the benchmark
  traces.machines[8].memory_mib = 70000;  // likewise
  for (auto& samples : traces.samples) samples.assign(40 * kTraceTicks, 1);
  return traces;
}

TEST(SplitMix64, KnownNumbers) {
  // The first outputs for seed 1234567 of the reference implementation.
  SplitMix64 random(1234567);
  EXPECT_EQ(random.next(), 6457827717110365317ULL);
  EXPECT_EQ(random.next(), 3203168211198807973ULL);
}

TEST(Generate, SmallHasItsHostsGroupsAndPairs) {
  const Traces traces = forty_machines();
  const Result<Workload> workload = generate(traces, "small", 3);
  ASSERT_TRUE(workload) << workload.error().message;
  ASSERT_EQ(workload->hosts.size(), 4U);
  EXPECT_EQ(workload->hosts[0]->name, "A");
  EXPECT_EQ(workload->hosts[3]->name, "C");
  ASSERT_EQ(workload->vms.size(), 64U);
  EXPECT_THAT(workload->groups, testing::ElementsAre(testing::ElementsAre(0, 1, 2), testing::ElementsAre(3, 4, 5)));
  EXPECT_EQ(workload->vms[6].partner, 7);
  EXPECT_EQ(workload->vms[7].partner, 6);
  EXPECT_EQ(workload->vms[8].partner, kNever);
  for (const Vm& vm : workload->vms) {
    EXPECT_LE(vm.vcpus, 16);
    EXPECT_LE(vm.memory_mib, 65536);
    EXPECT_EQ(vm.offset, 0);
    if (vm.arrives != kFirstTick) {
      EXPECT_GE(vm.departs, vm.arrives + 144);
    }
    if (vm.departs != kNever) {
      EXPECT_GT(vm.departs, kFirstTick);
    }
  }
  // Traces are dealt out again once all have been used.
  EXPECT_EQ(workload->vms[0].machine, workload->vms[38].machine);
}

TEST(Generate, TheSameSeedGivesTheSameVmsAndAnotherSeedOthers) {
  const Traces traces = forty_machines();
  const auto machines = [&](std::uint64_t seed) {
    std::vector<std::size_t> list;
    const Result<Workload> workload = generate(traces, "small", seed);
    for (const Vm& vm : workload->vms) list.push_back(vm.machine);
    return list;
  };
  EXPECT_EQ(machines(1), machines(1));
  EXPECT_NE(machines(1), machines(2));
}

TEST(Generate, ValueCountsSizeAndClass) {
  const Traces traces = forty_machines();
  const Result<Workload> workload = generate(traces, "small", 1);
  for (const Vm& vm : workload->vms) {
    const double factor = vm.vm_class == VmClass::kGold ? 3 : vm.vm_class == VmClass::kSilver ? 1 : 0.3;
    EXPECT_DOUBLE_EQ(vm.value, (0.01 * vm.vcpus + 0.003 * vm.memory_mib / 1024) * factor);
  }
}

TEST(Generate, RefusesAnotherNameAndTracesThatAreAllTooLarge) {
  Traces traces = forty_machines();
  EXPECT_EQ(generate(traces, "huge", 1).error().code, ErrorCode::kInvalidArgument);
  for (Traces::Machine& machine : traces.machines) machine.vcpus = 32;
  EXPECT_EQ(generate(traces, "small", 1).error().code, ErrorCode::kInvalidArgument);
}

TEST(ReadTraces, NamesTheFileThatIsMissing) {
  const Result<Traces> traces = read_traces("/nowhere");
  ASSERT_FALSE(traces);
  EXPECT_EQ(traces.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(traces.error().message, testing::HasSubstr("/nowhere/vms.csv"));
}

}  // namespace
}  // namespace proteus::simulate::kvm
