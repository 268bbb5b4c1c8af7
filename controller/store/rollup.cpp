#include "controller/store/rollup.h"

#include <algorithm>
#include <map>
#include <optional>

#include "controller/store/page.h"
#include "controller/store/page_scan.h"

namespace proteus::store {
namespace {

using keys::Figure;
using keys::Level;

std::int64_t value_of(const StepFigures& figures, Figure figure) {
  switch (figure) {
    case Figure::kSum: return figures.sum;
    case Figure::kWeight: return figures.weight;
    case Figure::kMin: return figures.min;
    case Figure::kMax: return figures.max;
    case Figure::kLast: return figures.last;
    case Figure::kP95: return figures.p95;
  }
  return 0;
}

void set_value(StepFigures& figures, Figure figure, std::int64_t value) {
  switch (figure) {
    case Figure::kSum: figures.sum = value; break;
    case Figure::kWeight: figures.weight = value; break;
    case Figure::kMin: figures.min = value; break;
    case Figure::kMax: figures.max = value; break;
    case Figure::kLast: figures.last = value; break;
    case Figure::kP95: figures.p95 = value; break;
  }
}

using Rolled = std::map<SeriesKey, std::vector<StepFigures>>;

/// The page of one figure; empty if nothing was measured.
std::string build_page(const Rolled& rolled, std::size_t steps, const KpiInfo& kpi, Figure figure) {
  const bool in_quanta = figure == Figure::kSum || (kpi.kind == KpiKind::kGauge && figure != Figure::kWeight);
  PageBuilder builder(static_cast<std::uint32_t>(steps), in_quanta ? kpi.quantum : 1);
  std::vector<std::int64_t> values(steps);
  for (const auto& [key, figures] : rolled) {
    PresenceWords present(1);
    for (std::size_t step = 0; step < steps; ++step) {
      const StepFigures& one = figures[step];
      if (one.weight == 0 || (one.overflow && figure == Figure::kSum)) continue;
      values[step] = value_of(one, figure);
      present[0] |= std::uint64_t{1} << step;
    }
    builder.add(key, values, present);
  }
  return builder.empty() ? std::string() : builder.finish();
}

}  // namespace

std::vector<Figure> figures_of_kind(KpiKind kind) {
  switch (kind) {
    case KpiKind::kGauge:
      return {Figure::kSum, Figure::kWeight, Figure::kMin, Figure::kMax, Figure::kLast, Figure::kP95};
    case KpiKind::kCounter: return {Figure::kSum, Figure::kWeight, Figure::kMin, Figure::kMax, Figure::kP95};
    case KpiKind::kHistogram: return {Figure::kSum, Figure::kWeight};
  }
  return {};
}

Status roll_up(const RocksDb& db, const HostId& host, std::int64_t hour, RocksDb::Batch& batch) {
  const std::int64_t from_us = hour * kHourUs;
  const StepGrid grid{from_us, from_us + kHourUs, kMinuteUs};
  std::vector<std::int64_t> values;
  std::vector<std::uint32_t> at;
  for (const KpiInfo& kpi : kpi_table()) {
    const bool ranked = kpi.kind != KpiKind::kHistogram;
    const StepWants wants{.extremes = ranked, .p95 = ranked, .whole = ranked};
    std::map<SeriesKey, StepCollector> series;
    const auto take = [&](const Page& page, const std::vector<std::int64_t>& times_us, std::int64_t) -> Status {
      const StepTicks ticks(grid, grid.from_us, grid.to_us, times_us);
      for (const PageEntry& entry : page.entries()) {
        if (const Status decoded = page.decode(entry, values); !decoded) return decoded;
        at.clear();
        if (entry.presence != Presence::kAll) {
          if (const Status placed = page.ticks_of(entry, at); !placed) return placed;
        }
        series.try_emplace(entry.key, kpi.kind, wants, grid).first->second.add(ticks, values, at, entry.monotone);
      }
      return {};
    };
    // A counter's first increase of the hour begins before it.
    const Status scanned =
        scan_pages(db, nullptr, static_cast<std::uint16_t>(kpi.kpi), host, grid.from_us - kGapUs, grid.to_us, take);
    if (!scanned) return scanned;
    Rolled minutes;
    Rolled hours;
    for (auto& [key, collector] : series) {
      minutes[key] = collector.finish();
      hours[key] = {collector.whole()};
    }
    for (const Figure figure : figures_of_kind(kpi.kind)) {
      for (const auto& [level, rolled] : {std::pair(Level::kMinute, &minutes), {Level::kHour, &hours}}) {
        const std::string page = build_page(*rolled, level == Level::kMinute ? 60 : 1, kpi, figure);
        if (page.empty()) continue;
        batch.put(Family::kRollup, keys::rollup_key(level, static_cast<std::uint16_t>(kpi.kpi), figure, host, from_us),
                  page);
      }
    }
  }
  return {};
}

Result<std::optional<std::vector<RolledSeries>>> read_rollup(const RocksDb& db, const RocksDb::View* view, Level level,
                                                             Kpi kpi, const HostId& host, std::int64_t hour_us,
                                                             const std::vector<Figure>& figures,
                                                             const std::vector<std::uint32_t>& entities) {
  using Answer = std::optional<std::vector<RolledSeries>>;
  std::vector<RolledSeries> rolled;
  std::vector<std::int64_t> values;
  std::vector<std::uint32_t> at;
  for (const Figure figure : figures) {
    const auto bytes =
        db.get(Family::kRollup, keys::rollup_key(level, static_cast<std::uint16_t>(kpi), figure, host, hour_us), view);
    if (!bytes) return bytes.error();
    if (!*bytes) return Answer();
    const auto page = Page::open(**bytes);
    if (!page) return with_context(page.error(), "roll-up of " + host.value);
    const std::size_t steps = level == Level::kMinute ? 60 : 1;
    if (page->ticks() != steps) return Error{ErrorCode::kCorrupt, "a roll-up has the wrong number of steps"};
    const auto take = [&](const PageEntry& entry) -> Status {
      if (const Status decoded = page->decode(entry, values); !decoded) return decoded;
      if (const Status placed = page->ticks_of(entry, at); !placed) return placed;
      auto series = std::lower_bound(rolled.begin(), rolled.end(), entry.key,
                                     [](const RolledSeries& s, const SeriesKey& key) { return s.key < key; });
      if (series == rolled.end() || series->key != entry.key) {
        series = rolled.insert(series, {entry.key, std::vector<StepFigures>(steps)});
      }
      for (std::size_t i = 0; i < at.size(); ++i) {
        StepFigures& one = series->steps[at[i]];
        // A sum that did not fit is absent, though its weight is there.
        if (figure == Figure::kWeight && one.weight == 0 && figures.front() == Figure::kSum) one.overflow = true;
        set_value(one, figure, values[i]);
        if (one.weight == 0) one.weight = 1;  // measured
      }
      return {};
    };
    if (entities.empty()) {
      for (const PageEntry& entry : page->entries()) {
        if (const Status taken = take(entry); !taken) return taken.error();
      }
    }
    for (const std::uint32_t entity : entities) {
      for (const PageEntry& entry : page->of_entity(entity)) {
        if (const Status taken = take(entry); !taken) return taken.error();
      }
    }
  }
  return Answer(std::move(rolled));
}

}  // namespace proteus::store
