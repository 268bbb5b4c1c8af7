#include "tests/agent/collect/vm_table_fixture.h"

namespace proteus::collect {
namespace {

using namespace std::string_literals;

TEST_F(VmTableTest, FollowsAVmFromStartToEnd) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 72, "CPU 1/KVM");
  add_thread(70, 71, "CPU 0/KVM");
  EXPECT_TRUE(table.update(inventory));
  const TrackedVm& vm = table.vms().at(kVm);
  ASSERT_EQ(vm.threads.size(), 3u);
  EXPECT_EQ(vm.threads[0].thread.vcpu, 0);
  EXPECT_EQ(vm.threads[1].thread.vcpu, 1);
  EXPECT_EQ(vm.emulator_time_ns, 0);
  reader.threads[70].run_time_ns = 5;
  table.update(inventory);
  EXPECT_EQ(vm.emulator_time_ns, 5);
  EXPECT_EQ(trace.watched, (std::map<pid_t, std::uint32_t>{{70, *vm.slot}}));

  inventory.vms.clear();
  EXPECT_TRUE(table.update(inventory));
  EXPECT_TRUE(table.vms().empty());
  EXPECT_TRUE(trace.watched.empty());
  EXPECT_EQ(trace.free.size(), 2u) << "the slot came back";
}

TEST_F(VmTableTest, SumsDoNotStepBackWhenAWorkerEnds) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 75, "worker");
  table.update(inventory);
  reader.threads[70].run_time_ns = 100;
  reader.threads[75].run_time_ns = 40;
  reader.threads[75].faults_minor_count = 3;
  table.update(inventory);
  end_thread(70, 75);
  reader.threads[70].run_time_ns = 110;
  EXPECT_TRUE(table.update(inventory));
  const TrackedVm& vm = table.vms().at(kVm);
  EXPECT_EQ(vm.threads.size(), 1u);
  EXPECT_EQ(vm.emulator_time_ns, 150);
  EXPECT_EQ(vm.faults_minor_count, 3);
}

TEST_F(VmTableTest, SumsBeginAtZeroBehindAnotherAgent) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 71, "vhost-70");
  root.write("/proc/70/cgroup", "1:cpu:/machine/qemu-1-a.libvirt-qemu/emulator\n");
  root.write("/sys/fs/cgroup/cpu/machine/qemu-1-a.libvirt-qemu/cpu.stat", "throttled_time 500\n");
  reader.threads[70].run_time_ns = 1000;
  reader.threads[70].faults_minor_count = 100;
  reader.threads[70].faults_major_count = 10;
  reader.threads[71].run_time_ns = 3000;
  table.update(inventory);
  const TrackedVm& vm = table.vms().at(kVm);
  EXPECT_EQ(vm.emulator_time_ns, 0) << "the one before told of more, as it knew threads that have ended";
  EXPECT_EQ(vm.vhost_time_ns, 0);
  EXPECT_EQ(vm.faults_minor_count, 0);
  EXPECT_EQ(vm.faults_major_count, 0);
  EXPECT_EQ(vm.throttled_time_ns, 0);

  reader.threads[70].run_time_ns += 7;
  reader.threads[70].faults_minor_count += 3;
  add_thread(70, 75, "worker");
  reader.threads[75].run_time_ns = 20;
  reader.threads[75].faults_minor_count = 2;
  root.write("/sys/fs/cgroup/cpu/machine/qemu-1-a.libvirt-qemu/cpu.stat", "throttled_time 540\n");
  table.update(inventory);
  EXPECT_EQ(vm.emulator_time_ns, 27);
  EXPECT_EQ(vm.faults_minor_count, 5);
  EXPECT_EQ(vm.throttled_time_ns, 40);
}

TEST_F(VmTableTest, AReusedThreadIdIsANewThread) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 75, "worker", 1);
  table.update(inventory);
  reader.threads[75].run_time_ns = 40;
  table.update(inventory);
  reader.threads[75] = {};
  reader.threads[75].start_ns = 20'000'000;
  reader.threads[75].run_time_ns = 7;
  table.update(inventory);
  EXPECT_EQ(table.vms().at(kVm).emulator_time_ns, 47);
}

