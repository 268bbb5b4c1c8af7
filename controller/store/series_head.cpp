#include "controller/store/series_head.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "common/kpi.h"
#include "controller/store/series_keys.h"

namespace proteus::store {
namespace {

using Column = PlacedCatalog::Column;

constexpr std::size_t kTileColumns = 8;  // values of a row that a cache line holds

std::string ticks_page(std::span<const HeadRow> rows) {
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

std::int64_t hour_of(Timestamp time) {
  return std::chrono::floor<std::chrono::hours>(time).time_since_epoch().count();
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
  // Two entities that nothing tells apart are one here; a page has each of its series once.
  const auto same = [](const Column& a, const Column& b) { return a.kpi == b.kpi && a.key == b.key; };
  placed->columns.erase(std::unique(placed->columns.begin(), placed->columns.end(), same), placed->columns.end());
  placed->catalog = std::move(catalog);
  placed->entity_numbers = std::move(entity_numbers);
  return placed;
}

void Sealer::turn(std::span<const HeadRow> rows, Run& run) {
  const std::size_t height = run.end - run.begin;
  const std::size_t width = run.catalog->catalog->series.size();
  run.values.resize(width * height);
  run.all = true;
  for (std::size_t r = run.begin; r < run.end; ++r) {
    const auto& present = rows[r].frame.present;
    run.all = run.all && std::find(present.begin(), present.end(), 0) == present.end();
  }
  if (!run.all) run.present.resize(width * height);
  for (std::size_t tile = 0; tile < width; tile += kTileColumns) {
    const std::size_t tile_end = std::min(width, tile + kTileColumns);
    for (std::size_t r = 0; r < height; ++r) {
      const Frame& frame = rows[run.begin + r].frame;
      for (std::size_t c = tile; c < tile_end; ++c) run.values[c * height + r] = frame.values[c];
      if (run.all) continue;
      for (std::size_t c = tile; c < tile_end; ++c) run.present[c * height + r] = frame.present[c];
    }
  }
}

std::vector<Sealer::Place> Sealer::places() const {
  std::vector<Place> places;
  for (std::size_t c = 0; c < runs_of_.size(); ++c) {
    const PlacedCatalog& catalog = *runs_[runs_of_[c].front()].catalog;
    for (const Column& column : catalog.columns) places.push_back({column.kpi, column.key, c, column.at});
  }
  if (runs_of_.size() > 1) {
    std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
      return std::tie(a.kpi, a.key, a.catalog) < std::tie(b.kpi, b.key, b.catalog);
    });
  }
  return places;
}

std::vector<KpiPage> Sealer::seal(std::span<const HeadRow> rows) {
  std::size_t runs = 0;
  runs_of_.clear();
  std::map<const PlacedCatalog*, std::size_t> catalogs;  // in runs_of_
  for (std::size_t begin = 0; begin < rows.size(); ++runs) {
    if (runs == runs_.size()) runs_.emplace_back();
    Run& run = runs_[runs];
    run.begin = begin;
    run.catalog = rows[begin].catalog.get();
    while (begin < rows.size() && rows[begin].catalog.get() == run.catalog) ++begin;
    run.end = begin;
    const std::size_t catalog = catalogs.try_emplace(run.catalog, runs_of_.size()).first->second;
    if (catalog == runs_of_.size()) runs_of_.emplace_back();
    runs_of_[catalog].push_back(runs);
    turn(rows, run);
  }
  std::vector<KpiPage> pages;
  pages.push_back({keys::kTicksKpi, ticks_page(rows)});

  const std::vector<Place> places = this->places();
  std::vector<std::int64_t> values(rows.size());
  PresenceWords present((rows.size() + 63) / 64);
  for (std::size_t i = 0; i < places.size();) {
    const std::uint16_t kpi = places[i].kpi;
    builder_.begin(static_cast<std::uint32_t>(rows.size()), info(static_cast<Kpi>(kpi)).quantum);
    while (i < places.size() && places[i].kpi == kpi) {
      const SeriesKey key = places[i].key;
      if (runs == 1 && runs_[0].all) {
        builder_.add(key, {runs_[0].values.data() + places[i].at * rows.size(), rows.size()}, {});
        ++i;
        continue;
      }
      std::fill(present.begin(), present.end(), 0);
      for (; i < places.size() && places[i].kpi == kpi && places[i].key == key; ++i) {
        for (const std::size_t of_catalog : runs_of_[places[i].catalog]) {
          const Run& run = runs_[of_catalog];
          const std::size_t height = run.end - run.begin;
          for (std::size_t r = 0; r < height; ++r) {
            const std::size_t tick = run.begin + r;
            values[tick] = run.values[places[i].at * height + r];
            const bool there = run.all || run.present[places[i].at * height + r] != 0;
            present[tick / 64] |= std::uint64_t{there} << tick % 64;
          }
        }
      }
      builder_.add(key, values, present);
    }
    if (!builder_.empty()) pages.push_back({kpi, builder_.finish()});
  }
  return pages;
}

Result<std::string> join(const std::vector<PagePart>& parts, std::int64_t unit, std::size_t values_max) {
  struct Stretch {
    const Page* page = nullptr;
    const PageEntry* entry = nullptr;
    std::uint32_t begin = 0;
  };
  std::map<SeriesKey, std::vector<Stretch>> series;
  std::uint32_t ticks = 0;
  std::size_t values_count = 0;
  for (const PagePart& part : parts) {
    if (part.page != nullptr) {
      if (part.page->ticks() != part.ticks) return Error{ErrorCode::kCorrupt, "a page has other ticks than its window"};
      for (const PageEntry& entry : part.page->entries()) {
        series[entry.key].push_back({part.page, &entry, ticks});
        values_count += entry.count;
      }
    }
    ticks += part.ticks;
  }
  if (ticks > kPageTicksMax) return Error{ErrorCode::kCorrupt, "together they have more ticks than a page"};
  if (values_count > values_max) return Error{ErrorCode::kCorrupt, "together they have too many values"};
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
  std::string page = builder.finish();
  if (!can_be_read(page)) return Error{ErrorCode::kCorrupt, "together they are too large for a page"};
  return page;
}

}  // namespace proteus::store
