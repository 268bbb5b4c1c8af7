#include "agent/collect/net_devices.h"

#include <gtest/gtest.h>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {
namespace {

constexpr const char* kHeader =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier "
    "compressed\n";

TEST(NetDevices, SwapsTheDirectionsToTheGuestsSide) {
  const FixtureRoot root;
  root.write("/proc/net/dev", std::string(kHeader) +
                                  "   lo: 1 2 0 0 0 0 0 0 1 2 0 0 0 0 0 0\n"
                                  " vnet10: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n"
                                  " vnet1: 100 10 0 3 0 0 0 0 200 20 0 4 0 0 0 0\n");
  NetDevices devices(root.path());
  devices.refresh();
  EXPECT_EQ(
      devices.find({"vnet1"}),
      (TapFigures{.rx_bytes = 200, .tx_bytes = 100, .rx_drops_count = 4, .tx_drops_count = 3, .packets_count = 30}));
  EXPECT_EQ(devices.find({"vnet"}), std::nullopt);
  EXPECT_EQ(devices.find({"vnet2"}), std::nullopt);
}

TEST(NetDevices, AMacvtapCountsFromTheGuestsSideAlready) {
  const FixtureRoot root;
  root.write("/proc/net/dev", std::string(kHeader) + "macvtap0: 100 10 0 3 0 0 0 0 200 20 0 4 0 0 0 0\n");
  NetDevices devices(root.path());
  devices.refresh();
  EXPECT_EQ(
      devices.find({"macvtap0", true}),
      (TapFigures{.rx_bytes = 100, .tx_bytes = 200, .rx_drops_count = 3, .tx_drops_count = 4, .packets_count = 30}));
}

TEST(NetDevices, NoFileNoFigures) {
  const FixtureRoot root;
  NetDevices devices(root.path());
  devices.refresh();
  EXPECT_EQ(devices.find({"lo"}), std::nullopt);
}

}  // namespace
}  // namespace proteus::collect
