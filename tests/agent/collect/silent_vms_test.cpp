#include "agent/collect/silent_vms.h"

#include <gtest/gtest.h>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {
namespace {

using namespace std::string_literals;
using std::chrono::seconds;

const VmId kWeb("11111111-2222-3333-4444-555555555555");

class SilentVmsTest : public testing::Test {
 protected:
  SilentVmsTest() {
    vms_[kWeb].name = "web";
    root_.write("/run/libvirt/qemu/web.pid", "77\n");
    root_.write("/proc/77/comm", "qemu-system-x86\n");
    root_.write("/proc/77/cmdline", "qemu\0-uuid\0"s + kWeb.value + "\0"s);
  }
  /// What is told when its process is in this state, so long after the first look.
  bool is_silent(char state, seconds after) {
    root_.write("/proc/77/stat", "77 (qemu (T) 1) "s + state + " 1 77 77 0 -1 4194560\n");
    return silent_.look(vms_, std::chrono::steady_clock::time_point(after)).contains(kWeb);
  }

  const FixtureRoot root_;
  std::map<VmId, VmFacts> vms_;
  SilentVms silent_{root_.path()};
};

TEST_F(SilentVmsTest, AStoppedOneIs) {
  EXPECT_FALSE(is_silent('S', seconds(1)));
  EXPECT_FALSE(is_silent('R', seconds(2)));
  EXPECT_TRUE(is_silent('T', seconds(3)));
  EXPECT_TRUE(is_silent('t', seconds(4)));
  EXPECT_FALSE(is_silent('S', seconds(5)));
}

TEST_F(SilentVmsTest, OneThatWaitsForADiskIsWhenItStillDoesLater) {
  EXPECT_FALSE(is_silent('D', seconds(1))) << "as any does now and then";
  EXPECT_TRUE(is_silent('D', seconds(2)));
  EXPECT_FALSE(is_silent('S', seconds(3)));
  EXPECT_FALSE(is_silent('D', seconds(4)));
}

TEST_F(SilentVmsTest, OneWithoutAProcessIsNot) {
  root_.remove("/run/libvirt/qemu/web.pid");
  EXPECT_FALSE(is_silent('T', seconds(1)));
  root_.write("/run/libvirt/qemu/web.pid", "77\n");
  root_.remove("/proc/77");
  EXPECT_TRUE(silent_.look(vms_, {}).empty());
}

}  // namespace
}  // namespace proteus::collect
