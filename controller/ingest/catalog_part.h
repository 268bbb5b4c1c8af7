#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "common/ids.h"
#include "common/telemetry.h"

namespace proteus::ingest {

/// Versions of agents' own catalogs are below it, those of what was made of them here above, so that the two never
/// bear the same one.
constexpr std::uint32_t kPartVersionsFrom = 1u << 31;

/// What is taken of a catalog that lists more VMs than are taken of its host: all of it but those VMs.
struct CatalogPart {
  std::shared_ptr<const Catalog> catalog;
  std::vector<std::uint32_t> columns;  ///< of the whole catalog's series, by those of `catalog`
  Timestamp since;                     ///< controller's clock
};

std::set<VmId> vms_of(const Catalog& catalog);

/// whole: as checked by wire::check_catalog. version: what the part's catalog bears.
CatalogPart without(const Catalog& whole, const std::set<VmId>& left_out, std::uint32_t version, Timestamp now);

/// Those values of a frame of the whole catalog that are in the part.
Sample part_of(const Frame& whole, const CatalogPart& part);

}  // namespace proteus::ingest
