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
  selector.vm = vm;
  return entities.select(selector).size();
}

TEST(HostEntities, AVmIsFoundByItsNameOfTodayAndByItsUuid) {
  HostEntities entities;
  entities.numbers_of(catalog_of("old"));
  EXPECT_EQ(selected(entities, "old"), 2u) << "the VM and its vCPU";
  EXPECT_EQ(selected(entities, kUuid), 2u);
  EXPECT_EQ(selected(entities, "h"), 0u) << "that is no VM";

  entities.numbers_of(catalog_of("new"));
  EXPECT_EQ(selected(entities, "old"), 0u);
  EXPECT_EQ(selected(entities, "new"), 2u);
  EXPECT_EQ(selected(entities, kUuid), 2u);

  HostEntities again;
  for (StoredEntity& entity : entities.changed()) again.load(std::move(entity));
  EXPECT_EQ(selected(again, "new"), 2u);
  EXPECT_EQ(selected(again, ""), 3u) << "no VM is asked for";
}

}  // namespace
}  // namespace proteus::store
