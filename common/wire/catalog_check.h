#pragma once

#include "common/result.h"
#include "common/telemetry.h"

namespace proteus::wire {

constexpr std::size_t kLabelsPerEntityMax = 64;
constexpr std::size_t kLabelsMax = 262'144;
constexpr std::size_t kEntityNameBytesMax = 256;
constexpr std::size_t kLabelKeyBytesMax = 64;
constexpr std::size_t kLabelValueBytesMax = 1024;

/// Whether a catalog that came off the wire says something that can be true: the first entity is its host and the only
/// one, parents are what common/telemetry.h says they are, texts are clean, each series measures what its KPI's scope
/// names, and no series occurs twice.
/// Errors: kCorrupt, naming the row, or the entity that has a series twice. Thread: pure.
Status check_catalog(const Catalog& catalog);

}  // namespace proteus::wire
