#include "agent/collect/inventory.h"

#include <gtest/gtest.h>

#include <thread>

namespace proteus::collect {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(InventoryReader, PublishesAPassOnceWithItsStatistics) {
  const auto reader = InventoryReader::start({.root = {}, .uri = "test:///default", .slow_interval = seconds(60)});
  const auto deadline = std::chrono::steady_clock::now() + seconds(20);
  while (!reader->latest()->connected && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  std::this_thread::sleep_for(milliseconds(300));
  const auto latest = reader->latest();
  ASSERT_FALSE(latest->vms.empty());
  for (const auto& [id, facts] : latest->vms) EXPECT_TRUE(facts.state) << id.value;
  EXPECT_EQ(latest->number, 1u) << "nothing has come since";
}

}  // namespace
}  // namespace proteus::collect
