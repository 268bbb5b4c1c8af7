#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "agent/collect/vm_table.h"
#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {

inline const VmId kVm("11111111-2222-3333-4444-555555555555");

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
  std::map<pid_t, std::vector<pid_t>> vcpus;
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
  void forget(pid_t process) override {
    watched.erase(process);
    vcpus.erase(process);
  }
  void set_vcpus(pid_t process, std::span<const pid_t> threads) override {
    vcpus[process].assign(threads.begin(), threads.end());
  }
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
  int ticks = 0;
  std::map<pid_t, int> finds;
  void begin_tick() override { ++ticks; }
  std::vector<kvm_vcpu_place> find(pid_t pid) override {
    ++finds[pid];
    return vcpus[pid];
  }
  void read(std::span<const kvm_vcpu_place> places, std::span<std::optional<kvm_counters>> figures) override {
    for (std::size_t i = 0; i < places.size(); ++i) {
      figures[i].reset();
      if (gone.contains(places[i].vcpu)) continue;
      figures[i].emplace();
      figures[i]->known = 1u << KVM_COUNTER_EXITS;
      figures[i]->counters[KVM_COUNTER_EXITS] = places[i].vcpu + 1;
    }
  }
  std::int64_t refused_count() const override { return 0; }
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
    root.write("/proc/" + std::to_string(pid) + "/cmdline",
               std::string("q\0-uuid\0", 8) + id.value + std::string(1, '\0'));
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

}  // namespace proteus::collect
