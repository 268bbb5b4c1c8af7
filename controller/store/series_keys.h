#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/kpi.h"
#include "common/result.h"
#include "controller/store/series_index.h"

/// Keys and values of the families page, rollup and series, and of meta's entries for them, byte by byte; integers are
/// big-endian, `time` is microseconds with the sign bit flipped. tests/fixtures/store/series.golden holds one of each.
///
/// page     a page (page.h) of one KPI of one host over the ticks of one window; kpi 0: the window's ticks themselves,
///          microseconds since the Unix epoch by the host's clock, as the one series (0, 0)
///          ┌───────┬───────┬────────┬────────┬────────┐
///          │ kpi 2 │ len 2 │ host … │ time 8 │ lsn 8  │ ─▶ page         of the window's first tick
///          └───────┴───────┴────────┴────────┴────────┘
/// rollup   a page of one figure of one KPI of one host: 60 ticks of a minute, or one of an hour, from `time` on. Up to
///          128 series with a value in the hour are one page; so is every page of earlier versions.
///          ┌─────────┬───────┬──────────┬───────┬────────┬────────┐
///          │ level 1 │ kpi 2 │ figure 1 │ len 2 │ host … │ time 8 │ ─▶ page
///          └─────────┴───────┴──────────┴───────┴────────┴────────┘
///          More are a page for each block of entities, of those with numbers from 64 · block to 64 · block + 63, so
///          that who asks for one VM reads little besides, hour behind hour. No time reads as a block: its first bit is
///          set. Where both are there, the whole page is of before the hour was rolled up again.
///          ┌─────────┬───────┬──────────┬───────┬────────┬─────────┬────────┐
///          │ level 1 │ kpi 2 │ figure 1 │ len 2 │ host … │ block 4 │ time 8 │ ─▶ page
///          └─────────┴───────┴──────────┴───────┴────────┴─────────┴────────┘
/// series   an entity of a host by its number, as its agent named it last
///          ┌───────┬────────┬──────────┐
///          │ len 2 │ host … │ number 4 │ ─▶
///          └───────┴────────┴──────────┘
///          ┌────────┬──────────────────────┬──────┬──────┬─────────┬──────────────┬────────────┐
///          │ kind 1 │ parent 4 (2³²−1: no) │ name │ uuid │ count 2 │ key, value … │ seen day 4 │
///          └────────┴──────────────────────┴──────┴──────┴─────────┴──────────────┴────────────┘
///          texts: length 2, bytes; seen day: when a catalog listed it last, in days since the epoch, 0 or left out
///          if that is not known. It goes when nothing that was measured of it can be left (Store::expire).
/// meta     'p' len 2, host ─▶ HostProgress: next lsn 8, count 2 of (time 8, lsn 8), count 2 of (hour 8);
///                             hour: hours since the Unix epoch, sign bit flipped
///          'q'             ─▶ lsn 8: telemetry in front of it is in pages
namespace proteus::store::keys {

/// The KPI of a window's ticks.
constexpr std::uint16_t kTicksKpi = 0;

struct PagePlace {
  std::int64_t time_us = 0;
  std::uint64_t lsn = 0;
  auto operator<=>(const PagePlace&) const = default;
};

std::string page_prefix(std::uint16_t kpi, const HostId& host);
std::string page_key(std::uint16_t kpi, const HostId& host, const PagePlace& place);
Result<PagePlace> parse_page_place(std::string_view key);

enum class Level : std::uint8_t { kMinute = 1, kHour = 2 };
/// Of the values of a gauge, of the rates of a counter; see rollup.h.
enum class Figure : std::uint8_t { kSum = 1, kWeight = 2, kMin = 3, kMax = 4, kLast = 5, kP95 = 6 };

/// Entities of a block. A block's page is dear if it holds few series: neighbours compress each other.
constexpr std::uint32_t kRollupEntities = 64;
/// So many series are not split into blocks.
constexpr std::size_t kRollupWholeSeries = 128;
constexpr std::uint32_t rollup_block(std::uint32_t entity) {
  return entity / kRollupEntities;
}
/// Whose roll-up, and of what.
struct RollupSeries {
  Level level{};
  std::uint16_t kpi = 0;
  Figure figure{};
  const HostId& host;
};
std::string rollup_key(const RollupSeries& series, std::uint32_t block, std::int64_t time_us);
/// Of all entities.
std::string whole_rollup_key(const RollupSeries& series, std::int64_t time_us);
/// Level and begin of a roll-up.
struct RollupPlace {
  Level level{};
  std::int64_t time_us = 0;
};
Result<RollupPlace> parse_rollup_place(std::string_view key);

std::string entity_key(const HostId& host, std::uint32_t number);
Result<HostId> parse_entity_host(std::string_view key);
std::string entity_value(const StoredEntity& entity);
Result<StoredEntity> parse_entity(std::string_view key, std::string_view value);

/// How far a host's telemetry is in pages.
struct HostProgress {
  std::uint64_t next_lsn = 0;     ///< everything of the host in front of it is in pages
  std::vector<PagePlace> chunks;  ///< pages of the window under way, in the order in which they were made
  std::vector<std::int64_t>
      dirty_hours;  ///< begins, in hours since the epoch, of those to be rolled up (again); sorted
  bool operator==(const HostProgress&) const = default;
};
constexpr std::string_view kProgressPrefix = "p";
std::string progress_key(const HostId& host);
Result<HostId> parse_progress_host(std::string_view key);
std::string progress_value(const HostProgress& progress);
Result<HostProgress> parse_progress(std::string_view value);

constexpr std::string_view kPositionKey = "q";

}  // namespace proteus::store::keys