TEST_F(VmTableTest, AProcessWhoseIdIsAnothersNowIsGone) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 71, "CPU 0/KVM");
  for (int i = 0; i < 6; ++i) table.update(inventory);
  const TrackedVm& vm = table.vms().at(kVm);
  ASSERT_EQ(vm.pid, 70);
  end_thread(70, 71);  // it ended, and somebody else got its id before the next tick
  root.write("/proc/70/cmdline", "sleep\0"s);
  root.write("/proc/70/task/70/comm", "sleep\n");
  reader.threads[70] = {};
  reader.threads[70].start_ns = 20'000'000;
  reader.threads[70].run_time_ns = 5'000;
  EXPECT_TRUE(table.update(inventory));
  EXPECT_FALSE(vm.pid);
  EXPECT_FALSE(vm.counted);
  EXPECT_EQ(vm.emulator_time_ns, 0);
  EXPECT_TRUE(trace.watched.empty());
  add_vm(kVm, "a", 80);
  add_thread(80, 80, "qemu", 30'000'000);
  table.update(inventory);
  EXPECT_EQ(vm.pid, 80);
}

TEST_F(VmTableTest, AThreadThatComesFromAnotherLaneIsTheSameThread) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "CPU 0/KVM", 123'456'789);
  add_thread(70, 75, "worker", 123'456'789);
  table.update(inventory);
  for (const pid_t tid : {70, 75}) {
    reader.threads[tid].run_time_ns = 40'000'000;
    reader.threads[tid].guest_time_ns = 35'000'000;
  }
  table.update(inventory);
  for (const pid_t tid : {70, 75}) {
    reader.threads[tid].start_ns = 120'000'000;  // as procfs tells it
    reader.threads[tid].run_time_ns = 50'000'000;
    reader.threads[tid].guest_time_ns = 30'000'000;
  }
  table.update(inventory);
  const TrackedVm& vm = table.vms().at(kVm);
  EXPECT_EQ(vm.emulator_time_ns, 50'000'000);
  EXPECT_EQ(vm.threads[0].figures->guest_time_ns, 35'000'000) << "told in hundredths of a second, and rounded down";
}

TEST_F(VmTableTest, AThreadThatCannotBeReadForAWhileGoesOnFromWhereItWas) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 75, "worker");
  table.update(inventory);
  reader.threads[75].run_time_ns = 40;
  table.update(inventory);
  const ThreadFigures worker = reader.threads[75];
  reader.threads.erase(75);
  table.update(inventory);
  table.update(inventory);
  const TrackedVm& vm = table.vms().at(kVm);
  ASSERT_EQ(vm.threads.size(), 2u);
  EXPECT_FALSE(vm.threads[1].figures);
  reader.threads[75] = worker;
  reader.threads[75].run_time_ns = 55;
  table.update(inventory);
  EXPECT_EQ(vm.emulator_time_ns, 55);
  ASSERT_TRUE(vm.threads[1].figures);
  EXPECT_EQ(vm.threads[1].figures->run_time_ns, 55);
}

TEST_F(VmTableTest, WithoutLibvirtAVmEndsWithItsProcess) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  table.update(inventory);
  inventory.connected = false;
  table.update(inventory);
  EXPECT_EQ(table.vms().count(kVm), 1u) << "libvirt's absence ends nothing";
  end_thread(70, 70);
  root.remove("/proc/70");
  for (int i = 0; i < 3; ++i) table.update(inventory);
  EXPECT_EQ(table.vms().count(kVm), 0u);
}

TEST_F(VmTableTest, WithoutLibvirtAVmBeginsOnceWithEachLookAtProcesses) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  inventory.connected = false;
  inventory.number = 1;
  EXPECT_TRUE(table.update(inventory));
  EXPECT_EQ(table.vms().at(kVm).pid, 70);
  end_thread(70, 70);
  root.remove("/proc/70");
  for (int i = 0; i < 3; ++i) table.update(inventory);
  EXPECT_FALSE(table.update(inventory)) << "it does not come and go";
  EXPECT_EQ(table.vms().count(kVm), 0u);
}

TEST_F(VmTableTest, TellsOfAPluggedVcpu) {
  std::vector<VmId> told;
  table.on_vcpus_changed([&told](const VmId& id) { told.push_back(id); });
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 71, "CPU 0/KVM");
  table.update(inventory);
  add_thread(70, 75, "worker");
  table.update(inventory);
  EXPECT_TRUE(told.empty());
  add_thread(70, 72, "CPU 1/KVM");
  table.update(inventory);
  EXPECT_EQ(told, std::vector<VmId>{kVm});
}

TEST_F(VmTableTest, APluggedVcpuMayGetItsNameLate) {
  std::vector<VmId> told;
  table.on_vcpus_changed([&told](const VmId& id) { told.push_back(id); });
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 71, "CPU 0/KVM");
  for (int i = 0; i < 8; ++i) table.update(inventory);
  add_thread(70, 72, "qemu");  // it has not run yet
  table.update(inventory);
  EXPECT_TRUE(told.empty());
  add_thread(70, 72, "CPU 1/KVM");
  for (int i = 0; i < 2; ++i) table.update(inventory);
  EXPECT_EQ(told, std::vector<VmId>{kVm});
  EXPECT_EQ(table.vms().at(kVm).threads[1].thread.vcpu, 1);
}

