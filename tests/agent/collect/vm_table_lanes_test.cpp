// What the table gives to the kernel programs and takes from them.
#include "tests/agent/collect/vm_table_fixture.h"

namespace proteus::collect {
namespace {

TEST_F(VmTableTest, SaysWhenThereIsNoSlotAndReusesAFreedOne) {
  const VmId b("b"), c("c"), d("d");
  add_vm(kVm, "a", 70);
  add_vm(b, "b", 80);
  add_vm(c, "c", 90);
  add_thread(70, 70, "qemu");
  add_thread(80, 80, "qemu");
  add_thread(90, 90, "qemu");
  table.update(inventory);
  int without = 0;
  for (const auto& [id, vm] : table.vms()) without += vm.slot ? 0 : 1;
  EXPECT_EQ(without, 1);
  EXPECT_EQ(table.refused_count(), 1);

  inventory.vms.erase(kVm);
  inventory.vms.erase(c);
  table.update(inventory);
  add_vm(d, "d", 100);
  add_thread(100, 100, "qemu");
  table.update(inventory);
  EXPECT_TRUE(table.vms().at(d).slot);
}

TEST_F(VmTableTest, WhatLibvirtTellsOfDisksIsPassedOnOnce) {
  using namespace std::chrono_literals;
  add_vm(kVm, "a", 70);
  inventory.vms[kVm].disks.resize(1);
  const auto is_new = [&] {
    table.update(inventory);
    return table.vms().at(kVm).disks_are_new;
  };
  EXPECT_FALSE(is_new()) << "it has told nothing";
  for (const auto told_at : {10s, 20s}) {
    inventory.vms[kVm].disks_told_at = std::chrono::steady_clock::time_point(told_at);
    EXPECT_TRUE(is_new());
    EXPECT_FALSE(is_new());
  }
}

TEST_F(VmTableTest, AVmThatCameWhileAllSlotsWereTakenGetsOneThatComesFree) {
  const VmId b("b"), c("c");
  add_vm(kVm, "a", 70);
  add_vm(b, "b", 80);
  add_thread(70, 70, "qemu");
  add_thread(80, 80, "qemu");
  table.update(inventory);
  add_vm(c, "c", 90);
  add_thread(90, 90, "qemu");
  for (int i = 0; i < 3; ++i) table.update(inventory);
  EXPECT_FALSE(table.vms().at(c).slot);
  inventory.vms.erase(b);
  table.update(inventory);
  ASSERT_TRUE(table.vms().at(c).slot);
  EXPECT_EQ(trace.watched.at(90), *table.vms().at(c).slot);
  EXPECT_EQ(table.refused_count(), 1) << "once, however often it is tried";
}

TEST_F(VmTableTest, AWinnerThatLosesItsSlotIsNotTakenForWhoHasItNext) {
  const VmId b("b"), c("c");
  add_vm(kVm, "a", 70);
  add_vm(b, "b", 80);
  add_thread(70, 70, "qemu");
  add_thread(80, 80, "qemu");
  table.update(inventory);
  trace.cells[{*table.vms().at(kVm).slot, *table.vms().at(b).slot}] = 3;
  for (int i = 0; i < 6; ++i) table.update(inventory);
  ASSERT_EQ(table.vms().at(kVm).winners.size(), 1u);
  end_thread(80, 80);
  table.update(inventory);
  trace.refuses = true;  // there is no room for its next process
  add_vm(b, "b", 81);
  add_thread(81, 81, "qemu");
  EXPECT_TRUE(table.update(inventory));
  EXPECT_FALSE(table.vms().at(b).slot);
  EXPECT_TRUE(table.vms().at(kVm).winners.empty());
}

TEST_F(VmTableTest, WinnersGetTheirSeriesWhenTheyFirstWin) {
  const VmId b("b");
  add_vm(kVm, "a", 70);
  add_vm(b, "b", 80);
  add_thread(70, 70, "qemu");
  add_thread(80, 80, "qemu");
  table.update(inventory);
  const auto a_slot = *table.vms().at(kVm).slot;
  const auto b_slot = *table.vms().at(b).slot;
  trace.cells[{a_slot, b_slot}] = 4;
  trace.cells[{a_slot, -1}] = 2;
  bool changed = false;
  for (int i = 0; i < 5; ++i) changed |= table.update(inventory);
  EXPECT_TRUE(changed);
  const TrackedVm& vm = table.vms().at(kVm);
  ASSERT_EQ(vm.winners.size(), 2u);
  EXPECT_EQ(vm.winners[0], Winner{});
  EXPECT_EQ(table.preemptions(vm, vm.winners[0]), 2);
  EXPECT_EQ(vm.winners[1].vm, b);
  EXPECT_EQ(table.preemptions(vm, vm.winners[1]), 4);
  EXPECT_TRUE(table.vms().at(b).winners.empty());

  inventory.vms.erase(b);
  table.update(inventory);
  EXPECT_EQ(table.vms().at(kVm).winners, std::vector<Winner>{Winner{}});
}

TEST_F(VmTableTest, WhoWinsOftenTakesThePlaceOfOneWhoDoesNot) {
  for (std::uint32_t slot = 2; slot < 35; ++slot) trace.free.insert(slot);
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  for (int i = 0; i < 34; ++i) {
    add_vm(VmId("b" + std::to_string(i)), "b" + std::to_string(i), 100 + i);
    add_thread(100 + i, 100 + i, "qemu");
  }
  table.update(inventory);
  const auto slot_of = [&](const VmId& id) { return static_cast<int>(*table.vms().at(id).slot); };
  const auto cell = [&](const std::string& winner) -> auto& {
    return trace.cells[{*table.vms().at(kVm).slot, slot_of(VmId(winner))}];
  };
  for (int i = 0; i < 32; ++i) cell("b" + std::to_string(i)) = 10 + i;
  const auto wins = [&](const std::string& winner) {
    const auto& winners = table.vms().at(kVm).winners;
    return std::any_of(winners.begin(), winners.end(), [&](const Winner& w) { return w.vm == VmId(winner); });
  };
  for (int i = 0; i < 400 && table.vms().at(kVm).winners.size() < 32; ++i) table.update(inventory);
  ASSERT_EQ(table.vms().at(kVm).winners.size(), 32u);
  cell("b32") = 40;
  for (int i = 0; i < 400; ++i) table.update(inventory);
  EXPECT_FALSE(wins("b32")) << "not by so much that the catalog changes for it";
  cell("b32") = 44;
  for (int i = 0; i < 400 && !wins("b32"); ++i) table.update(inventory);
  EXPECT_TRUE(wins("b32"));
  EXPECT_FALSE(wins("b0")) << "the least";
  EXPECT_TRUE(wins("b1"));
  EXPECT_EQ(table.vms().at(kVm).winners.size(), 32u);
  cell("b33") = cell("b0") = 400;  // found together
  for (int i = 0; i < 400 && !(wins("b33") && wins("b0")); ++i) table.update(inventory);
  EXPECT_TRUE(wins("b33") && wins("b0"));
  EXPECT_FALSE(wins("b1") || wins("b2")) << "the two least";
  EXPECT_TRUE(wins("b3") && wins("b32"));
}

TEST_F(VmTableTest, ThrottledTimeGrowsByTheLargerOfItsSources) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  root.write("/proc/70/cgroup", "1:cpu:/machine/qemu-1-a.libvirt-qemu/emulator\n");
  const std::string stat = "/sys/fs/cgroup/cpu/machine/qemu-1-a.libvirt-qemu/vcpu0/cpu.stat";
  root.write(stat, "throttled_time 1000\n");
  table.update(inventory);
  const TrackedVm& vm = table.vms().at(kVm);
  EXPECT_EQ(vm.throttled_time_ns, 0);
  trace.own_quota_ns = 300;
  root.write(stat, "throttled_time 1020\n");
  table.update(inventory);
  EXPECT_EQ(vm.throttled_time_ns, 300);
  root.write(stat, "throttled_time 1520\n");
  table.update(inventory);
  EXPECT_EQ(vm.throttled_time_ns, 800);
  root.write(stat, "nr_periods 1\n");
  table.update(inventory);
  EXPECT_EQ(vm.throttled_time_ns, std::nullopt);
}

TEST_F(VmTableTest, TheHookIsToldWhichThreadsAreVcpus) {
  const VmId b("b"), c("c");
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 71, "CPU 0/KVM");
  add_thread(70, 72, "fc_vcpu");
  table.update(inventory);
  EXPECT_EQ(trace.vcpus.at(70), std::vector<pid_t>{71});
  kvm.vcpus[70] = {{.vcpu = 500, .kvm = 1, .owner = 70, .vcpu_id = 1, .pid = 70, .tid = 72}};
  table.update(inventory);
  EXPECT_EQ(trace.vcpus.at(70), (std::vector<pid_t>{71, 72})) << "by its descriptor of KVM";
  end_thread(70, 72);
  table.update(inventory);
  EXPECT_EQ(trace.vcpus.at(70), std::vector<pid_t>{71});

