#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/telemetry.h"
#include "controller/store/page.h"

/// The ticks of one host that are in no page yet. Thread: owned by one, or guarded by its owner.
namespace proteus::store {

/// Ticks that are sealed together.
constexpr std::size_t kChunkTicks = 128;

/// A catalog with where its columns stand in pages.
struct PlacedCatalog {
  std::shared_ptr<const Catalog> catalog;
  std::vector<std::uint32_t> entity_numbers;  ///< of catalog->entities
  struct Column {
    std::uint16_t kpi = 0;
    SeriesKey key;
    std::uint32_t at = 0;  ///< in catalog->series
  };
  std::vector<Column> columns;  ///< in the order of pages: by (kpi, key)
};
std::shared_ptr<const PlacedCatalog> place(std::shared_ptr<const Catalog> catalog,
                                           std::vector<std::uint32_t> entity_numbers);

struct HeadRow {
  std::uint64_t lsn = 0;
  Timestamp received;  ///< controller's clock
  std::shared_ptr<const PlacedCatalog> catalog;
  Frame frame;
};

/// Microseconds since the Unix epoch, as pages hold time.
std::int64_t to_us(Timestamp time);

struct KpiPage {
  std::uint16_t kpi = 0;  ///< 0: the ticks
  std::string bytes;
};
/// The pages of rows, in ascending order of the KPI. rows: 1 … kPageTicksMax, of one host.
std::vector<KpiPage> seal(const std::vector<HeadRow>& rows);

/// Joins pages of one KPI that follow each other. parts: the ticks of each window, and its page; nullptr if the KPI has
/// none there. Errors: kCorrupt.
struct PagePart {
  std::uint32_t ticks = 0;
  const Page* page = nullptr;
};
Result<std::string> join(const std::vector<PagePart>& parts, std::int64_t unit);

}  // namespace proteus::store