TEST_F(VmTableTest, AVcpuIsToldByItsDescriptorOfKvmWhateverItsName) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "vmm");
  add_thread(70, 71, "fc_vcpu");
  table.update(inventory);
  const TrackedVm& vm = table.vms().at(kVm);
  EXPECT_FALSE(vm.threads[0].thread.vcpu) << "it has not run yet";
  kvm.vcpus[70] = {{.vcpu = 500, .kvm = 1, .owner = 70, .vcpu_id = 3, .pid = 70, .tid = 71}};
  EXPECT_TRUE(table.update(inventory)) << "entities changed";
  ASSERT_EQ(vm.threads.size(), 2u);
  for (int i = 0; i < 10; ++i) table.update(inventory);
  const auto it = std::find_if(vm.threads.begin(), vm.threads.end(), [](const auto& t) { return t.thread.tid == 71; });
  EXPECT_EQ(it->thread.vcpu, 3);
  ASSERT_TRUE(it->kvm_figures);
  EXPECT_EQ(counter(*it->kvm_figures, KVM_COUNTER_EXITS), 501);
  EXPECT_EQ(counter(*it->kvm_figures, KVM_COUNTER_HYPERCALLS), std::nullopt) << "this kernel has none";
  kvm.gone.insert(500);
  table.update(inventory);
  EXPECT_FALSE(it->kvm_figures) << "absent, not zero";
}

// Two sockets of three cores: KVM numbers their vCPUs 0 to 2 and 4 to 6. On the destination of a migration none has
// run.
TEST_F(VmTableTest, AVcpusNumberIsThatOfItsNameAndItsCountersThoseOfItsThread) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  for (int i = 0; i < 6; ++i) {
    add_thread(70, 71 + i, "CPU " + std::to_string(i) + "/KVM");
    const __u32 apic_id = i < 3 ? i : i + 1;
    kvm.vcpus[70].push_back({.vcpu = 500u + i, .kvm = 1, .owner = 70, .vcpu_id = apic_id, .pid = 70, .tid = 0});
  }
  const auto figures = [this] {
    std::map<int, std::optional<std::int64_t>> exits;
    for (const TrackedThread& t : table.vms().at(kVm).threads) {
      if (!t.thread.vcpu) continue;
      exits[*t.thread.vcpu] = t.kvm_figures ? counter(*t.kvm_figures, KVM_COUNTER_EXITS) : std::nullopt;
    }
    return exits;
  };
  for (int i = 0; i < 50; ++i) table.update(inventory);
  std::map<int, std::optional<std::int64_t>> wanted;
  for (int i = 0; i < 6; ++i) wanted[i] = std::nullopt;
  EXPECT_EQ(figures(), wanted) << "whose they are is not known yet";
  for (int i = 0; i < 6; ++i) {
    kvm.vcpus[70][static_cast<std::size_t>(i)].tid = 71u + i;
    wanted[i] = 501 + i;
  }
  for (int i = 0; i < 20; ++i) table.update(inventory);
  EXPECT_EQ(figures(), wanted);
}

// QEMU keeps the descriptor of a vCPU that was unplugged, for when it is plugged again.
TEST_F(VmTableTest, AParkedVcpuIsSeldomLookedFor) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 71, "CPU 0/KVM");
  kvm.vcpus[70] = {{.vcpu = 500, .kvm = 1, .owner = 70, .vcpu_id = 0, .pid = 70, .tid = 71},
                   {.vcpu = 501, .kvm = 1, .owner = 70, .vcpu_id = 1, .pid = 70, .tid = 72}};
  for (int i = 0; i < 20; ++i) table.update(inventory);
  EXPECT_EQ(kvm.ticks, 20);
  const int young = kvm.finds[70];
  for (int i = 0; i < 200; ++i) table.update(inventory);
  EXPECT_EQ(kvm.finds[70], young);
  add_thread(70, 73, "CPU 1/KVM");  // plugged again, and found before it has run
  for (int i = 0; i < 3; ++i) table.update(inventory);
  EXPECT_GT(kvm.finds[70], young);
  kvm.vcpus[70][1].tid = 73;
  for (int i = 0; i < 4; ++i) table.update(inventory);
  const auto& threads = table.vms().at(kVm).threads;
  EXPECT_TRUE(
      std::all_of(threads.begin(), threads.end(), [](const TrackedThread& t) { return t.kvm || !t.thread.vcpu; }));
}

