// The largest messages that agents and controllers have for each other are within the limits of their sockets.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "common/wire/catalog_check.h"
#include "common/wire/command_codec.h"
#include "common/wire/socket.h"
#include "common/wire/telemetry_codec.h"

namespace proteus::wire {
namespace {

/// A host of VMs with 16 vCPUs, 30 disks, taps and neighbours that jostle, as many as its series and entities allow.
std::shared_ptr<const Catalog> largest_catalog() {
  auto catalog = std::make_shared<Catalog>();
  catalog->host = HostId("a-host-with-a-rather-long-name.of-a-cluster.example.org");
  catalog->entities.push_back({EntityKind::kHost, kNoParent, catalog->host.value, "", {}});
  const auto add = [&](Entity entity) {
    catalog->entities.push_back(std::move(entity));
    const auto index = static_cast<std::uint32_t>(catalog->entities.size() - 1);
    for (const KpiInfo& kpi : kpi_table()) {
      if (kpi.scope != catalog->entities[index].kind) continue;
      const int buckets = kpi.kind == KpiKind::kHistogram ? kHistogramBucketCount : 1;
      for (int b = 0; b < buckets && catalog->series.size() < kSeriesMax; ++b) {
        catalog->series.push_back({index, kpi.kpi, static_cast<std::uint8_t>(b)});
      }
    }
    return index;
  };
  constexpr std::size_t kEntitiesOfVm = 1 + 16 + 30 + 4 + 2 + 29;
  for (int i = 0; catalog->entities.size() + kEntitiesOfVm <= kEntitiesMax && i < 1000; ++i) {
    Entity vm{EntityKind::kVm,
              kNoParent,
              fmt::format("instance-{:08}-of-a-tenant-with-a-long-name", i),
              fmt::format("0f0e7a52-93b1-4c7c-8a55-{:012}", i),
              {}};
    for (int label = 0; label < 20; ++label) vm.labels[fmt::format("group.label-{}", label)] = std::string(60, 'x');
    const std::uint32_t parent = add(std::move(vm));
    for (int v = 0; v < 16; ++v) add({EntityKind::kVcpu, parent, std::to_string(v), "", {}});
    for (int d = 0; d < 30; ++d) add({EntityKind::kDisk, parent, fmt::format("vd{}", d), "", {}});
    for (int d = 0; d < 4; ++d) add({EntityKind::kVmDisk, parent, fmt::format("sd{}", d), "", {}});
    for (int t = 0; t < 2; ++t) add({EntityKind::kTap, parent, fmt::format("vnet{}", 2 * i + t), "", {}});
    for (int p = 0; p < 29; ++p) {
      add({EntityKind::kVmPair, parent, fmt::format("0f0e7a52-93b1-4c7c-8a55-{:012}", p), "", {}});
    }
  }
  return catalog;
}

TEST(MessageSizes, TheLargestCatalogAndItsFrameFit) {
  const auto catalog = largest_catalog();
  EXPECT_GT(catalog->entities.size(), kEntitiesMax - 100);
  EXPECT_EQ(catalog->series.size(), kSeriesMax);
  Sample sample{catalog, {}};
  sample.frame.sequence = 1;
  sample.frame.time = from_unix_ns(1'700'000'000'000'000'000);
  sample.frame.present.assign(catalog->series.size(), 1);
  sample.frame.values.assign(catalog->series.size(), std::int64_t{1} << 61);
  std::vector<std::string> messages;
  FrameEncoder().encode(sample, messages);
  ASSERT_EQ(messages.size(), 2u);
  RecordProperty("catalog_bytes", static_cast<int>(messages[0].size()));
  RecordProperty("keyframe_bytes", static_cast<int>(messages[1].size()));
  for (const std::string& message : messages) {
    EXPECT_LT(message.size(), static_cast<std::size_t>(kTelemetryMessageBytesMax));
    EXPECT_TRUE(decode_upstream(message));
  }
  EXPECT_LT(memory_of(*catalog), kKnownCatalogsBytesMax / 3);
}

TEST(MessageSizes, WhatOwnersOfVmsWriteDoesNotKeepACatalogFromBeingSent) {
  Catalog catalog;
  catalog.host = HostId("h1");
  catalog.entities.push_back({EntityKind::kHost, kNoParent, "h1", "", {{"kernel", "6.1"}}});
  for (int i = 0; i < 1000; ++i) {
    Entity vm{EntityKind::kVm, kNoParent, "vm", fmt::format("0f0e7a52-93b1-4c7c-8a55-{:012}", i), {{"unmovable", "x"}}};
    for (int label = 0; label < 60; ++label) vm.labels[fmt::format("group.{}", label)] = std::string(1000, 'x');
    catalog.entities.push_back(std::move(vm));
  }
  const auto told = decode_upstream(encode(catalog));
  ASSERT_TRUE(told) << told.error().message;
  const Catalog& heard = std::get<Catalog>(*told);
  ASSERT_EQ(heard.entities.size(), catalog.entities.size());
  EXPECT_EQ(heard.entities[0].labels, catalog.entities[0].labels);
  EXPECT_EQ(heard.entities[1].labels, catalog.entities[1].labels) << "the first have room";
  EXPECT_EQ(heard.entities[1000].labels, (std::map<std::string, std::string>{{"unmovable", "x"}}));
}

TEST(MessageSizes, TheLargestUpdateAndCommandFit) {
  Update update;
  update.host = HostId(std::string(253, 'h'));
  update.vm = VmId("0f0e7a52-93b1-4c7c-8a55-000000000000");
  update.message = std::string(4096, 'x');
  update.migration.emplace();
  update.observed.emplace();
  EXPECT_LT(encode(update).size(), static_cast<std::size_t>(kCommandMessageBytesMax) / 2);
  Command command;
  command.controller = std::string(253, 'c');
  command.host = update.host;
  command.vm = update.vm;
  command.operation = Migrate{update.host, std::string(1024, 'u'), std::string(1024, 'u')};
  EXPECT_LT(encode(command).size(), static_cast<std::size_t>(kCommandMessageBytesMax) / 2);
}

}  // namespace
}  // namespace proteus::wire
