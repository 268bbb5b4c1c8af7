#include "agent/collect/vm_table.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {
namespace {

using namespace std::string_literals;

const VmId kVm("11111111-2222-3333-4444-555555555555");

/// Counters as the test sets them.
class FakeReader final : public ThreadReader {
 public:
  std::map<pid_t, ThreadFigures> threads;
  ThreadLane lane() const override { return ThreadLane::kHeldTasks; }
  const std::string& reason() const override { return reason_; }
  void read(std::span<const ThreadKey> keys, std::span<std::optional<ThreadFigures>> figures) override {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto it = threads.find(keys[i].tid);
      figures[i] = it == threads.end() ? std::nullopt : std::optional(it->second);
    }
  }

 private:
  std::string reason_;
};

class FakeTrace final : public RunQueueTrace {
 public:
  explicit FakeTrace(std::uint32_t count) : count_(count) {
    for (std::uint32_t i = 0; i < count; ++i) free.insert(i);
  }
  std::set<std::uint32_t> free;
  std::map<pid_t, std::uint32_t> watched;
  std::map<std::pair<std::uint32_t, std::int64_t>, std::int64_t> cells;  ///< winner -1: host

  std::uint32_t slot_count() const override { return count_; }
  std::optional<std::uint32_t> acquire_slot() override {
    if (free.empty()) return std::nullopt;
    const auto slot = *free.begin();
    free.erase(free.begin());
    return slot;
  }
  void release_slot(std::uint32_t slot) override { EXPECT_TRUE(free.insert(slot).second); }
  bool watch(pid_t process, std::uint32_t slot) override {
    if (!refuses) watched[process] = slot;
    return !refuses;
  }
  void forget(pid_t process) override { watched.erase(process); }
  void update() override {}
  int updates_due() override { return 1; }
  std::int64_t lost_count() const override { return 0; }
  void read_histograms(std::uint32_t slot, Histogram& waits, Histogram& slices) const override {
    waits.fill(slot + 1);
    slices.fill(slot + 2);
  }
  std::int64_t preemptions(std::uint32_t slot, std::optional<std::uint32_t> winner) const override {
    const auto it = cells.find({slot, winner ? static_cast<std::int64_t>(*winner) : -1});
    return it == cells.end() ? 0 : it->second;
  }
  std::uint64_t pairs_count() const override { return cells.size(); }
  std::int64_t own_quota_wait_ns(std::uint32_t) const override { return own_quota_ns; }
  int program_fd() const override { return -1; }
  int processes_fd() const override { return -1; }
  std::int64_t own_quota_ns = 0;
  bool refuses = false;

 private:
  const std::uint32_t count_;
};

/// vCPUs as the test sets them, by process.
class FakeKvm final : public KvmReader {
 public:
  std::map<pid_t, std::vector<kvm_vcpu_place>> vcpus;
  std::set<std::uint64_t> gone;
  std::vector<kvm_vcpu_place> find(pid_t pid) override { return vcpus[pid]; }
  void read(std::span<const kvm_vcpu_place> places, std::span<std::optional<kvm_counters>> figures) override {
    for (std::size_t i = 0; i < places.size(); ++i) {
      figures[i].reset();
      if (gone.contains(places[i].vcpu)) continue;
      figures[i].emplace();
      figures[i]->known = 1u << KVM_COUNTER_EXITS;
      figures[i]->counters[KVM_COUNTER_EXITS] = places[i].vcpu + 1;
    }
  }
  int program_fd() const override { return -1; }
};

/// All groups that it is asked for have stood still for as long as each other.
class FakePressure final : public PressureReader {
 public:
  std::optional<group_pressure> all;
  std::vector<std::uint64_t> asked;
  std::vector<std::uint64_t> exact;  // of these, to the moment
  void read(std::span<const pressure_request> requests, std::span<std::optional<group_pressure>> figures) override {
    asked.clear();
    exact.clear();
    for (const pressure_request& request : requests) {
      asked.push_back(request.group);
      if (request.exact != 0) exact.push_back(request.group);
    }
    std::fill(figures.begin(), figures.end(), all);
  }
  int program_fd() const override { return -1; }
};

class FakeBlock final : public BlockTrace {
 public:
  std::map<std::uint64_t, std::uint32_t> groups;
  std::map<std::uint32_t, std::vector<DeviceFigures>> figures;
  bool add_group(std::uint64_t id, std::uint32_t vm) override {
    groups[id] = vm;
    return true;
  }
  void remove_group(std::uint64_t id) override { groups.erase(id); }
  void forget(std::uint32_t vm) override { figures.erase(vm); }
  const std::map<std::uint32_t, std::vector<DeviceFigures>>& read() override { return figures; }
  std::int64_t refused_count() const override { return 0; }
  int program_fd() const override { return -1; }
};

class VmTableTest : public testing::Test {
 protected:
  void SetUp() override { inventory.connected = true; }

  void add_vm(const VmId& id, const std::string& name, pid_t pid) {
    inventory.vms[id].id = id;
    inventory.vms[id].name = name;
    root.write("/run/libvirt/qemu/" + name + ".pid", std::to_string(pid));
    root.write("/proc/" + std::to_string(pid) + "/cmdline", "q\0-uuid\0"s + id.value + "\0"s);
  }
  void add_thread(pid_t pid, pid_t tid, const std::string& name, std::uint64_t start = 1) {
    root.write("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/comm", name + "\n");
    reader.threads[tid].start_ns = start;
  }
  void end_thread(pid_t pid, pid_t tid) {
    root.remove("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid));
    reader.threads.erase(tid);
  }

  FixtureRoot root;
  Inventory inventory;
  FakeReader reader;
  FakeTrace trace{2};
  FakeKvm kvm;
  FakeBlock block;
  FakePressure pressure;
  VmTable table{root.path(),
                {.threads = reader, .run_queue = &trace, .kvm = &kvm, .pressure = &pressure, .block = &block}};
};

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
  root.write("/proc/70/cgroup", "1:cpu:/machine/a/emulator\n");
  root.write("/sys/fs/cgroup/cpu/machine/a/cpu.stat", "throttled_time 500\n");
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
  root.write("/sys/fs/cgroup/cpu/machine/a/cpu.stat", "throttled_time 540\n");
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

TEST_F(VmTableTest, ThrottledTimeGrowsByTheLargerOfItsSources) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  root.write("/proc/70/cgroup", "1:cpu:/machine/a/emulator\n");
  const std::string stat = "/sys/fs/cgroup/cpu/machine/a/vcpu0/cpu.stat";
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

TEST_F(VmTableTest, GroupsAndCellsOfTheBlockTraceLiveAsLongAsTheirVm) {
  add_vm(kVm, "a", 70);
  add_thread(70, 70, "qemu");
  root.write("/proc/70/cgroup", "1:blkio:/machine/a\n");
  root.write("/sys/fs/cgroup/blkio/machine/a/tasks", "");
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

TEST_F(VmTableTest, TheKernelsPressureIsAskedForGroupsThatThereAre) {
  add_vm(kVm, "a", 70);
  add_vm(VmId("b"), "b", 80);
  add_thread(70, 70, "qemu");
  add_thread(80, 80, "qemu");
  root.write("/proc/70/cgroup", "0::/machine/a\n");
  root.write("/sys/fs/cgroup/unified/machine/a/cpu.pressure", "some total=1\n");
  table.update(inventory);
  const std::uint64_t group = group_id(root.path() + "/sys/fs/cgroup/unified/machine/a").value();
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
