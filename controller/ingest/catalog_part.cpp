#include "controller/ingest/catalog_part.h"

#include <optional>

namespace proteus::ingest {

std::set<VmId> vms_of(const Catalog& catalog) {
  std::set<VmId> vms;
  for (const Entity& entity : catalog.entities) {
    if (entity.kind == EntityKind::kVm) vms.emplace(entity.uuid);
  }
  return vms;
}

CatalogPart without(const Catalog& whole, const std::set<VmId>& left_out, std::uint32_t version, Timestamp now) {
  // A parent may stand behind its children: a VM's are told by it first.
  const auto is_left_out = [&](const Entity& entity) {
    const Entity& vm =
        entity.kind == EntityKind::kVm || entity.parent == kNoParent ? entity : whole.entities[entity.parent];
    return vm.kind == EntityKind::kVm && left_out.contains(VmId(vm.uuid));
  };
  std::vector<std::optional<std::uint32_t>> places(whole.entities.size());
  Catalog catalog{whole.host, whole.boot_id, version, {}, {}};
  for (std::size_t i = 0; i < whole.entities.size(); ++i) {
    if (is_left_out(whole.entities[i])) continue;
    places[i] = static_cast<std::uint32_t>(catalog.entities.size());
    catalog.entities.push_back(whole.entities[i]);
  }
  for (Entity& entity : catalog.entities) {
    if (entity.parent != kNoParent) entity.parent = *places[entity.parent];
  }
  CatalogPart part{nullptr, {}, now};
  for (std::size_t i = 0; i < whole.series.size(); ++i) {
    const Series& series = whole.series[i];
    if (!places[series.entity]) continue;
    catalog.series.push_back({*places[series.entity], series.kpi, series.bucket});
    part.columns.push_back(static_cast<std::uint32_t>(i));
  }
  part.catalog = std::make_shared<const Catalog>(std::move(catalog));
  return part;
}

Sample part_of(const Frame& whole, const CatalogPart& part) {
  Frame frame{whole.boot_id, part.catalog->version, whole.sequence, whole.time, {}, {}};
  frame.present.reserve(part.columns.size());
  frame.values.reserve(part.columns.size());
  for (const std::uint32_t column : part.columns) {
    frame.present.push_back(whole.present[column]);
    frame.values.push_back(whole.values[column]);
  }
  return {part.catalog, std::move(frame)};
}

}  // namespace proteus::ingest
