#include "agent/collect/resctrl.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {
namespace {

constexpr const char* kGroups = "/sys/fs/resctrl/mon_groups";

TEST(Resctrl, SaysWhatIsMissing) {
  const FixtureRoot root;
  EXPECT_NE(Resctrl::open(root.path()).error().message.find("not mounted"), std::string::npos);
  root.write("/sys/fs/resctrl/info/L3/cbm_mask", "fff\n");
  EXPECT_NE(Resctrl::open(root.path()).error().message.find("L3_MON"), std::string::npos);
}

TEST(Resctrl, GroupsLiveAsLongAsTheirVm) {
  const FixtureRoot root;
  root.write("/sys/fs/resctrl/info/L3_MON/num_rmids", "100\n");
  std::filesystem::create_directories(root.path() + kGroups + "/proteus-left");
  std::filesystem::create_directories(root.path() + kGroups + "/operators-own");
  {
    auto resctrl = Resctrl::open(root.path());
    ASSERT_TRUE(resctrl) << resctrl.error().message;
    EXPECT_TRUE(std::filesystem::exists(root.path() + kGroups + "/proteus-left")) << "only looking changes nothing";
    resctrl->remove_left();
    EXPECT_FALSE(std::filesystem::exists(root.path() + kGroups + "/proteus-left")) << "a killed agent's";
    EXPECT_TRUE(std::filesystem::exists(root.path() + kGroups + "/operators-own"));
    EXPECT_EQ(resctrl->read("a").llc_occupancy_bytes, std::nullopt);

    // the kernel fills a new group's directory; here the test does
    const pid_t thread = 5;
    EXPECT_FALSE(resctrl->add("a", {&thread, 1})) << "there is no file tasks yet";
    const std::string group = std::string(kGroups) + "/proteus-a";
    root.write(group + "/tasks", "");
    root.write(group + "/mon_data/mon_L3_00/llc_occupancy", "100\n");
    root.write(group + "/mon_data/mon_L3_01/llc_occupancy", "20\n");
    root.write(group + "/mon_data/mon_L3_00/mbm_total_bytes", "7\n");
    root.write(group + "/mon_data/mon_L3_01/mbm_total_bytes", "Unavailable\n");
    EXPECT_TRUE(resctrl->add("a", {&thread, 1}));
    const ResctrlFigures figures = resctrl->read("a");
    EXPECT_EQ(figures.llc_occupancy_bytes, 120);
    EXPECT_EQ(figures.memory_bandwidth_bytes, std::nullopt) << "a sum without one of its parts is none";
    root.write(group + "/mon_data/mon_L3_01/mbm_total_bytes", "5\n");
    EXPECT_EQ(resctrl->read("a").memory_bandwidth_bytes, 12);
    root.remove(group + "/tasks");
    root.remove(group + "/mon_data");
    resctrl->remove("a");
    EXPECT_FALSE(std::filesystem::exists(root.path() + group));
    resctrl->add("b", {});
    EXPECT_TRUE(std::filesystem::exists(root.path() + kGroups + "/proteus-b"));
  }
  EXPECT_FALSE(std::filesystem::exists(root.path() + kGroups + "/proteus-b")) << "goes with the object";
}

// libvirt cannot start a VM with <cachetune> or <monitor> that finds no monitoring id.
TEST(Resctrl, LeavesMonitoringIdsToOthers) {
  const FixtureRoot root;
  root.write("/sys/fs/resctrl/info/L3_MON/num_rmids", "8\n");
  std::filesystem::create_directories(root.path() + kGroups);
  auto resctrl = Resctrl::open(root.path());
  ASSERT_TRUE(resctrl) << resctrl.error().message;
  EXPECT_EQ(resctrl->room(), 3u) << "half of so few, and the default group has one";
  const auto enter = [&](int vm) { resctrl->add(std::to_string(vm), {}); };
  const auto ours = [&] {
    const std::filesystem::directory_iterator groups(root.path() + kGroups);
    return std::count_if(begin(groups), end(groups),
                         [](const auto& group) { return group.path().filename().string().starts_with("proteus-"); });
  };
  for (int vm = 0; vm < 10; ++vm) enter(vm);
  EXPECT_EQ(ours(), 3);
  resctrl->remove("0");
  for (int vm = 1; vm < 10; ++vm) enter(vm);
  EXPECT_EQ(ours(), 3) << "one that came free is given again";

  // of others: a control group, a monitoring group in it and one in the default group
  std::filesystem::create_directories(root.path() + "/sys/fs/resctrl/qemu-3-web/mon_groups/vcpus_0");
  EXPECT_EQ(resctrl->room(), 1u);
  std::filesystem::create_directories(root.path() + kGroups + "/operators-own");
  EXPECT_EQ(resctrl->room(), 0u);
  resctrl->remove("1");
  for (int vm = 1; vm < 10; ++vm) enter(vm);
  EXPECT_EQ(ours(), 2);
  root.write("/sys/fs/resctrl/info/L3_MON/num_rmids", "256\n");
  EXPECT_EQ(Resctrl::open(root.path())->room(), 256u - 64 - 4);
}

TEST(Resctrl, WhereThereIsNoRoomTheKernelIsNotAskedAtEachReading) {
  const FixtureRoot root;
  root.write("/sys/fs/resctrl/info/L3_MON/num_rmids", "8\n");
  std::filesystem::create_directories(root.path() + kGroups + "/a");
  std::filesystem::create_directories(root.path() + kGroups + "/b");
  std::filesystem::create_directories(root.path() + kGroups + "/c");
  auto resctrl = Resctrl::open(root.path());
  ASSERT_TRUE(resctrl) << resctrl.error().message;
  const pid_t thread = 7;
  root.write("/proc/7/cpu_resctrl_groups", "res:/\nmon:\n");
  EXPECT_FALSE(resctrl->add("1", {&thread, 1}));
  const OpenWatch watch(root.path() + kGroups);
  const OpenWatch of_thread(root.path() + "/proc/7");
  ASSERT_TRUE(watch.works() && of_thread.works());
  EXPECT_FALSE(resctrl->add("1", {&thread, 1}));
  EXPECT_FALSE(resctrl->add("2", {&thread, 1}));
  EXPECT_FALSE(watch.was_opened()) << "not even for what there is";
  EXPECT_FALSE(of_thread.was_opened());
}

// A thread is counted in one place only: into which somebody has put it, it stays.
TEST(Resctrl, LeavesThreadsToWhoeverHasThem) {
  const FixtureRoot root;
  root.write("/sys/fs/resctrl/info/L3_MON/num_rmids", "100\n");
  std::filesystem::create_directories(root.path() + kGroups);
  auto resctrl = Resctrl::open(root.path());
  ASSERT_TRUE(resctrl) << resctrl.error().message;
  const pid_t thread = 7;
  for (const char* taken : {"res:qemu-3-web\nmon:\n", "res:/\nmon:pqos-1\n"}) {
    root.write("/proc/7/cpu_resctrl_groups", taken);
    EXPECT_FALSE(resctrl->add("a", {&thread, 1})) << taken;
    EXPECT_FALSE(std::filesystem::exists(root.path() + kGroups + "/proteus-a")) << taken;
    root.write("/proc/7/cpu_resctrl_groups", "res:/\nmon:\n");
    EXPECT_FALSE(resctrl->add("a", {&thread, 1})) << "once for all of a VM's life";
    EXPECT_FALSE(std::filesystem::exists(root.path() + kGroups + "/proteus-a")) << "nor is it tried again";
    resctrl->remove("a");
  }
  for (const char* free : {"res:/\nmon:\n", "res:/\nmon:proteus-a\n", "res:\nmon:\n"}) {
    root.write("/proc/7/cpu_resctrl_groups", free);
    std::filesystem::create_directories(root.path() + kGroups + "/proteus-a");
    root.write(std::string(kGroups) + "/proteus-a/tasks", "");
    std::filesystem::remove_all(root.path() + kGroups + "/proteus-b");
    resctrl->add("b", {&thread, 1});
    EXPECT_TRUE(std::filesystem::exists(root.path() + kGroups + "/proteus-b")) << free;
    resctrl->remove("b");
  }
}

}  // namespace
}  // namespace proteus::collect
