#include "agent/collect/catalog_walk.h"

#include <array>

namespace proteus::collect {
namespace {

constexpr std::size_t kNumbersMost = 256;

std::array<std::int64_t, kNumbersMost> quanta() {
  std::array<std::int64_t, kNumbersMost> table;
  table.fill(1);
  for (const KpiInfo& row : kpi_table()) table.at(static_cast<std::size_t>(row.kpi)) = row.quantum;
  return table;
}

}  // namespace

std::int64_t FrameSink::quantum(Kpi kpi) {
  static const auto kTable = quanta();
  return kTable[static_cast<std::size_t>(kpi)];
}

}  // namespace proteus::collect
