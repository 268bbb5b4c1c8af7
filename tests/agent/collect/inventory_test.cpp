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

TEST(Inventory, NamesAreTheSameWhateverWasMeasured) {
  Inventory before;
  before.connected = true;
  VmFacts& vm = before.vms[VmId("u")];
  vm.id = VmId("u");
  vm.name = "a";
  vm.disks = {
      {.target = "vda", .read_bytes = 1, .write_bytes = {}, .ops_count = {}, .flushes_count = {}, .time_ns = {}}};
  const auto after = [&before](auto change) {
    Inventory changed = before;
    changed.number = 7;
    change(changed, changed.vms.at(VmId("u")));
    return changed;
  };
  EXPECT_TRUE(same_names(before, after([](Inventory&, VmFacts& facts) {
                           facts.memory_bytes = 5;
                           facts.disks[0].read_bytes = 9;
                           facts.read_at += seconds(1);
                         })));
  EXPECT_FALSE(same_names(before, after([](Inventory& all, VmFacts&) { all.connected = false; })));
  EXPECT_FALSE(same_names(before, after([](Inventory& all, VmFacts&) { all.trouble = "gone"; })));
  EXPECT_FALSE(same_names(before, after([](Inventory& all, VmFacts&) { all.hypervisor = "QEMU 9"; })));
  EXPECT_FALSE(same_names(before, after([](Inventory& all, VmFacts&) { all.libvirt = "10"; })));
  EXPECT_FALSE(same_names(before, after([](Inventory& all, VmFacts&) { all.capabilities["migrate"] = "yes"; })));
  EXPECT_FALSE(same_names(before, after([](Inventory& all, VmFacts&) { all.vms[VmId("v")]; })));
  EXPECT_FALSE(same_names(before, after([](Inventory& all, VmFacts&) { all.vms.clear(); })));
  EXPECT_FALSE(same_names(before, after([](Inventory&, VmFacts& facts) { facts.name = "b"; })));
  EXPECT_FALSE(same_names(before, after([](Inventory&, VmFacts& facts) { facts.description.groups["tier"] = "db"; })));
  EXPECT_FALSE(same_names(before, after([](Inventory&, VmFacts& facts) { facts.disks[0].target = "vdb"; })));
  EXPECT_FALSE(same_names(before, after([](Inventory&, VmFacts& facts) { facts.disks.clear(); })));
}

/// Waits until an inventory is there that is_wanted.
template <typename IsWanted>
std::shared_ptr<const Inventory> wait_for(const InventoryReader& reader, IsWanted is_wanted) {
  const auto deadline = std::chrono::steady_clock::now() + seconds(20);
  while (!is_wanted(*reader.latest()) && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  return reader.latest();
}

TEST(InventoryReader, AnotherPassThatNamesTheSameIsNoOtherNames) {
  const auto reader = InventoryReader::start({.root = {}, .uri = "test:///default", .slow_interval = seconds(60)});
  const auto first = wait_for(*reader, [](const Inventory& latest) { return latest.connected; });
  ASSERT_FALSE(first->vms.empty());
  EXPECT_GT(first->names_number, 0u);
  reader->refresh(VmId());
  const auto second = wait_for(*reader, [&](const Inventory& latest) { return latest.number > first->number; });
  ASSERT_GT(second->number, first->number);
  EXPECT_EQ(second->names_number, first->names_number);
  ASSERT_EQ(second->vms.size(), first->vms.size());
  for (const auto& [id, facts] : second->vms) {
    EXPECT_EQ(facts.name, first->vms.at(id).name);
    EXPECT_GT(facts.read_at, first->vms.at(id).read_at);
  }
}

}  // namespace
}  // namespace proteus::collect
