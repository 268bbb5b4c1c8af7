#include "agent/collect/process_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace proteus::collect {
namespace {

/// The kernel's table, and a look-up as its programs do it (vm_process_of in ebpf/vm_processes.bpf.h).
struct Kernel {
  explicit Kernel(std::size_t size)
      : entries(size), table(size, [this](std::uint32_t index, std::uint64_t entry) {
          if (!refuses) entries.at(index) = entry;
          return !refuses;
        }) {}
  std::optional<std::uint32_t> find(pid_t process) const {
    const auto size = static_cast<__u32>(entries.size());
    __u32 index = vm_process_home(static_cast<__u32>(process), size);
    for (int probe = 0; probe < VM_PROCESSES_PROBES; ++probe) {
      if (entries[index] == VM_PROCESSES_FREE) return std::nullopt;
      if (entries[index] >> 32 == static_cast<__u64>(process)) return static_cast<std::uint32_t>(entries[index]);
      index = (index + 1) & (size - 1);
    }
    return std::nullopt;
  }
  bool is_empty() const {
    return std::all_of(entries.begin(), entries.end(), [](std::uint64_t entry) { return entry == VM_PROCESSES_FREE; });
  }
  std::vector<std::uint64_t> entries;
  bool refuses = false;
  ProcessTable table;
};

/// Processes whose search begins at entry 0.
std::vector<pid_t> processes_at_home(std::size_t entries, std::size_t count) {
  std::vector<pid_t> processes;
  for (pid_t process = 1; processes.size() < count; ++process) {
    if (vm_process_home(static_cast<__u32>(process), static_cast<__u32>(entries)) == 0) processes.push_back(process);
  }
  return processes;
}

TEST(ProcessTable, AProcessIsFoundUntilItIsRemoved) {
  Kernel kernel(16);
  EXPECT_EQ(kernel.find(41), std::nullopt);
  ASSERT_TRUE(kernel.table.enter(41, 0));
  EXPECT_EQ(kernel.find(41), 0u);
  ASSERT_TRUE(kernel.table.enter(41, 7));
  EXPECT_EQ(kernel.find(41), 7u);
  kernel.table.remove(41);
  kernel.table.remove(41);
  EXPECT_TRUE(kernel.is_empty()) << "as it was";
}

TEST(ProcessTable, ProcessesWithTheSameHomeAreAllFoundWhateverIsRemoved) {
  Kernel kernel(64);
  const auto processes = processes_at_home(kernel.entries.size(), VM_PROCESSES_PROBES + 1);
  for (std::uint32_t i = 0; i < VM_PROCESSES_PROBES; ++i) ASSERT_TRUE(kernel.table.enter(processes[i], i));
  EXPECT_FALSE(kernel.table.enter(processes.back(), 0)) << "it would not be looked for that far";
  EXPECT_EQ(kernel.find(processes.back()), std::nullopt);
  kernel.table.remove(processes[3]);
  for (std::uint32_t i = 0; i < VM_PROCESSES_PROBES; ++i) {
    EXPECT_EQ(kernel.find(processes[i]), i == 3 ? std::nullopt : std::optional(i));
  }
  ASSERT_TRUE(kernel.table.enter(processes.back(), 99));
  EXPECT_EQ(kernel.find(processes.back()), 99u);
  for (const pid_t process : processes) kernel.table.remove(process);
  EXPECT_TRUE(kernel.is_empty()) << "no search is longer for what was once there";
}

TEST(ProcessTable, TheSearchGoesOnAtTheFront) {
  Kernel kernel(4);
  for (pid_t process = 1; process <= 4; ++process)
    ASSERT_TRUE(kernel.table.enter(process, static_cast<std::uint32_t>(process)));
  for (pid_t process = 1; process <= 4; ++process) EXPECT_EQ(kernel.find(process), static_cast<std::uint32_t>(process));
  EXPECT_FALSE(kernel.table.enter(5, 5));
  for (pid_t process = 4; process >= 1; --process) kernel.table.remove(process);
  EXPECT_EQ(kernel.find(1), std::nullopt);
}

TEST(ProcessTable, WhatTheKernelRefusesIsNotEntered) {
  Kernel kernel(16);
  kernel.refuses = true;
  EXPECT_FALSE(kernel.table.enter(41, 1));
  kernel.refuses = false;
  EXPECT_TRUE(kernel.table.enter(41, 1));
  EXPECT_EQ(kernel.find(41), 1u);
}

TEST(ProcessTable, HasRoomForAVmInEverySlot) {
  for (const std::size_t slots : {std::size_t{128}, std::size_t{192}, std::size_t{512}}) {
    Kernel kernel(ProcessTable::entries_for(slots));
    EXPECT_EQ(kernel.entries.size() & (kernel.entries.size() - 1), 0u);
    pid_t process = 1000;
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      EXPECT_TRUE(kernel.table.enter(process, slot)) << slots << " " << slot;
      process += 7 + static_cast<pid_t>(slot * slot % 311);  // its own threads, and others' processes
    }
  }
}

}  // namespace
}  // namespace proteus::collect
