// The block and reclaim hooks on the running kernel. Skipped, with the reason, where that is not permitted.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <thread>

#include "agent/collect/block_trace.h"
#include "agent/collect/reclaim_trace.h"
#include "agent/collect/vm_cgroup.h"
#include "tests/agent/collect/fixture_root.h"
#include "tests/agent/collect/kernel_refusal.h"

namespace proteus::collect {
namespace {

/// A control group of the test's own in a v1 hierarchy; threads move into it one by one.
class Group {
 public:
  explicit Group(const std::string& controller)
      : parent_("/sys/fs/cgroup/" + controller), path_(parent_ + "/proteus-test-" + std::to_string(::getpid())) {
    std::error_code error;
    made_ = std::filesystem::exists(parent_ + "/tasks") && std::filesystem::create_directory(path_, error);
  }
  ~Group() {
    if (made_) ::rmdir(path_.c_str());
  }
  bool made() const { return made_; }
  const std::string& path() const { return path_; }
  bool write(const std::string& file, const std::string& text) const {
    std::ofstream out(path_ + "/" + file);
    out << text << std::flush;
    return out.good();
  }
  /// Runs `work` on a thread that sits in the group.
  template <typename Work>
  bool run_inside(Work work) const {
    bool moved = false;
    std::thread([&] {
      moved = write("tasks", std::to_string(::syscall(SYS_gettid)));
      if (moved) work();
    }).join();
    return moved;
  }