// On kernels where one walk serves a tick, a thread may have come after it.
TEST_F(VmTableTest, AVcpuThatTheWalkHasNotSeenIsLookedForAgain) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 71, "CPU 0/KVM");
  kvm.vcpus[70] = {{.vcpu = 500, .kvm = 1, .owner = 70, .vcpu_id = 0, .pid = 70, .tid = 71}};
  for (int i = 0; i < 8; ++i) table.update(inventory);
  add_thread(70, 72, "CPU 1/KVM");
  table.update(inventory);
  kvm.vcpus[70].push_back({.vcpu = 501, .kvm = 1, .owner = 70, .vcpu_id = 1, .pid = 70, .tid = 72});
  for (int i = 0; i < 4; ++i) table.update(inventory);
  const auto& threads = table.vms().at(kVm).threads;
  EXPECT_TRUE(
      std::any_of(threads.begin(), threads.end(), [](const TrackedThread& t) { return t.kvm && t.thread.tid == 72; }));
}

// In a storage stall workers come by the dozen, and reading a thread's group waits for whoever changes any.
TEST_F(VmTableTest, AWorkerThatComesHasNobodyElsesGroupRead) {
  add_vm(kVm, "a", 70);
  for (const pid_t tid : {70, 71, 72}) {
    add_thread(70, tid, "vmm");
    root.write("/proc/70/task/" + std::to_string(tid) + "/cgroup",
               tid == 71 ? "1:cpu:/machine/q/vcpu0\n" : "1:cpu:/machine/q/emulator\n");
  }
  for (int i = 0; i < 80; ++i) table.update(inventory);
  const OpenWatch vcpu(root.path() + "/proc/70/task/71/cgroup"), worker(root.path() + "/proc/70/task/72/cgroup");
  ASSERT_TRUE(vcpu.works() && worker.works());
  add_thread(70, 73, "vmm");
  table.update(inventory);
  root.write("/proc/70/task/73/cgroup", "1:cpu:/machine/q/vcpu1\n");  // libvirt puts it there a moment later
  for (int i = 0; i < 4; ++i) table.update(inventory);
  EXPECT_FALSE(vcpu.was_opened());
  EXPECT_FALSE(worker.was_opened());
  const auto& threads = table.vms().at(kVm).threads;
  ASSERT_EQ(threads.size(), 4u);
  EXPECT_EQ(threads[0].thread, (VmThread{.tid = 71, .vcpu = 0}));
  EXPECT_EQ(threads[1].thread, (VmThread{.tid = 73, .vcpu = 1}));
}

TEST_F(VmTableTest, VhostWorkersAreNotTheEmulators) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  add_thread(70, 71, "vhost-70");
  table.update(inventory);
  reader.threads[70].run_time_ns = 5;
  reader.threads[71].run_time_ns = 30;
  table.update(inventory);
  const TrackedVm& vm = table.vms().at(kVm);
  EXPECT_TRUE(vm.has_vhost);
  EXPECT_EQ(vm.vhost_time_ns, 30);
  EXPECT_EQ(vm.emulator_time_ns, 5);
}

TEST_F(VmTableTest, VhostWorkersOfAnInterfaceThatIsPluggedLaterAreFound) {
  VmTable with_vhost{root.path(), {.threads = reader}};
  root.write("/sys/module/vhost/refcnt", "1\n");  // the module comes with the first guest
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  inventory.vms.at(kVm).description.taps = {{"vnet0"}};
  const auto add_worker = [this](pid_t worker) {
    root.write("/proc/" + std::to_string(worker) + "/comm", "vhost-70\n");
    reader.threads[worker].start_ns = 1;
  };
  add_worker(90);
  for (int i = 0; i < 10; ++i) with_vhost.update(inventory);
  const TrackedVm& vm = with_vhost.vms().at(kVm);
  ASSERT_EQ(vm.vhost_kthreads.size(), 1u);
  inventory.vms.at(kVm).description.taps.push_back({"vnet1"});
  add_worker(91);
  bool changed = false;
  for (int i = 0; i < 4; ++i) changed |= with_vhost.update(inventory);
  EXPECT_TRUE(changed);
  EXPECT_EQ(vm.vhost_kthreads.size(), 2u);
  reader.threads[91].run_time_ns = 30;
  with_vhost.update(inventory);
  EXPECT_EQ(vm.vhost_time_ns, 30);
}

TEST_F(VmTableTest, AVmWithoutAProcessHasNoCounts) {
  inventory.vms[kVm].id = kVm;
  inventory.vms[kVm].name = "a";
  table.update(inventory);
  const TrackedVm& vm = table.vms().at(kVm);
  EXPECT_FALSE(vm.counted);
  EXPECT_FALSE(vm.slot) << "a slot is taken with the process";
}

}  // namespace
}  // namespace proteus::collect