  add_vm(b, "b", 80);
  add_thread(80, 80, "qemu");
  add_vm(c, "c", 90);
  add_thread(90, 90, "qemu");
  add_thread(90, 91, "CPU 0/KVM");
  for (int i = 0; i < 8; ++i) table.update(inventory);
  EXPECT_FALSE(trace.vcpus.contains(90)) << "it has no slot yet";
  inventory.vms.erase(b);
  table.update(inventory);
  EXPECT_EQ(trace.vcpus.at(90), std::vector<pid_t>{91});
}

TEST_F(VmTableTest, WhereKvmsModuleComesLaterItsVcpusAreFoundThen) {
  VmTable late(root.path(), {.threads = reader, .run_queue = &trace});
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "vmm");
  add_thread(70, 71, "fc_vcpu");
  kvm.vcpus[70] = {{.vcpu = 500, .kvm = 1, .owner = 70, .vcpu_id = 0, .pid = 70, .tid = 71}};
  for (int i = 0; i < 10; ++i) late.update(inventory);
  EXPECT_TRUE(trace.vcpus.at(70).empty());
  late.use(kvm);
  EXPECT_TRUE(late.update(inventory)) << "entities changed";
  EXPECT_EQ(trace.vcpus.at(70), std::vector<pid_t>{71});
  const TrackedThread& vcpu = late.vms().at(kVm).threads.front();
  EXPECT_EQ(vcpu.thread.tid, 71);
  ASSERT_TRUE(vcpu.kvm_figures);
  EXPECT_EQ(counter(*vcpu.kvm_figures, KVM_COUNTER_EXITS), 501);
}

