#pragma once

#include <cstdint>
#include <optional>

#include "common/kpi.h"

namespace proteus::collect {

/// One figure of an entity; nullopt: not measured this time.
struct Figure {
  Kpi kpi{};
  std::optional<std::int64_t> value;
};

}  // namespace proteus::collect