 private:
  std::string parent_;
  std::string path_;
  bool made_ = false;
};

/// Reads and writes that bypass the page cache, 64 KiB each; false if the file system has none.
bool direct_io(const std::string& path, int writes, int reads) {
  constexpr std::size_t kBytes = 64 << 10;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  void* buffer = std::aligned_alloc(4096, kBytes);
  std::fill_n(static_cast<char*>(buffer), kBytes, 'x');
  bool good = true;
  for (int i = 0; i < writes; ++i) good &= ::pwrite(fd, buffer, kBytes, static_cast<off_t>(i * kBytes)) == kBytes;
  for (int i = 0; i < reads; ++i) good &= ::pread(fd, buffer, kBytes, static_cast<off_t>(i * kBytes)) == kBytes;
  std::free(buffer);
  ::close(fd);
  ::unlink(path.c_str());
  return good;
}

TEST(BlockTraceTest, ALargeHostHasRoomForMore) {
  EXPECT_EQ(block_room(2).cells, 2048u);
  EXPECT_EQ(block_room(2).groups, 4096u);
  EXPECT_EQ(block_room(128).cells, 8192u) << "8 VMs a CPU with 8 disks each";
  EXPECT_EQ(block_room(4096).cells, 16384u);
  EXPECT_EQ(block_room(4096).groups, 16384u);
}

TEST(BlockTraceTest, CountsTheRequestsOfAGroupAndForgetsThem) {
  auto created = BlockTrace::create("/");
  if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
  BlockTrace& trace = *created.value();
  const Group group("blkio");
  if (!group.made()) GTEST_SKIP() << "no control group of version 1 can be made here";
  const auto ids = list_group_ids(group.path());
  ASSERT_EQ(ids.size(), 1u);
  ASSERT_TRUE(trace.add_group(ids[0], 7));
  bool done = false;
  const std::string file = "/var/tmp/proteus-test-" + std::to_string(::getpid());
  ASSERT_TRUE(group.run_inside([&] { done = direct_io(file, 8, 4); }));
  if (!done) GTEST_SKIP() << "the file system of /var/tmp has no direct I/O";

  const auto& figures = trace.read();
  if (!figures.contains(7)) GTEST_SKIP() << "/var/tmp is not on a block device of this host";
  ASSERT_EQ(figures.at(7).size(), 1u);
  const DeviceFigures& disk = figures.at(7)[0];
  EXPECT_TRUE(std::filesystem::exists("/sys/block/" + disk.device)) << disk.device;
  EXPECT_GE(disk.cell.write_bytes, 8u * (64 << 10));
  EXPECT_GE(disk.cell.read_bytes, 4u * (64 << 10));
  EXPECT_GE(disk.cell.ops_count, 12u);
  const auto timed = std::accumulate(std::begin(disk.cell.latencies), std::end(disk.cell.latencies), std::uint64_t{0});
  EXPECT_LE(timed, disk.cell.ops_count);
  EXPECT_GE(timed, 12u) << "every request has its latency";
  const auto below_a_microsecond =
      std::accumulate(std::begin(disk.cell.latencies), std::begin(disk.cell.latencies) + 10, std::uint64_t{0});
  EXPECT_EQ(below_a_microsecond, 0u);

  const auto ops = disk.cell.ops_count;
  trace.remove_group(ids[0]);
  ASSERT_TRUE(group.run_inside([&] { direct_io(file, 4, 0); }));
  ASSERT_TRUE(trace.read().contains(7));
  EXPECT_EQ(trace.read().at(7)[0].cell.ops_count, ops) << "the group is nobody's";
  trace.forget(7);
  EXPECT_FALSE(trace.read().contains(7));
  EXPECT_EQ(trace.refused_count(), 0);
}

TEST(BlockTraceTest, ADeviceThatIsGoneLeavesNoCountsToTheNextOfItsNumber) {
  const FixtureRoot root;
  auto created = BlockTrace::create(root.path());
  if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
  BlockTrace& trace = *created.value();
  const Group group("blkio");
  if (!group.made()) GTEST_SKIP() << "no control group of version 1 can be made here";
  ASSERT_TRUE(trace.add_group(list_group_ids(group.path()).at(0), 7));
  const std::string file = "/var/tmp/proteus-test-" + std::to_string(::getpid());
  const auto write_to_disk = [&] { return group.run_inside([&] { direct_io(file, 8, 0); }); };
  ASSERT_TRUE(write_to_disk());
  if (!trace.read().contains(7)) GTEST_SKIP() << "/var/tmp is not on a block device of this host, or has no direct I/O";
  const std::string number = trace.read().at(7).at(0).device;  // sysfs has no name for it yet
  const auto is_now = [&](const std::string& device) {
    root.write("/sys/devices/" + device + "/uevent", "DEVNAME=" + device + "\n");
    std::filesystem::create_directories(root.path() + "/sys/dev/block");
    root.remove("/sys/dev/block/" + number);
    std::filesystem::create_symlink("../../devices/" + device, root.path() + "/sys/dev/block/" + number);
  };
  is_now("sda");
  ASSERT_TRUE(trace.read().contains(7));
  EXPECT_EQ(trace.read().at(7).at(0).device, "sda");
  is_now("sdb");
  EXPECT_FALSE(trace.read().contains(7));
  ASSERT_TRUE(write_to_disk());
  ASSERT_TRUE(trace.read().contains(7));
  EXPECT_EQ(trace.read().at(7).at(0).device, "sdb");
  root.remove("/sys/dev/block/" + number);
  EXPECT_FALSE(trace.read().contains(7));
}

TEST(BlockTraceTest, ThePathsToADiskAreOneDisk) {
  EXPECT_EQ(multipath_disk("nvme0c1n2"), "nvme0n2");
  EXPECT_EQ(multipath_disk("nvme10c11n12"), "nvme10n12");
  for (const char* other : {"nvme0n1", "sdc", "dm-0", "vdcn", "nvme0c", ""}) EXPECT_EQ(multipath_disk(other), other);
  std::vector<DeviceFigures> devices;
  add_up_paths(devices);
  EXPECT_TRUE(devices.empty());
  for (const char* name : {"nvme0n1", "nvme0n1", "sda", "sdb", "sdb", "sdb"}) {
    devices.push_back({.device = name, .cell = {}});
    devices.back().cell.read_bytes = devices.size();
    devices.back().cell.latencies[3] = 1;
  }
  add_up_paths(devices);
  ASSERT_EQ(devices.size(), 3u);
  EXPECT_EQ(devices[0].cell.read_bytes, 1u + 2);
  EXPECT_EQ(devices[1].device, "sda");
  EXPECT_EQ(devices[1].cell.read_bytes, 3u);
  EXPECT_EQ(devices[2].cell.read_bytes, 4u + 5 + 6);
  EXPECT_EQ(devices[2].cell.latencies[3], 3u);
}

TEST(BlockTraceTest, ADiskThatIsNotAmongTheNumberedOnesHasItsOwnName) {
  const FixtureRoot root;
  auto created = BlockTrace::create(root.path());
  if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
  BlockTrace& trace = *created.value();
  const Group group("blkio");
  if (!group.made()) GTEST_SKIP() << "no control group of version 1 can be made here";
  ASSERT_TRUE(trace.add_group(list_group_ids(group.path()).at(0), 7));
  const std::string file = "/var/tmp/proteus-test-" + std::to_string(::getpid());
  ASSERT_TRUE(group.run_inside([&] { direct_io(file, 8, 0); }));
  if (!trace.read().contains(7)) GTEST_SKIP() << "/var/tmp is not on a block device of this host, or has no direct I/O";
  const std::string name = trace.read().at(7).at(0).cell.disk;
  EXPECT_TRUE(std::filesystem::exists("/sys/block/" + name)) << name;
  std::filesystem::create_directories(root.path() + "/sys/block");
  std::filesystem::create_symlink("../devices/" + name, root.path() + "/sys/block/" + name);
  ASSERT_TRUE(trace.read().contains(7));
  EXPECT_EQ(trace.read().at(7).at(0).device, name);
  root.remove("/sys/block/" + name);
  EXPECT_FALSE(trace.read().contains(7)) << "gone";
}

TEST(BlockTraceTest, KnowsDisksThatPassTheirRequestsOn) {
  const FixtureRoot root;
  root.write("/sda/uevent", "DEVNAME=sda\n");
  root.write("/sdb/slaves/", "");
  root.write("/dm-0/slaves/sda/dev", "8:0\n");
  root.write("/loop0/slaves/", "");
  root.write("/loop0/loop/dio", "1\n");
  root.write("/loop1/loop/dio", "0\n");
  EXPECT_FALSE(passes_requests_on(root.path() + "/sda"));
  EXPECT_FALSE(passes_requests_on(root.path() + "/sdb"));
  EXPECT_TRUE(passes_requests_on(root.path() + "/dm-0"));
  EXPECT_TRUE(passes_requests_on(root.path() + "/loop0"));
  EXPECT_FALSE(passes_requests_on(root.path() + "/loop1")) << "the page cache lies between";
  EXPECT_FALSE(passes_requests_on(root.path() + "/gone"));
}

TEST(BlockTraceTest, ADiskThatPassesItsRequestsOnIsNotTold) {
  const FixtureRoot root;
  auto created = BlockTrace::create(root.path());
  if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
  BlockTrace& trace = *created.value();
  const Group group("blkio");
  if (!group.made()) GTEST_SKIP() << "no control group of version 1 can be made here";
  ASSERT_TRUE(trace.add_group(list_group_ids(group.path()).at(0), 7));
  const std::string file = "/var/tmp/proteus-test-" + std::to_string(::getpid());
  ASSERT_TRUE(group.run_inside([&] { direct_io(file, 8, 0); }));
  if (!trace.read().contains(7)) GTEST_SKIP() << "/var/tmp is not on a block device of this host, or has no direct I/O";
  const std::string number = trace.read().at(7).at(0).device;
  root.write("/sys/devices/dm-0/slaves/sda/dev", "8:0\n");
  std::filesystem::create_directories(root.path() + "/sys/dev/block");
  std::filesystem::create_symlink("../../devices/dm-0", root.path() + "/sys/dev/block/" + number);
  EXPECT_FALSE(trace.read().contains(7)) << "the disks below it have counted the same";
}

TEST(ReclaimTraceTest, CountsTheReclaimsForAMemoryLimit) {
  auto run_queue = RunQueueTrace::create();
  if (!run_queue) SKIP_UNLESS_OUR_FAULT(run_queue.error().message);
  auto created = ReclaimTrace::create(*run_queue.value());
  if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
  const Group group("memory");
  if (!group.made() || !group.write("memory.limit_in_bytes", std::to_string(16 << 20))) {
    GTEST_SKIP() << "no control group with a memory limit can be made here";
  }
  const auto slot = run_queue.value()->acquire_slot();
  ASSERT_TRUE(slot);
  created.value()->clear(*slot);
  // Memory is charged to a process, so a process it must be: it waits for a byte, then sends a file that is larger than
  // the limit through the page cache, whose pages must be freed to make room for its pages.
  const std::string file = "/var/tmp/proteus-test-" + std::to_string(::getpid());
  std::array<int, 2> go{};
  ASSERT_EQ(::pipe2(go.data(), O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    static char chunk[1 << 20];
    char byte = 0;
    if (::read(go[0], &byte, 1) != 1) ::_exit(1);
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT, 0600);
    for (int i = 0; i < 64; ++i) {
      if (::write(fd, chunk, sizeof chunk) != sizeof chunk) ::_exit(1);
    }
    ::_exit(0);
  }
  ASSERT_TRUE(run_queue.value()->watch(child, *slot));
  const bool moved = group.write("cgroup.procs", std::to_string(child));
  EXPECT_EQ(::write(go[1], "g", 1), 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(go[0]);
  ::close(go[1]);
  ::unlink(file.c_str());
  ASSERT_TRUE(moved && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  RunQueueTrace::Histogram histogram{};
  created.value()->read(*slot, histogram);
  EXPECT_GT(std::accumulate(histogram.begin(), histogram.end(), std::int64_t{0}), 0);
  EXPECT_EQ(histogram[0], 0) << "no reclaim takes a nanosecond";
  created.value()->clear(*slot);
  created.value()->read(*slot, histogram);
  EXPECT_EQ(std::accumulate(histogram.begin(), histogram.end(), std::int64_t{0}), 0);
}

}  // namespace
}  // namespace proteus::collect
