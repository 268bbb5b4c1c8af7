#pragma once

#include "common/result.h"
#include "common/telemetry.h"

namespace proteus::wire {

constexpr std::size_t kVmsMax = 4096;  ///< of a host; each costs a controller as much as hundreds of other entities
constexpr std::size_t kLabelsPerEntityMax = 64;
constexpr std::size_t kLabelsMax = 262'144;
constexpr std::size_t kEntityNameBytesMax = 256;
constexpr std::size_t kLabelKeyBytesMax = 64;
constexpr std::size_t kLabelValueBytesMax = 1024;

/// Whether a catalog that came off the wire says something that can be true: the first entity is its host and the only
/// one, its VMs are no more than kVmsMax, parents are what common/telemetry.h says they are, texts are clean, each
/// series measures what its KPI's scope names, and no series occurs twice. Errors: kCorrupt, naming the row, or the
/// entity that has a series twice. Thread: pure.
Status check_catalog(const Catalog& catalog);

/// Bytes of memory that a decoded catalog takes, about; with what decoding its frames takes (KnownCatalog). The same
/// for equal catalogs. Thread: pure.
std::size_t memory_of(const Catalog& catalog);

}  // namespace proteus::wire
