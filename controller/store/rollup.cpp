#include "controller/store/rollup.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include "common/log.h"
#include "controller/store/bytes.h"
#include "controller/store/page.h"
#include "controller/store/page_scan.h"

namespace proteus::store {
namespace {

using keys::Figure;
using keys::Level;

std::int64_t value_of(const StepFigures& figures, Figure figure) {
  switch (figure) {
    case Figure::kSum: return static_cast<std::int64_t>(figures.sum);
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

/// The page of one figure of the series in [begin, end); empty if nothing was measured.
std::string build_page(Rolled::const_iterator begin, Rolled::const_iterator end, std::size_t steps, const KpiInfo& kpi,
                       Figure figure) {
  const bool in_quanta = figure == Figure::kSum || (kpi.kind == KpiKind::kGauge && figure != Figure::kWeight);
  PageBuilder builder(static_cast<std::uint32_t>(steps), in_quanta ? kpi.quantum : 1);
  std::vector<std::int64_t> values(steps);
  for (auto series = begin; series != end; ++series) {
    PresenceWords present(1);
    for (std::size_t step = 0; step < steps; ++step) {
      const StepFigures& one = series->second[step];
      if (one.weight == 0) continue;
      if (figure == Figure::kSum && (one.overflow || one.sum != static_cast<std::int64_t>(one.sum))) continue;
      values[step] = value_of(one, figure);
      present[0] |= std::uint64_t{1} << step;
    }
    builder.add(series->first, values, present);
  }
  return builder.empty() ? std::string() : builder.finish();
}

/// The pages of all figures of a KPI. whole: these are all of its series, and few.
void put_pages(const Rolled& rolled, Level level, const KpiInfo& kpi, const HostId& host, std::int64_t from_us,
               bool whole, RocksDb::Batch& batch) {
  const std::size_t steps = level == Level::kMinute ? 60 : 1;
  for (auto begin = rolled.begin(); begin != rolled.end();) {
    const std::uint32_t block = keys::rollup_block(begin->first.entity);
    const std::uint32_t last = block * keys::kRollupEntities + (keys::kRollupEntities - 1);
    const auto end = whole ? rolled.end() : rolled.upper_bound({last, 0xff});
    for (const Figure figure : figures_of_kind(kpi.kind)) {
      std::string page = build_page(begin, end, steps, kpi, figure);
      if (page.empty()) continue;
      const keys::RollupSeries series{level, static_cast<std::uint16_t>(kpi.kpi), figure, host};
      batch.put(Family::kRollup,
                whole ? keys::whole_rollup_key(series, from_us) : keys::rollup_key(series, block, from_us),
                std::move(page));
    }
    begin = end;
  }
}

bool has_expired(const RocksDb& db, Level level, std::int64_t hour_us) {
  const auto expiry = db.expiry();
  return !(level == Level::kMinute ? expiry->minutes : expiry->hours).holds(hour_us);
}

std::uint64_t bytes_of(const RolledSeries& series) {
  return sizeof(RolledSeries) + series.steps.size() * sizeof(StepFigures);
}

std::uint64_t bytes_of(const std::vector<RolledSeries>& hour) {
  std::uint64_t bytes = 0;
  for (const RolledSeries& series : hour) bytes += bytes_of(series);
  return bytes;
}

/// Gathers the pages of read_rollups().
class RollupReader {
 public:
  RollupReader(const RollupRange& range, const std::vector<Figure>& figures, const std::vector<std::uint32_t>& entities,
               Allowance::Share& share)
      : range_(range),
        share_(share),
        sums_(figures.front() == Figure::kSum),
        weighs_(sums_ && std::find(figures.begin(), figures.end(), Figure::kWeight) != figures.end()),
        entities_(entities) {}

  /// A page of one figure: what it has of the entities in [begin, end) of the list.
  Status take(std::string_view bytes, std::int64_t hour_us, Figure figure, std::size_t begin, std::size_t end) {
    if (Status wanted = share_.go_on(); !wanted) return wanted;
    const auto page = Page::open(bytes);
    if (!page) return with_context(page.error(), "roll-up of " + range_.host.value);
    const std::size_t steps = range_.level == Level::kMinute ? 60 : 1;
    if (page->ticks() != steps) return Error{ErrorCode::kCorrupt, "a roll-up has the wrong number of steps"};
    std::vector<RolledSeries>& rolled = hours_[hour_us];
    for (std::size_t i = begin; i < end; ++i) {
      for (const PageEntry& entry : page->of_entity(entities_[i])) {
        if (const Status taken = take(*page, entry, figure, steps, rolled); !taken) return taken;
      }
    }
    return {};
  }
  /// Errors: kCorrupt if an hour that has not expired has sums without weights.
  Result<RolledHours> take_hours(const RocksDb& db) {
    for (auto hour = hours_.begin(); hour != hours_.end();) {
      const bool whole = std::all_of(hour->second.begin(), hour->second.end(), [](const RolledSeries& series) {
        return std::none_of(series.steps.begin(), series.steps.end(),
                            [](const StepFigures& one) { return one.weight == kUnweighed; });
      });
      if (!whole && !has_expired(db, range_.level, hour->first)) {
        return Error{ErrorCode::kCorrupt,
                     fmt::format("roll-up of {} at {} us: its weights are missing", range_.host.value, hour->first)};
      }
      if (!whole) share_.release(bytes_of(hour->second));
      hour = whole ? std::next(hour) : hours_.erase(hour);
    }
    return std::move(hours_);
  }
  bool holds(std::int64_t hour_us) const { return hours_.contains(hour_us); }

 private:
  Status take(const Page& page, const PageEntry& entry, Figure figure, std::size_t steps,
              std::vector<RolledSeries>& rolled) {
    if (const Status decoded = page.decode(entry, values_); !decoded) return decoded;
    if (const Status placed = page.ticks_of(entry, at_); !placed) return placed;
    auto series = std::lower_bound(rolled.begin(), rolled.end(), entry.key,
                                   [](const RolledSeries& s, const SeriesKey& key) { return s.key < key; });
    if (series == rolled.end() || series->key != entry.key) {
      series = rolled.insert(series, {entry.key, std::vector<StepFigures>(steps)});
      if (Status held = share_.hold(bytes_of(*series)); !held) return held;
    }
    for (std::size_t i = 0; i < at_.size(); ++i) {
      StepFigures& one = series->steps[at_[i]];
      // A sum that did not fit is absent, though its weight is there.
      if (figure == Figure::kWeight && one.weight == 0 && sums_) one.overflow = true;
      set_value(one, figure, values_[i]);
      if (one.weight == 0) one.weight = weighs_ ? kUnweighed : 1;  // measured
    }
    return {};
  }

  const RollupRange& range_;
  Allowance::Share& share_;
  static constexpr std::int64_t kUnweighed = -1;  // measured, and its weight is read after this

  const bool sums_;    // kSum is read, in front of the others
  const bool weighs_;  // and kWeight after it
  const std::vector<std::uint32_t>& entities_;
  RolledHours hours_;
  std::vector<std::int64_t> values_;
  std::vector<std::uint32_t> at_;
};

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

namespace {

constexpr std::size_t kBatchBytes = 8u << 20;

std::uint32_t first_entity(std::uint32_t block) {
  return block * keys::kRollupEntities;
}

/// Takes back what was made of an hour's first blocks.
void erase_blocks(std::uint32_t blocks, const KpiInfo& kpi, const HostId& host, std::int64_t from_us,
                  RocksDb::Batch& batch) {
  for (const Level level : {Level::kMinute, Level::kHour}) {
    for (const Figure figure : figures_of_kind(kpi.kind)) {
      const keys::RollupSeries series{level, static_cast<std::uint16_t>(kpi.kpi), figure, host};
      for (std::uint32_t block = 0; block < blocks; ++block) {
        batch.erase(Family::kRollup, keys::rollup_key(series, block, from_us));
      }
    }
  }
}

/// Whether anything of the hour is rolled up already.
Result<bool> is_rolled_up(const RocksDb& db, const KpiInfo& kpi, const HostId& host, std::int64_t hour_us) {
  constexpr std::size_t kBlockBytes = sizeof(std::uint32_t);
  const keys::RollupSeries series{Level::kHour, static_cast<std::uint16_t>(kpi.kpi), figures_of_kind(kpi.kind).front(),
                                  host};
  const std::string whole_key = keys::whole_rollup_key(series, hour_us);
  const auto whole = db.get(Family::kRollup, whole_key);
  if (!whole) return whole.error();
  if (*whole) return true;
  const std::string prefix = whole_key.substr(0, whole_key.size() - sizeof(std::int64_t));
  RocksDb::Cursor cursor = db.cursor(Family::kRollup);
  for (std::uint32_t block = 0;;) {
    const std::string key = keys::rollup_key(series, block, hour_us);
    cursor.seek(key);
    // Those of all entities lie behind the blocks.
    if (!cursor.valid() || !cursor.key().starts_with(prefix) || cursor.key().size() != key.size()) break;
    if (cursor.key() == key) return true;
    ByteReader found(cursor.key().substr(prefix.size(), kBlockBytes));
    const auto next = found.integer<std::uint32_t>();
    block = next > block ? next : block + 1;
  }
  if (const Status status = cursor.status(); !status) return status.error();
  return false;
}

/// The series of one KPI of one hour, so many blocks of them at a time as fit into memory.
class HourOfKpi {
 public:
  HourOfKpi(const RocksDb& db, const ClockRuns& runs, const KpiInfo& kpi, const HostId& host, const StepGrid& grid,
            Expired expired, std::size_t held_bytes_max)
      : expired_(expired),
        db_(db),
        runs_(runs),
        kpi_(kpi),
        host_(host),
        grid_(grid),
        held_bytes_max_(held_bytes_max),
        ranked_(kpi.kind != KpiKind::kHistogram) {}

  /// The next ones. Errors: kCorrupt.
  Status collect() {
    begin_ = end_.value_or(0);
    end_.reset();
    series_.clear();
    held_bytes_ = 0;
    const std::int64_t begin_us = grid_.from_us - kGapUs;  // a counter's first increase of the hour begins before it
    return scan_pages(
        db_, nullptr, static_cast<std::uint16_t>(kpi_.kpi), host_, begin_us, grid_.to_us, runs_,
        [&](const ScannedPage& scanned) { return take(scanned); }, expired_);
  }
  bool has_more() const { return end_.has_value(); }
  /// Behind the last of what was made before.
  std::uint32_t blocks_made() const { return begin_; }
  bool is_whole() const { return begin_ == 0 && !end_ && series_.size() <= keys::kRollupWholeSeries; }

  struct Figures {
    Rolled minutes;
    Rolled hours;
  };
  Figures finish() {
    Figures figures;
    for (auto& [key, collector] : series_) {
      figures.minutes[key] = collector.finish();
      figures.hours[key] = {collector.whole()};
    }
    series_.clear();
    return figures;
  }

 private:
  Status take(const ScannedPage& scanned) {
    StepTicks ticks(grid_, grid_.from_us, grid_.to_us, scanned.times_us, scanned.run);
    ticks.complete = grid_.complete_at(scanned.later_us);
    for (const PageEntry& entry : scanned.page.entries()) {
      const std::uint32_t block = keys::rollup_block(entry.key.entity);
      if (block < begin_) continue;
      if (end_ && block >= *end_) break;
      const bool by_ends = !ranked_ && kpi_.kind != KpiKind::kGauge && entry.only_grows();
      const Status decoded =
          by_ends ? scanned.page.decode_at(entry, ticks.ends, values_) : scanned.page.decode(entry, values_);
      if (!decoded) return decoded;
      at_.clear();
      if (entry.presence != Presence::kAll) {
        if (const Status placed = scanned.page.ticks_of(entry, at_); !placed) return placed;
      }
      const auto [series, is_new] = series_.try_emplace(
          entry.key, kpi_.kind, StepWants{.extremes = ranked_, .p95 = ranked_, .whole = ranked_}, grid_);
      if (by_ends) {
        series->second.add_ends(ticks, values_);
      } else {
        series->second.add(ticks, values_, at_);
      }
      if (is_new) held_bytes_ += sizeof(StepCollector) + series->second.bytes();
      if (ranked_) held_bytes_ += values_.size() * sizeof(std::int64_t);
      if (held_bytes_ > held_bytes_max_) drop_some();
    }
    return {};
  }

  /// The upper half of the blocks: they are the next ones.
  void drop_some() {
    const std::uint32_t first = keys::rollup_block(series_.begin()->first.entity);
    const std::uint32_t last = keys::rollup_block(series_.rbegin()->first.entity);
    if (first == last) return;
    end_ = first + (last - first + 1) / 2;
    series_.erase(series_.lower_bound({first_entity(*end_), 0}), series_.end());
    held_bytes_ = 0;
    for (const auto& [key, collector] : series_) held_bytes_ += sizeof(StepCollector) + collector.bytes();
  }

  const Expired expired_;
  const RocksDb& db_;
  const ClockRuns& runs_;
  const KpiInfo& kpi_;
  const HostId& host_;
  const StepGrid& grid_;
  const std::size_t held_bytes_max_;
  const bool ranked_;
  std::uint32_t begin_ = 0;  // block
  std::optional<std::uint32_t> end_;
  std::map<SeriesKey, StepCollector> series_;
  std::size_t held_bytes_ = 0;
  std::vector<std::int64_t> values_;
  std::vector<std::uint32_t> at_;
};

}  // namespace

Status roll_up(RocksDb& db, const HostId& host, std::int64_t hour, RocksDb::Batch& batch, std::size_t held_bytes_max) {
  const std::int64_t from_us = hour * kHourUs;
  const StepGrid grid{from_us, from_us + kHourUs, kMinuteUs};
  const auto runs = ClockRuns::read(db, nullptr, host, grid.from_us - kGapUs, grid.to_us);
  if (!runs) return runs.error();
  for (const KpiInfo& kpi : kpi_table()) {
    // What came when it had passed its retention is in no page that is read, but roll-ups are kept for longer. Where
    // there is one, it is of more than what is left.
    Expired expired = Expired::kVisited;
    if (grid.from_us - kGapUs < db.expiry()->pages.from_us) {
      const auto rolled_up = is_rolled_up(db, kpi, host, from_us);
      if (!rolled_up) return rolled_up.error();
      if (*rolled_up) expired = Expired::kHidden;
    }
    HourOfKpi series(db, *runs, kpi, host, grid, expired, held_bytes_max);
    do {
      const Status collected = series.collect();
      if (!collected && collected.error().code == ErrorCode::kCorrupt) {
        // The others are not to go with it, whose pages are read in place of roll-ups and tell.
        log::error("an hour of {} of {} is not rolled up: {}", kpi.name, host.value, collected.error().message);
        erase_blocks(series.blocks_made(), kpi, host, from_us, batch);
        break;
      }
      if (!collected) return collected;
      const bool whole = series.is_whole();
      const HourOfKpi::Figures figures = series.finish();
      put_pages(figures.minutes, Level::kMinute, kpi, host, from_us, whole, batch);
      put_pages(figures.hours, Level::kHour, kpi, host, from_us, whole, batch);
      // The hour is to be rolled up until all of it is there, and nobody reads of its roll-ups before.
      if (batch.bytes() > kBatchBytes) {
        if (const Status written = db.write(std::exchange(batch, {}), RocksDb::Sync::kLater); !written) return written;
      }
    } while (series.has_more());
  }
  return {};
}

std::uint64_t bytes_of(const RolledHours& hours) {
  std::uint64_t bytes = 0;
  for (const auto& [hour_us, hour] : hours) bytes += bytes_of(hour);
  return bytes;
}

Result<RolledHours> read_rollups(const RocksDb& db, const RocksDb::View* view, const RollupRange& range,
                                 const std::vector<Figure>& figures, const std::vector<std::uint32_t>& entities,
                                 Allowance::Share& share) {
  RollupReader reader(range, figures, entities, share);
  RocksDb::Cursor cursor = db.cursor(Family::kRollup, view);
  for (const Figure figure : figures) {
    const keys::RollupSeries series{range.level, static_cast<std::uint16_t>(range.kpi), figure, range.host};
    for (std::size_t begin = 0; begin < entities.size();) {
      const std::uint32_t block = keys::rollup_block(entities[begin]);
      std::size_t end = begin;
      while (end < entities.size() && keys::rollup_block(entities[end]) == block) ++end;
      const std::string stop = keys::rollup_key(series, block, range.to_us);
      for (cursor.seek(keys::rollup_key(series, block, range.from_us)); cursor.valid() && cursor.key() < stop;
           cursor.next()) {
        const auto place = keys::parse_rollup_place(cursor.key());
        if (!place) return place.error();
        if (has_expired(db, range.level, place->time_us)) continue;
        if (const Status taken = reader.take(cursor.value(), place->time_us, figure, begin, end); !taken) {
          return taken.error();
        }
      }
      if (const Status read = cursor.status(); !read) return read.error();
      begin = end;
    }
  }
  // Hours that are in no blocks.
  for (std::int64_t hour_us = range.from_us; hour_us < range.to_us; hour_us += kHourUs) {
    if (reader.holds(hour_us) || has_expired(db, range.level, hour_us)) continue;
    for (const Figure figure : figures) {
      const keys::RollupSeries series{range.level, static_cast<std::uint16_t>(range.kpi), figure, range.host};
      const auto bytes = db.get(Family::kRollup, keys::whole_rollup_key(series, hour_us), view);
      if (!bytes) return bytes.error();
      if (!*bytes) break;
      if (const Status taken = reader.take(**bytes, hour_us, figure, 0, entities.size()); !taken) return taken.error();
    }
  }
  return reader.take_hours(db);
}

}  // namespace proteus::store
