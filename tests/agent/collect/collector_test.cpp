#include "agent/collect/collector.h"

#include <gtest/gtest.h>
#include <libvirt/virterror.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/collect/libvirt_reading.h"
#include "tests/agent/collect/fixture_root.h"

namespace proteus {
namespace {

constexpr Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

CollectorOptions options(const std::string& root) {
  CollectorOptions o;
  o.host = HostId("h1");
  o.root = root;
  o.libvirt_uri = "";
  o.kernel_programs = false;
  return o;
}

std::optional<std::int64_t> value(const Sample& sample, std::uint32_t entity, Kpi kpi) {
  for (std::size_t i = 0; i < sample.catalog->series.size(); ++i) {
    const Series& s = sample.catalog->series[i];
    if (s.entity == entity && s.kpi == kpi && sample.frame.present[i] != 0) return sample.frame.values[i];
  }
  return std::nullopt;
}

TEST(Collector, AHostWithoutLibvirtOrPrograms) {
  const collect::FixtureRoot root;
  root.write("/proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 10 kB\n");
  root.write("/proc/pressure/cpu", "some total=1234\n");
  auto o = options(root.path());
  o.migrate_uri = "tcp://10.0.0.1";
  o.dropped_frames_count = [] { return 3u; };
  auto collector = Collector::create(o, 99);
  ASSERT_TRUE(collector);
  const Sample first = collector.value()->tick(kStart);
  EXPECT_EQ(first.catalog->boot_id, 99u);
  EXPECT_EQ(first.catalog->version, 1u);
  EXPECT_EQ(first.catalog->host, HostId("h1"));
  ASSERT_FALSE(first.catalog->entities.empty());
  const Entity& host = first.catalog->entities[0];
  EXPECT_EQ(host.kind, EntityKind::kHost);
  EXPECT_EQ(host.name, "h1");
  EXPECT_EQ(host.parent, kNoParent);
  EXPECT_EQ(host.labels.at("migrate_uri"), "tcp://10.0.0.1");
  EXPECT_EQ(host.labels.at("capability.poll").substr(0, 4), "no: ");
  EXPECT_EQ(host.labels.at("capability.psi"), "yes");
  EXPECT_EQ(host.labels.at("capability.migrate").substr(0, 4), "no: ");
  EXPECT_EQ(first.frame.present.size(), first.catalog->series.size());
  EXPECT_EQ(first.frame.values.size(), first.catalog->series.size());
  EXPECT_EQ(first.frame.sequence, 1u);
  EXPECT_EQ(first.frame.time, kStart);
  EXPECT_EQ(value(first, 0, Kpi::kHostMemoryTotalBytes), 1000 * 1024);
  EXPECT_EQ(value(first, 0, Kpi::kHostPressureCpuNs), 1'234'000);
  EXPECT_EQ(value(first, 0, Kpi::kHostPressureIoNs), std::nullopt);
  EXPECT_EQ(value(first, 0, Kpi::kAgentDroppedFramesCount), 3);
}

TEST(Collector, TheCatalogStaysWhileNothingChanges) {
  const collect::FixtureRoot root;
  auto collector = Collector::create(options(root.path()), 1);
  ASSERT_TRUE(collector);
  const Sample first = collector.value()->tick(kStart);
  const Sample second = collector.value()->tick(kStart + std::chrono::seconds(1));
  EXPECT_EQ(first.catalog, second.catalog) << "the same object, not only an equal one";
  EXPECT_EQ(second.frame.sequence, 2u);
}

TEST(Collector, RefusesAHostWithoutAName) {
  auto o = options("/");
  o.host = HostId();
  EXPECT_EQ(Collector::create(o, 1).error().code, ErrorCode::kInvalidArgument);
}

/// libvirt's built-in test driver: one running domain named "test".
TEST(Collector, LibvirtsDomainsEnterTheCatalog) {
  auto o = options("/");
  o.libvirt_uri = "test:///default";
  auto collector = Collector::create(o, 1);
  ASSERT_TRUE(collector);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  Sample sample = collector.value()->tick(kStart);
  const auto find_vm = [&sample] {
    for (std::uint32_t i = 0; i < sample.catalog->entities.size(); ++i) {
      if (sample.catalog->entities[i].kind == EntityKind::kVm) return i;
    }
    return kNoParent;
  };
  while (find_vm() == kNoParent && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
    sample = collector.value()->tick(kStart);
  }
  const std::uint32_t vm = find_vm();
  ASSERT_NE(vm, kNoParent);
  EXPECT_EQ(sample.catalog->version, 2u);
  EXPECT_EQ(sample.catalog->entities[vm].name, "test");
  EXPECT_EQ(sample.catalog->entities[vm].parent, 0u);
  EXPECT_EQ(sample.catalog->entities[vm].uuid.size(), 36u);
  EXPECT_EQ(value(sample, vm, Kpi::kVmState), 1);
  EXPECT_EQ(value(sample, vm, Kpi::kVmVcpusCount), 2);
  EXPECT_EQ(value(sample, vm, Kpi::kMemoryResidentBytes), std::nullopt) << "there is no process";
  collector.value()->refresh(VmId(sample.catalog->entities[vm].uuid));
  collector.value()->refresh(VmId());
}

/// The driver's default domain is every connection's.
TEST(Collector, WhatADomainIsTaggedWithEntersTheCatalog) {
  auto o = options("/");
  o.libvirt_uri = "test:///default";
  auto collector = Collector::create(o, 1);
  ASSERT_TRUE(collector);
  const auto wait_until = [&](auto is_so) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    Sample sample = collector.value()->tick(kStart);
    while (!is_so(*sample.catalog) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
      sample = collector.value()->tick(kStart);
    }
    return is_so(*sample.catalog);
  };
  const auto tier = [](const std::string& wanted) {
    return [wanted](const Catalog& catalog) {
      return std::any_of(catalog.entities.begin(), catalog.entities.end(), [&](const Entity& entity) {
        const auto label = entity.labels.find("group.tier");
        return entity.kind == EntityKind::kVm && (label == entity.labels.end() ? "" : label->second) == wanted;
      });
    };
  };
  ASSERT_TRUE(wait_until(tier("")));
  const auto connection = collect::connect("test:///default");
  ASSERT_TRUE(connection);
  const auto domains = collect::active_domains(connection->get());
  ASSERT_TRUE(domains);
  ASSERT_FALSE(domains->empty());
  virDomain* domain = domains->front().get();
  const auto tag = [&](const char* xml) {
    return virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml, "proteus", "https://proteus.example/1",
                                VIR_DOMAIN_AFFECT_LIVE) == 0;
  };
  ASSERT_TRUE(tag("<group name='tier' value='db'/>")) << virGetLastErrorMessage();
  EXPECT_TRUE(wait_until(tier("db")));
  ASSERT_TRUE(tag(nullptr)) << virGetLastErrorMessage();
  EXPECT_TRUE(wait_until(tier("")));
}

TEST(Collector, AnUnreachableLibvirtCostsNothingButItsFigures) {
  auto o = options("/");
  o.libvirt_uri = "qemu+unix:///system?socket=/nonexistent/socket";
  auto collector = Collector::create(o, 1);
  ASSERT_TRUE(collector);
  const Sample sample = collector.value()->tick(kStart);
  EXPECT_TRUE(value(sample, 0, Kpi::kHostCpuTimeNs));
  EXPECT_EQ(sample.catalog->entities[0].labels.at("hypervisor"), "unknown");
}

}  // namespace
}  // namespace proteus
