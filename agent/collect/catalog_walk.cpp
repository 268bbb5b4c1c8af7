#include "agent/collect/catalog_walk.h"

namespace proteus::collect {

const std::array<std::int64_t, kKpiNumbersMost>& kpi_quanta() {
  static const auto kTable = [] {
    std::array<std::int64_t, kKpiNumbersMost> table;
    table.fill(1);
    for (const KpiInfo& row : kpi_table()) table.at(static_cast<std::size_t>(row.kpi)) = row.quantum;
    return table;
  }();
  return kTable;
}

}  // namespace proteus::collect
