#include "controller/store/series_head.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "common/kpi.h"
#include "controller/store/series_keys.h"

namespace proteus::store {
namespace {

using Column = PlacedCatalog::Column;

/// Rows that share a catalog, with their values turned on the side: those of one column stand together.
struct Run {
  std::size_t begin = 0;
  std::size_t end = 0;
  const PlacedCatalog* catalog = nullptr;
  std::vector<std::int64_t> values;   // [column][row]
  std::vector<std::uint8_t> present;  // likewise; empty: all are there
};

constexpr std::size_t kTileColumns = 8;  // values of a row that a cache line holds

Run turn(const std::vector<HeadRow>& rows, std::size_t begin, std::size_t end) {
  Run run{begin, end, rows[begin].catalog.get(), {}, {}};
  const std::size_t height = end - begin;
  const std::size_t width = run.catalog->catalog->series.size();
  run.values.resize(width * height);
  bool all = true;
  for (std::size_t r = begin; r < end; ++r) {
    const auto& present = rows[r].frame.present;
    all = all && std::find(present.begin(), present.end(), 0) == present.end();
  }
  if (!all) run.present.resize(width * height);
  for (std::size_t tile = 0; tile < width; tile += kTileColumns) {
    const std::size_t tile_end = std::min(width, tile + kTileColumns);
    for (std::size_t r = 0; r < height; ++r) {
      const Frame& frame = rows[begin + r].frame;
      for (std::size_t c = tile; c < tile_end; ++c) run.values[c * height + r] = frame.values[c];
      if (all) continue;
      for (std::size_t c = tile; c < tile_end; ++c) run.present[c * height + r] = frame.present[c];
    }
  }
  return run;
}

/// A series and in which run and column it stands; runs ascend within a series.
struct Place {
  std::uint16_t kpi = 0;
  SeriesKey key;
  std::size_t run = 0;
  std::uint32_t at = 0;
};

std::vector<Place> places_of(const std::vector<Run>& runs) {
  std::vector<Place> places;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    for (const Column& column : runs[r].catalog->columns) places.push_back({column.kpi, column.key, r, column.at});
  }
  if (runs.size() > 1) {
    std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
      return std::tie(a.kpi, a.key, a.run) < std::tie(b.kpi, b.key, b.run);
    });
  }
  return places;
}

std::string ticks_page(const std::vector<HeadRow>& rows) {
  std::vector<std::int64_t> times;
  for (const HeadRow& row : rows) times.push_back(to_us(row.frame.time));
  PageBuilder builder(static_cast<std::uint32_t>(rows.size()), 1);
  builder.add({}, times, {});
  return builder.finish();
}

}  // namespace

std::int64_t to_us(Timestamp time) {
  return std::chrono::floor<std::chrono::microseconds>(time).time_since_epoch().count();
}

std::shared_ptr<const PlacedCatalog> place(std::shared_ptr<const Catalog> catalog,
                                           std::vector<std::uint32_t> entity_numbers) {
  auto placed = std::make_shared<PlacedCatalog>();
  placed->columns.reserve(catalog->series.size());
  for (std::uint32_t i = 0; i < catalog->series.size(); ++i) {
    const Series& series = catalog->series[i];
    placed->columns.push_back(
        {static_cast<std::uint16_t>(series.kpi), {entity_numbers[series.entity], series.bucket}, i});
  }
  std::sort(placed->columns.begin(), placed->columns.end(), [](const Column& a, const Column& b) {
    return std::tie(a.kpi, a.key, a.at) < std::tie(b.kpi, b.key, b.at);
  });
  placed->catalog = std::move(catalog);
  placed->entity_numbers = std::move(entity_numbers);
  return placed;
}

std::vector<KpiPage> seal(const std::vector<HeadRow>& rows) {
  std::vector<Run> runs;
  for (std::size_t begin = 0; begin < rows.size();) {
    std::size_t end = begin + 1;
    while (end < rows.size() && rows[end].catalog == rows[begin].catalog) ++end;
    runs.push_back(turn(rows, begin, end));
    begin = end;
  }
  std::vector<KpiPage> pages;
  pages.push_back({keys::kTicksKpi, ticks_page(rows)});

  const std::vector<Place> places = places_of(runs);
  std::vector<std::int64_t> values(rows.size());
  PresenceWords present((rows.size() + 63) / 64);
  for (std::size_t i = 0; i < places.size();) {
    const std::uint16_t kpi = places[i].kpi;
    PageBuilder builder(static_cast<std::uint32_t>(rows.size()), info(static_cast<Kpi>(kpi)).quantum);
    while (i < places.size() && places[i].kpi == kpi) {
      const SeriesKey key = places[i].key;
      if (runs.size() == 1 && runs[0].present.empty()) {
        builder.add(key, {runs[0].values.data() + places[i].at * rows.size(), rows.size()}, {});
        ++i;
        continue;
      }
      std::fill(present.begin(), present.end(), 0);
      for (; i < places.size() && places[i].kpi == kpi && places[i].key == key; ++i) {
        const Run& run = runs[places[i].run];
        const std::size_t height = run.end - run.begin;
        for (std::size_t r = 0; r < height; ++r) {
          const std::size_t tick = run.begin + r;
          values[tick] = run.values[places[i].at * height + r];
          const bool there = run.present.empty() || run.present[places[i].at * height + r] != 0;
          present[tick / 64] |= std::uint64_t{there} << tick % 64;
        }
      }
      builder.add(key, values, present);
    }
    if (!builder.empty()) pages.push_back({kpi, builder.finish()});
  }
  return pages;
}

Result<std::string> join(const std::vector<PagePart>& parts, std::int64_t unit) {
  struct Stretch {
    const Page* page = nullptr;
    const PageEntry* entry = nullptr;
    std::uint32_t begin = 0;
  };
  std::map<SeriesKey, std::vector<Stretch>> series;
  std::uint32_t ticks = 0;
  for (const PagePart& part : parts) {
    if (part.page != nullptr) {
      if (part.page->ticks() != part.ticks) return Error{ErrorCode::kCorrupt, "a page has other ticks than its window"};
      for (const PageEntry& entry : part.page->entries()) series[entry.key].push_back({part.page, &entry, ticks});
    }
    ticks += part.ticks;
  }
  PageBuilder builder(ticks, unit);
  std::vector<std::int64_t> values(ticks);
  PresenceWords present((ticks + 63) / 64);
  std::vector<std::int64_t> part_values;
  std::vector<std::uint32_t> part_ticks;
  for (const auto& [key, stretches] : series) {
    std::uint32_t count = 0;
    for (const Stretch& stretch : stretches) count += stretch.entry->count;
    const bool all = count == ticks;
    if (!all) std::fill(present.begin(), present.end(), 0);
    for (const Stretch& stretch : stretches) {
      if (const Status decoded = stretch.page->decode(*stretch.entry, part_values); !decoded) return decoded.error();
      if (all) {
        std::copy(part_values.begin(), part_values.end(), values.begin() + stretch.begin);
        continue;
      }
      if (const Status placed = stretch.page->ticks_of(*stretch.entry, part_ticks); !placed) return placed.error();
      for (std::size_t i = 0; i < part_ticks.size(); ++i) {
        const std::uint32_t tick = stretch.begin + part_ticks[i];
        values[tick] = part_values[i];
        present[tick / 64] |= std::uint64_t{1} << tick % 64;
      }
    }
    builder.add(key, values, all ? std::span<const std::uint64_t>() : present);
  }
  return builder.finish();
}

}  // namespace proteus::store