TEST_F(VmTableTest, AProcessForWhichTheHookHasNoRoomIsCounted) {
  trace.refuses = true;
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  table.update(inventory);
  table.update(inventory);
  EXPECT_EQ(table.refused_count(), 1);
  EXPECT_FALSE(table.vms().at(kVm).slot) << "its histograms are absent, not zero";
  EXPECT_EQ(trace.free.size(), 2u);
}

TEST_F(VmTableTest, TheHookFollowsAVmToItsNextProcess) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  table.update(inventory);
  const auto slot = table.vms().at(kVm).slot;
  ASSERT_TRUE(slot);
  end_thread(70, 70);
  root.remove("/proc/70");
  table.update(inventory);
  EXPECT_TRUE(trace.watched.empty()) << "its id may be given to anybody now";
  add_vm(kVm, "a", 80);
  add_thread(80, 80, "qemu");
  for (int i = 0; i < 4; ++i) table.update(inventory);
  EXPECT_EQ(trace.watched, (std::map<pid_t, std::uint32_t>{{80, *slot}}));
}

TEST_F(VmTableTest, GroupsAndCellsOfTheBlockTraceLiveAsLongAsTheirVm) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  root.write("/proc/70/cgroup", "1:blkio:/machine/qemu-1-a.libvirt-qemu\n");
  root.write("/sys/fs/cgroup/blkio/machine/qemu-1-a.libvirt-qemu/tasks", "");
  table.update(inventory);
  ASSERT_EQ(block.groups.size(), 1u);
  const std::uint32_t number = block.groups.begin()->second;
  DeviceFigures disk{.device = "sda", .cell = {}};
  disk.cell.read_bytes = 7;
  block.figures[number] = {disk};
  EXPECT_TRUE(table.update(inventory));
  ASSERT_EQ(table.vms().at(kVm).devices.size(), 1u);
  EXPECT_FALSE(table.update(inventory));

  end_thread(70, 70);
  root.remove("/proc/70");
  table.update(inventory);
  EXPECT_TRUE(block.groups.empty()) << "the process is gone";
  inventory.vms.clear();
  table.update(inventory);
  EXPECT_TRUE(block.figures.empty());
}

