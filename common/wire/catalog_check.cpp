#include "common/wire/catalog_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "common/wire/text.h"

namespace proteus::wire {
namespace {

Error wrong(std::string message) {
  return {ErrorCode::kCorrupt, std::move(message)};
}

bool parent_fits(const Catalog& catalog, const Entity& entity) {
  if (entity.parent == kNoParent) return entity.kind == EntityKind::kHost || entity.kind == EntityKind::kVm;
  if (entity.parent >= catalog.entities.size()) return false;
  const EntityKind parent = catalog.entities[entity.parent].kind;
  switch (entity.kind) {
    case EntityKind::kHost: return false;
    case EntityKind::kVm:
    case EntityKind::kHook:
    case EntityKind::kCpu:
    case EntityKind::kNode:
    case EntityKind::kPackage:
    case EntityKind::kHostDisk:
    case EntityKind::kDropReason: return parent == EntityKind::kHost;
    case EntityKind::kVcpu:
    case EntityKind::kVmPair:
    case EntityKind::kTap:
    case EntityKind::kDisk:
    case EntityKind::kVmDisk:
    case EntityKind::kVmExit: return parent == EntityKind::kVm;
  }
  return false;
}

}  // namespace

Status check_catalog(const Catalog& catalog) {
  if (!valid_host_name(catalog.host.value)) return wrong("catalog's host is not a host name");
  if (catalog.entities.empty() || catalog.entities.front().kind != EntityKind::kHost ||
      catalog.entities.front().name != catalog.host.value) {
    return wrong("catalog does not begin with its host");
  }
  std::size_t label_count = 0;
  std::size_t vm_count = 0;
  for (std::size_t i = 0; i < catalog.entities.size(); ++i) {
    const Entity& entity = catalog.entities[i];
    if (i > 0 && entity.kind == EntityKind::kHost) return wrong(fmt::format("entity {} is a second host", i));
    if (!parent_fits(catalog, entity)) return wrong(fmt::format("entity {} has a parent that it cannot have", i));
    if (entity.name.empty() || !valid_text(entity.name, kEntityNameBytesMax)) {
      return wrong(fmt::format("entity {} has a name out of its limits", i));
    }
    if (entity.kind == EntityKind::kVm ? !valid_uuid(entity.uuid) : !entity.uuid.empty()) {
      return wrong(fmt::format("entity {} has a UUID that it cannot have", i));
    }
    label_count += entity.labels.size();
    vm_count += entity.kind == EntityKind::kVm ? 1 : 0;
    for (const auto& [key, value] : entity.labels) {
      if (key.empty() || !valid_text(key, kLabelKeyBytesMax) || !valid_text(value, kLabelValueBytesMax)) {
        return wrong(fmt::format("entity {} has a label out of its limits", i));
      }
    }
  }
  if (label_count > kLabelsMax) return wrong("catalog has too many labels");
  if (vm_count > kVmsMax) return wrong(fmt::format("catalog lists {} VMs, more than {}", vm_count, kVmsMax));

  std::vector<std::uint64_t> keys;
  keys.reserve(catalog.series.size());
  for (std::size_t i = 0; i < catalog.series.size(); ++i) {
    const Series& series = catalog.series[i];
    const KpiInfo* kpi = find_kpi(static_cast<std::uint16_t>(series.kpi));
    if (kpi == nullptr) return wrong(fmt::format("series {} has an unknown KPI", i));
    if (series.entity >= catalog.entities.size() || catalog.entities[series.entity].kind != kpi->scope) {
      return wrong(fmt::format("series {}: {} is measured of a {}, and its entity is none", i, kpi->name,
                               to_string(kpi->scope)));
    }
    if (series.bucket >= (kpi->kind == KpiKind::kHistogram ? kHistogramBucketCount : 1)) {
      return wrong(fmt::format("series {} has a bucket that {} has not", i, kpi->name));
    }
    keys.push_back(std::uint64_t{series.entity} << 32 | std::uint64_t{static_cast<std::uint16_t>(series.kpi)} << 8 |
                   series.bucket);
  }
  std::sort(keys.begin(), keys.end());
  if (const auto twice = std::adjacent_find(keys.begin(), keys.end()); twice != keys.end()) {
    return wrong(fmt::format("a series of entity {} occurs twice", *twice >> 32));
  }
  return {};
}

std::size_t memory_of(const Catalog& catalog) {
  constexpr std::size_t kInPlace = 15;  // texts up to there take no memory of their own
  constexpr std::size_t kAllocation = 16;
  constexpr std::size_t kTreeNode = 32 + kAllocation;
  const auto text = [](const std::string& one) { return one.size() <= kInPlace ? 0 : one.size() + 1 + kAllocation; };
  std::size_t bytes = sizeof(Catalog) + catalog.series.size() * (sizeof(Series) + sizeof(std::int64_t));
  for (const Entity& entity : catalog.entities) {
    bytes += sizeof(Entity) + text(entity.name) + text(entity.uuid);
    for (const auto& [key, value] : entity.labels)
      bytes += kTreeNode + sizeof(key) + sizeof(value) + text(key) + text(value);
  }
  return bytes;
}

}  // namespace proteus::wire
