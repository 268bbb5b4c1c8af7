#include "controller/store/series_index.h"

#include <gtest/gtest.h>

namespace proteus::store {
namespace {

constexpr const char* kUuid = "6f3c1a52-93b1-4c7c-8a55-000000000001";

Catalog catalog_of(const std::string& vm_name) {
  Catalog catalog;
  catalog.host = HostId("h");
  catalog.entities = {{EntityKind::kHost, kNoParent, "h", "", {}},
                      {EntityKind::kVm, 0, vm_name, kUuid, {}},
                      {EntityKind::kVcpu, 1, "0", "", {}}};
  return catalog;
}

std::size_t selected(const HostEntities& entities, const std::string& vm) {
  SeriesSelector selector;
  if (!vm.empty()) selector.vms = {vm};
  return entities.select(selector).size();
}

TEST(HostEntities, AVmIsFoundByItsNameOfTodayAndByItsUuid) {
  HostEntities entities;
  entities.numbers_of(catalog_of("old"), 100);
  EXPECT_EQ(selected(entities, "old"), 2u) << "the VM and its vCPU";
  EXPECT_EQ(selected(entities, kUuid), 2u);
  EXPECT_EQ(selected(entities, "h"), 0u) << "that is no VM";

  entities.numbers_of(catalog_of("new"), 100);
  EXPECT_EQ(selected(entities, "old"), 0u);
  EXPECT_EQ(selected(entities, "new"), 2u);
  EXPECT_EQ(selected(entities, kUuid), 2u);

  HostEntities again;
  for (StoredEntity& entity : entities.changed()) again.load(std::move(entity));
  EXPECT_EQ(selected(again, "new"), 2u);
  EXPECT_EQ(selected(again, ""), 3u) << "no VM is asked for";
}

TEST(HostEntities, APartOfAVmIsFoundByItsNameWithOrWithoutThatOfTheVm) {
  HostEntities entities;
  entities.numbers_of(catalog_of("web"), 100);
  SeriesSelector selector;
  for (const auto& [name, count] : std::vector<std::pair<std::string, std::size_t>>{
           {"0", 1}, {"web/0", 1}, {"db/0", 0}, {"web", 1}, {"web/web", 0}}) {
    selector.entity = name;
    EXPECT_EQ(entities.select(selector).size(), count) << name;
  }
}

TEST(HostEntities, WhatIsListedNoMoreIsForgottenAfterItsTime) {
  HostEntities entities;
  const Catalog with_vm = catalog_of("web1");
  Catalog without = with_vm;
  without.entities.resize(1);
  const std::vector<std::uint32_t> numbers = entities.numbers_of(with_vm, 100);
  entities.numbers_of(without, 140);
  EXPECT_TRUE(entities.unseen_since(100, 140).empty());
  // The highest number stays, so that it is not given to another while something of the first may be left.
  EXPECT_EQ(entities.unseen_since(101, 140), std::vector{numbers[1]});
  entities.forget({numbers[1]});
  EXPECT_EQ(selected(entities, "web1"), 0u);
  EXPECT_GT(entities.numbers_of(with_vm, 141)[1], numbers[2]) << "one that comes back is another";

  HostEntities gone;
  for (StoredEntity& entity : entities.changed()) gone.load(std::move(entity));
  EXPECT_EQ(gone.unseen_since(1000, 1000).size(), 4u) << "a host that is gone goes as a whole";
}

TEST(HostEntities, WhatAnOlderProgramWroteCountsAsSeenToday) {
  HostEntities entities;
  entities.load({.number = 0, .kind = EntityKind::kHost, .parent = kNoParent, .name = "h", .uuid = "", .labels = {}});
  EXPECT_TRUE(entities.unseen_since(100, 130).empty());
  EXPECT_EQ(entities.changed().at(0).seen_day, 130u);
}

TEST(HostEntities, WhatAClockThatWasAheadHasSeenCountsAsSeenToday) {
  HostEntities entities;
  entities.numbers_of(catalog_of("web1"), 100 + 365);
  EXPECT_TRUE(entities.unseen_since(70, 100).empty());
  EXPECT_EQ(entities.changed().at(0).seen_day, 100u);
  EXPECT_EQ(entities.unseen_since(101, 131).size(), 3u);
}

TEST(HostEntities, WhatACatalogListsAgainIsNotForgottenForIt) {
  HostEntities entities;
  const Catalog catalog = catalog_of("web1");
  const auto numbers = entities.numbers_of(catalog, 100);
  Catalog others = catalog_of("web2");
  others.entities[1].uuid.back() = '9';
  entities.numbers_of(others, 101);
  entities.see(catalog, 102);
  EXPECT_GT(entities.forget_oldest(0, 102), 0u);
  EXPECT_EQ(entities.numbers_of(catalog, 102), numbers) << "its series are found as before";
}

TEST(HostEntities, TheLongestUnseenAreForgottenFirstAndNeverTheHighestNumber) {
  const auto catalog_of_vm = [](int vm) {
    Catalog catalog = catalog_of("vm" + std::to_string(vm));
    catalog.entities[1].uuid.back() = static_cast<char>('0' + vm);
    return catalog;
  };
  HostEntities entities;
  for (int vm = 0; vm < 5; ++vm) entities.numbers_of(catalog_of_vm(vm), 100 + static_cast<std::uint32_t>(vm));
  entities.clear_changed();
  const std::size_t bytes = entities.bytes();
  EXPECT_EQ(entities.forget_oldest(bytes, 200), 0u) << "there is room";
  EXPECT_EQ(entities.forget_oldest(0, 100), 0u) << "all have been seen since";
  EXPECT_EQ(entities.forget_oldest(bytes - 1, 103), 1u);
  EXPECT_EQ(selected(entities, "vm0"), 0u);
  EXPECT_EQ(selected(entities, ""), 10u) << "no more than is needed";
  EXPECT_LT(entities.bytes(), bytes);
  EXPECT_EQ(entities.forget_oldest(0, 102), 3u);
  EXPECT_EQ(selected(entities, "vm1"), 0u);
  EXPECT_EQ(selected(entities, "vm2"), 2u);
  EXPECT_EQ(entities.erased(), (std::vector<std::uint32_t>{1, 2, 3, 4}));
  EXPECT_TRUE(entities.changed().empty());
  entities.forget_oldest(0, 1000);
  EXPECT_EQ(selected(entities, ""), 1u);
  const auto again = entities.numbers_of(catalog_of_vm(0), 1000);
  EXPECT_EQ(again, (std::vector<std::uint32_t>{11, 12, 13})) << "no number is given twice";
}

TEST(HostEntities, MemoryIsCountedAndGivenBack) {
  HostEntities entities;
  entities.numbers_of(catalog_of("a"), 100);
  const std::size_t bytes = entities.bytes();
  EXPECT_EQ(bytes, HostEntities().growth_by(catalog_of("a")));
  EXPECT_EQ(entities.growth_by(catalog_of("a")), 0u) << "all of it is known";
  Catalog labelled = catalog_of("a");
  labelled.entities[1].labels["group.web"] = std::string(1000, 'x');
  const std::size_t growth = entities.growth_by(labelled);
  EXPECT_GT(growth, 1000u);
  entities.numbers_of(labelled, 100);
  EXPECT_EQ(entities.bytes(), bytes + growth);
  entities.numbers_of(catalog_of("a"), 100);
  EXPECT_EQ(entities.bytes(), bytes);
  entities.forget({0, 1, 2});
  EXPECT_EQ(entities.bytes(), 0u);
}

}  // namespace
}  // namespace proteus::store