TEST_F(VmTableTest, WhenADiskIsDetachedCountsOfDisksBeginAnew) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  inventory.vms.at(kVm).description.disks = {"vda", "vdb"};
  table.update(inventory);
  const TrackedVm& vm = table.vms().at(kVm);
  block.figures[vm.number] = {{.device = "sda", .cell = {}}, {.device = "sdb", .cell = {}}};
  table.update(inventory);
  ASSERT_EQ(vm.devices.size(), 2u);
  inventory.vms.at(kVm).description.disks = {"vda"};
  EXPECT_TRUE(table.update(inventory));
  EXPECT_TRUE(vm.devices.empty());
  block.figures[vm.number] = {{.device = "sda", .cell = {}}};
  EXPECT_TRUE(table.update(inventory));
  inventory.vms.at(kVm).description.disks = {"vda", "vdc"};
  EXPECT_FALSE(table.update(inventory)) << "one that comes sets nothing back";
  EXPECT_EQ(vm.devices.size(), 1u);
  block.figures[vm.number].front().device = "sdc";
  EXPECT_TRUE(table.update(inventory)) << "another disk in its place";
}

TEST_F(VmTableTest, TheKernelsPressureIsAskedForGroupsThatThereAre) {
  add_vm(kVm, "a", 70);
  add_vm(VmId("b"), "b", 80);
  add_thread(70, 70, "qemu");
  add_thread(80, 80, "qemu");
  root.write("/proc/70/cgroup", "0::/machine/qemu-1-a.libvirt-qemu\n");
  root.write("/sys/fs/cgroup/unified/machine/qemu-1-a.libvirt-qemu/cpu.pressure", "some total=1\n");
  table.update(inventory);
  const std::uint64_t group = group_id(root.path() + "/sys/fs/cgroup/unified/machine/qemu-1-a.libvirt-qemu").value();
  ASSERT_EQ(pressure.asked, std::vector{group});
  EXPECT_EQ(pressure.exact, std::vector{group}) << "the first time";
  EXPECT_EQ(table.vms().at(kVm).cgroup_figures.cpu_pressure_some_ns, 1000);
  pressure.all = group_pressure{
      .cpu_some_ns = 2500, .io_some_ns = 0, .memory_some_ns = 0, .memory_full_ns = 0, .valid = 1, .exact = 0};
  table.update(inventory);
  EXPECT_EQ(table.vms().at(kVm).cgroup_figures.cpu_pressure_some_ns, 2500);
  EXPECT_TRUE(pressure.exact.empty()) << "nobody has waited";
  EXPECT_EQ(table.vms().at(VmId("b")).cgroup_figures.cpu_pressure_some_ns, std::nullopt);
}

}  // namespace
}  // namespace proteus::collect
