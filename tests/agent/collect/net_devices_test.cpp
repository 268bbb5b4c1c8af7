#include "agent/collect/net_devices.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

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

// With a search through the file for each of them this takes half a minute.
TEST(NetDevices, ManyTapsAmongManyDevicesAreFoundInOnePass) {
  constexpr int kDevices = 40'000;
  const FixtureRoot root;
  std::string text = kHeader;
  for (int i = kDevices; i-- > 0;) {
    text += "  tap" + std::to_string(i) + ":" + std::to_string(i) + " 1 0 0 0 0 0 0 2 3 0 0 0 0 0 0\n";
  }
  root.write("/proc/net/dev", text);
  NetDevices devices(root.path());
  const auto start = std::chrono::steady_clock::now();
  for (int tick = 0; tick < 2; ++tick) {
    devices.refresh();
    for (int i = 0; i < kDevices; ++i) {
      const auto figures = devices.find({"tap" + std::to_string(i)});
      ASSERT_TRUE(figures) << i;
      ASSERT_EQ(figures->tx_bytes, i);
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(NetDevices, WhatIsGoneAfterARefreshIsAbsent) {
  const FixtureRoot root;
  const std::string line = ": 1 2 0 0 0 0 0 0 1 2 0 0 0 0 0 0\n";
  root.write("/proc/net/dev", kHeader + ("vnet0" + line) + "vnet1" + line);
  NetDevices devices(root.path());
  devices.refresh();
  EXPECT_TRUE(devices.find({"vnet0"}) && devices.find({"vnet1"}));
  root.write("/proc/net/dev", kHeader + ("vnet1" + line));
  devices.refresh();
  EXPECT_FALSE(devices.find({"vnet0"}));
  EXPECT_TRUE(devices.find({"vnet1"}));
}

TEST(NetDevices, NoFileNoFigures) {
  const FixtureRoot root;
  NetDevices devices(root.path());
  devices.refresh();
  EXPECT_EQ(devices.find({"lo"}), std::nullopt);
}

}  // namespace
}  // namespace proteus::collect
