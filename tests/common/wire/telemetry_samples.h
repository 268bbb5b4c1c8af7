#pragma once

#include <cstdio>
#include <limits>
#include <memory>
#include <random>
#include <string>

#include "common/telemetry.h"

namespace proteus {

/// A catalog with one host and `vm_count` VMs of two vCPUs, a tap and a disk each, and every KPI of their scopes.
inline std::shared_ptr<const Catalog> make_catalog(const std::string& host, std::uint64_t boot_id,
                                                   std::uint32_t version, int vm_count) {
  auto catalog = std::make_shared<Catalog>();
  catalog->host = HostId(host);
  catalog->boot_id = boot_id;
  catalog->version = version;
  catalog->entities.push_back(
      {EntityKind::kHost, kNoParent, host, "", {{"machine", "x86_64"}, {"capability.psi", "yes"}}});
  for (int i = 0; i < vm_count; ++i) {
    const auto vm = static_cast<std::uint32_t>(catalog->entities.size());
    char uuid[37];
    std::snprintf(uuid, sizeof uuid, "0f0e7a52-93b1-4c7c-8a55-%012d", i);
    catalog->entities.push_back({EntityKind::kVm, kNoParent, "vm" + std::to_string(i), uuid, {{"group.web", "1"}}});
    catalog->entities.push_back({EntityKind::kVcpu, vm, "0", "", {}});
    catalog->entities.push_back({EntityKind::kVcpu, vm, "1", "", {}});
    catalog->entities.push_back({EntityKind::kTap, vm, "vnet" + std::to_string(i), "", {}});
    catalog->entities.push_back({EntityKind::kDisk, vm, "vda", "", {}});
    catalog->entities.push_back({EntityKind::kVmPair, vm, "host", "", {}});
  }
  for (std::uint32_t e = 0; e < catalog->entities.size(); ++e) {
    for (const KpiInfo& kpi : kpi_table()) {
      if (kpi.scope != catalog->entities[e].kind) continue;
      const int buckets = kpi.kind == KpiKind::kHistogram ? kHistogramBucketCount : 1;
      for (int b = 0; b < buckets; ++b) catalog->series.push_back({e, kpi.kpi, static_cast<std::uint8_t>(b)});
    }
  }
  return catalog;
}

/// A frame of this catalog whose values are multiples of their quantum, some absent, some extreme.
inline Sample make_sample(std::shared_ptr<const Catalog> catalog, std::uint64_t sequence, std::mt19937_64& random) {
  Sample sample{catalog, {}};
  Frame& frame = sample.frame;
  frame.boot_id = catalog->boot_id;
  frame.catalog_version = catalog->version;
  frame.sequence = sequence;
  frame.time = from_unix_ns(1'700'000'000'000'000'000 + static_cast<std::int64_t>(sequence) * 1'000'000'000);
  for (const Series& series : catalog->series) {
    const std::int64_t quantum = info(series.kpi).quantum;
    const std::uint64_t dice = random() % 100;
    const bool present = dice >= 10;
    std::int64_t value = static_cast<std::int64_t>(sequence * 1000 + random() % 5000);
    if (dice >= 95) value = static_cast<std::int64_t>(random()) / quantum;
    if (dice == 99) value = std::numeric_limits<std::int64_t>::min() / quantum;
    if (dice == 98) value = std::numeric_limits<std::int64_t>::max() / quantum;
    frame.present.push_back(present ? 1 : 0);
    frame.values.push_back(present ? value * quantum : 0);
  }
  return sample;
}

}  // namespace proteus
