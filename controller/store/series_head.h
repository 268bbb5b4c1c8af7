#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/telemetry.h"
#include "controller/store/page.h"

/// Ticks of one host on their way into pages. Thread: owned by one, or guarded by its owner.
namespace proteus::store {

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
/// Hours since the epoch.
std::int64_t hour_of(Timestamp time);

struct KpiPage {
  std::uint16_t kpi = 0;  ///< 0: the ticks
  std::string bytes;
};
/// Makes pages of rows, and uses its memory again.
class Sealer {
 public:
  /// In ascending order of the KPI. rows: 1 … kPageTicksMax, of one host.
  std::vector<KpiPage> seal(std::span<const HeadRow> rows);

 private:
  /// Rows that share a catalog, with their values turned on the side: those of one column stand together.
  struct Run {
    std::size_t begin = 0;
    std::size_t end = 0;
    const PlacedCatalog* catalog = nullptr;
    bool all = false;                   // every value is there
    std::vector<std::int64_t> values;   // [column][row]
    std::vector<std::uint8_t> present;  // likewise, unless all are there
  };
  /// A series and in which catalog and column it stands. However often catalogs take turns, there is one for each.
  struct Place {
    std::uint16_t kpi = 0;
    SeriesKey key;
    std::size_t catalog = 0;  // in runs_of_
    std::uint32_t at = 0;
  };
  static void turn(std::span<const HeadRow> rows, Run& run);
  std::vector<Place> places() const;

  std::vector<Run> runs_;
  std::vector<std::vector<std::size_t>> runs_of_;  // in runs_, by catalog
  PageBuilder builder_{1, 1};
};

/// Joins pages of one KPI that follow each other. parts: the ticks of each window, and its page; nullptr if the KPI has
/// none there. Errors: kCorrupt, also if they are too many for one page.
struct PagePart {
  std::uint32_t ticks = 0;
  const Page* page = nullptr;
};
/// All of their values are decoded at once; of more than this nothing is joined.
constexpr std::size_t kJoinedValuesMax = 64u << 20;
Result<std::string> join(const std::vector<PagePart>& parts, std::int64_t unit,
                         std::size_t values_max = kJoinedValuesMax);

}  // namespace proteus::store
