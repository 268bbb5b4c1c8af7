#include "controller/store/series_reader.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <set>

#include "controller/store/page_scan.h"
#include "controller/store/series_keys.h"

namespace proteus::store {
namespace {

/// What a map takes for a series.
constexpr std::uint64_t kSeriesBytes = 128;

using Steps = std::map<SeriesKey, std::vector<StepFigures>>;

/// Of roll-ups: bounds what is held of them.
constexpr std::int64_t kRolledAtOnceUs = 24 * kHourUs;

std::int64_t floor_to(std::int64_t time, std::int64_t unit) {
  return time - ((time % unit) + unit) % unit;
}

/// The level whose windows make up the steps; nullopt: pages must be decoded.
std::optional<keys::Level> level_for(const StepGrid& grid, const std::vector<keys::Figure>& figures) {
  const bool ranked = std::find(figures.begin(), figures.end(), keys::Figure::kP95) != figures.end();
  for (const auto& [level, unit] : {std::pair(keys::Level::kHour, kHourUs), {keys::Level::kMinute, kMinuteUs}}) {
    if (floor_to(grid.from_us, unit) != grid.from_us || grid.step_us % unit != 0) continue;
    if (!ranked || grid.step_us == unit) return level;  // ranks of parts say nothing of the rank of the whole
  }
  return std::nullopt;
}

std::uint64_t bytes_of_steps(const StepGrid& grid) {
  return kSeriesBytes + grid.size() * sizeof(StepFigures);
}

/// Pages come in the order of their first ticks, and the head after them, wherever its clock stood.
std::int64_t least_time_us(const std::vector<HeadRow>& head) {
  std::int64_t least_us = std::numeric_limits<std::int64_t>::max();
  for (const HeadRow& row : head) least_us = std::min(least_us, to_us(row.frame.time));
  return least_us;
}

Status join_rolled(const std::vector<RolledSeries>& rolled, keys::Level level, std::int64_t hour_us,
                   const StepGrid& grid, Allowance::Share& share, Steps& steps) {
  const std::int64_t unit = level == keys::Level::kMinute ? kMinuteUs : kHourUs;
  for (const RolledSeries& series : rolled) {
    auto known = steps.find(series.key);
    if (known == steps.end()) {
      if (Status held = share.hold(bytes_of_steps(grid)); !held) return held;
      known = steps.try_emplace(series.key, grid.size()).first;
    }
    std::vector<StepFigures>& whole = known->second;
    for (std::size_t i = 0; i < series.steps.size(); ++i) {
      const std::int64_t time = hour_us + static_cast<std::int64_t>(i) * unit;
      if (grid.holds(time)) whole[grid.step_of(time)].join(series.steps[i]);
    }
  }
  return {};
}

StepWants wants_of(const std::vector<keys::Figure>& figures) {
  const auto wants = [&](keys::Figure figure) {
    return std::find(figures.begin(), figures.end(), figure) != figures.end();
  };
  return {.extremes = wants(keys::Figure::kMin) || wants(keys::Figure::kMax), .p95 = wants(keys::Figure::kP95)};
}

/// What Taker::begin() gives.
std::span<const std::uint32_t> enough_of(const StepTicks& ticks, KpiKind kind, const StepWants& wants) {
  if (kind == KpiKind::kGauge || wants.extremes || wants.p95) return {};
  return ticks.ends;
}

std::vector<std::uint32_t> numbers_of(const SelectedEntities& entities) {
  std::vector<std::uint32_t> numbers;
  for (const auto& [number, entity] : entities) numbers.push_back(number);
  return numbers;
}

/// Rows that share a catalog, as a page would hold one of their columns. `enter` is given the number of the first row
/// behind them and their times; then `take` what each series has.
Status take_head(const std::vector<HeadRow>& rows, Kpi kpi, const SelectedEntities& entities,
                 const std::function<void(std::size_t, const std::vector<std::int64_t>&)>& enter,
                 const std::function<Status(const SeriesKey&, std::span<const std::int64_t>,
                                            std::span<const std::uint32_t>)>& take) {
  std::vector<std::int64_t> times_us;
  std::vector<std::int64_t> values;
  std::vector<std::uint32_t> at;
  for (std::size_t begin = 0; begin < rows.size();) {
    std::size_t end = begin;
    times_us.clear();
    for (; end < rows.size() && rows[end].catalog == rows[begin].catalog; ++end) {
      times_us.push_back(to_us(rows[end].frame.time));
    }
    enter(end, times_us);
    for (const PlacedCatalog::Column& column : rows[begin].catalog->columns) {
      if (column.kpi != static_cast<std::uint16_t>(kpi) || !entities.contains(column.key.entity)) continue;
      values.clear();
      at.clear();
      for (std::size_t i = begin; i < end; ++i) {
        if (rows[i].frame.present[column.at] == 0) continue;
        values.push_back(rows[i].frame.values[column.at]);
        at.push_back(static_cast<std::uint32_t>(i - begin));
      }
      if (values.empty()) continue;
      if (const Status taken = take(column.key, values, at); !taken) return taken;
    }
    begin = end;
  }
  return {};
}

}  // namespace

/// Without the rows that the view has in pages.
Result<std::vector<HeadRow>> SeriesReader::head_beside(const RocksDb::View& view, const HostId& host,
                                                       std::vector<HeadRow> rows) const {
  const auto value = db_.get(Family::kMeta, keys::progress_key(host), &view);
  if (!value) return value.error();
  if (!*value) return rows;
  const auto progress = keys::parse_progress(**value);
  if (!progress) return progress.error();
  std::erase_if(rows, [&](const HeadRow& row) { return row.lsn < progress->next_lsn; });
  return rows;
}

Status SeriesReader::read_range(const RocksDb::View& view, Kpi kpi, const HostId& host,
                                const SelectedEntities& entities, const std::vector<HeadRow>& head,
                                std::int64_t from_us, std::int64_t to_us, Allowance::Share& share,
                                const Taker& taker) const {
  std::vector<std::int64_t> values;
  std::vector<std::uint32_t> at;
  const std::vector<std::uint32_t> numbers = numbers_of(entities);  // read for each page: a map is slow at that
  const auto runs = ClockRuns::read(db_, &view, host, from_us, to_us);
  if (!runs) return runs.error();
  const auto visit = [&](const ScannedPage& scanned) -> Status {
    if (Status wanted = share.go_on(); !wanted) return wanted;
    const Page& page = scanned.page;
    const Window window{scanned.times_us, scanned.later_us, scanned.run};
    const std::span<const std::uint32_t> ends = taker.begin ? taker.begin(window) : std::span<const std::uint32_t>();
    const auto take_entry = [&](const PageEntry& entry) -> Status {
      const bool at_ends = !ends.empty() && entry.only_grows();
      const Status decoded = at_ends ? page.decode_at(entry, ends, values) : page.decode(entry, values);
      if (!decoded) return decoded;
      at.clear();
      if (entry.presence != Presence::kAll) {
        if (const Status placed = page.ticks_of(entry, at); !placed) return placed;
      }
      return taker.take({entry.key, window, values, at, at_ends});
    };
    if (numbers.size() * 4 < page.entries().size()) {
      for (const std::uint32_t number : numbers) {
        for (const PageEntry& entry : page.of_entity(number)) {
          if (const Status taken = take_entry(entry); !taken) return taken;
        }
      }
      return {};
    }
    auto number = numbers.begin();  // both ascend
    for (const PageEntry& entry : page.entries()) {
      while (number != numbers.end() && *number < entry.key.entity) ++number;
      if (number == numbers.end()) break;
      if (*number != entry.key.entity) continue;
      if (const Status taken = take_entry(entry); !taken) return taken;
    }
    return {};
  };
  const Status scanned = scan_pages(db_, &view, static_cast<std::uint16_t>(kpi), host, from_us, to_us, *runs, visit);
  if (!scanned) return scanned;
  std::vector<HeadRow> rows;
  for (const HeadRow& row : head) {
    const std::int64_t time = store::to_us(row.frame.time);
    if (time >= from_us && time < to_us) rows.push_back(row);
  }
  const std::uint32_t head_run = rows.empty() ? 0 : runs->behind(store::to_us(rows.front().frame.time));
  std::vector<std::int64_t> later_us(rows.size() + 1,
                                     std::numeric_limits<std::int64_t>::max());  // of rows from each on
  for (std::size_t i = rows.size(); i > 0; --i) {
    later_us[i - 1] = std::min(later_us[i], store::to_us(rows[i - 1].frame.time));
  }
  std::optional<Window> window;
  return take_head(
      rows, kpi, entities,
      [&](std::size_t end, const std::vector<std::int64_t>& times_us) {
        window.emplace(Window{times_us, later_us[end], head_run});
        if (taker.begin) taker.begin(*window);
      },
      [&](const SeriesKey& key, std::span<const std::int64_t> head_values, std::span<const std::uint32_t> head_at) {
        return taker.take({key, *window, head_values, head_at, false});
      });
}

void SeriesReader::add(const StepTicks& ticks, const Piece& piece, StepCollector& collector) {
  if (piece.at_ends) {
    collector.add_ends(ticks, piece.values);
  } else {
    collector.add(ticks, piece.values, piece.at);
  }
}

Status SeriesReader::read_parts(const SeriesSelector& selector, Allowance& allowance, const ReadPart& read) const {
  for (const HostId& host : selection_.hosts(selector)) {
    if (Status wanted = allowance.go_on(); !wanted) return wanted;
    std::size_t at_once = std::numeric_limits<std::size_t>::max();
    SelectedEntities left = selection_.entities(host, selector);
    while (!left.empty()) {
      SelectedEntities some = take_some(left, at_once);
      const Result<PartRead> part = read(host, some);
      if (!part) return part.error();
      if (*part == PartRead::kEnded) return {};
      if (*part == PartRead::kDone) continue;
      at_once = some.size() / 2;
      left.merge(some);
    }
  }
  return {};
}

Result<Steps> SeriesReader::host_steps(const Asked& asked, const HostId& host, const SelectedEntities& entities,
                                       Allowance::Share& share) const {
  const StepGrid& grid = asked.grid;
  const KpiKind kind = info(asked.kpi).kind;
  const StepWants step_wants = wants_of(asked.figures);
  // The head before the view, so that no row falls between them.
  std::vector<HeadRow> rows = pages_.head(host, grid.from_us - kGapUs, grid.to_us);
  const std::vector<std::int64_t> dirty = pages_.dirty_hours(host);
  const RocksDb::View view(db_);
  const auto head = head_beside(view, host, std::move(rows));
  if (!head) return head.error();
  const std::int64_t head_us = least_time_us(*head);
  Steps steps;

  const auto decode = [&](std::int64_t from_us, std::int64_t to_us) -> Status {
    std::map<SeriesKey, StepCollector> collectors;
    std::optional<StepTicks> ticks;  // of the window under way
    Taker taker;
    taker.begin = [&](const Window& window) {
      ticks.emplace(grid, from_us, to_us, window.times_us, window.run);
      ticks->complete = grid.complete_at(std::min(window.later_us, head_us));
      return enough_of(*ticks, kind, step_wants);
    };
    taker.take = [&](const Piece& piece) -> Status {
      auto known = collectors.find(piece.key);
      if (known == collectors.end()) {
        if (Status held = share.hold(bytes_of_steps(grid)); !held) return held;
        known = collectors.try_emplace(piece.key, kind, step_wants, grid).first;
      }
      StepCollector& collector = known->second;
      const std::size_t before = collector.bytes();
      add(*ticks, piece, collector);
      return share.resize(before, collector.bytes());
    };
    const Status read = read_range(view, asked.kpi, host, entities, *head, from_us - kGapUs, to_us, share, taker);
    if (!read) return read;
    for (auto& [key, collector] : collectors) {
      share.release(collector.bytes() - grid.size() * sizeof(StepFigures));
      std::vector<StepFigures> part = collector.take();
      const auto [whole, is_new] = steps.try_emplace(key);
      if (is_new) {
        whole->second = std::move(part);
        continue;
      }
      for (std::size_t i = 0; i < part.size(); ++i) whole->second[i].join(part[i]);
      share.release(bytes_of_steps(grid));
    }
    return {};
  };

  const auto level = level_for(grid, asked.figures);
  std::int64_t undone_us = grid.from_us;  // everything in front of it is in `steps`
  if (level) {
    const std::vector<std::uint32_t> numbers = numbers_of(entities);
    for (std::int64_t from_us = floor_to(grid.from_us, kHourUs); from_us < grid.to_us; from_us += kRolledAtOnceUs) {
      const RollupRange range{*level, asked.kpi, host, from_us, std::min(from_us + kRolledAtOnceUs, grid.to_us)};
      const auto hours = read_rollups(db_, &view, range, asked.figures, numbers, share);
      if (!hours) return hours.error();
      for (const auto& [hour_us, rolled] : *hours) {
        if (std::binary_search(dirty.begin(), dirty.end(), hour_us / kHourUs)) continue;
        if (undone_us < hour_us) {
          if (const Status decoded = decode(undone_us, hour_us); !decoded) return decoded.error();
        }
        if (const Status held = join_rolled(rolled, *level, hour_us, grid, share, steps); !held) return held.error();
        undone_us = hour_us + kHourUs;
      }
      share.release(store::bytes_of(*hours));
    }
  }
  if (undone_us < grid.to_us) {
    if (const Status decoded = decode(undone_us, grid.to_us); !decoded) return decoded.error();
  }
  std::erase_if(steps, [](const auto& series) {
    return std::all_of(series.second.begin(), series.second.end(), [](const StepFigures& f) { return f.weight == 0; });
  });
  return steps;
}

Status SeriesReader::read_steps(const SeriesSelector& selector, const StepGrid& grid,
                                const std::vector<keys::Figure>& figures, Allowance& allowance,
                                const std::function<bool(HostSteps)>& visit) const {
  return read_parts(selector, allowance, [&](const HostId& host, const SelectedEntities& some) -> Result<PartRead> {
    // Whoever is given them needs memory, too.
    Allowance::Share share(allowance, some.size() > 1 ? allowance.left() / 2 : allowance.left());
    auto steps = host_steps({selector.kpi, grid, figures}, host, some, share);
    if (!steps && share.exceeded() && some.size() > 1) return PartRead::kTooMuch;
    if (!steps) return steps.error();
    return steps->empty() || visit({host, some, std::move(*steps)}) ? PartRead::kDone : PartRead::kEnded;
  });
}

Status SeriesReader::stream_host(const Asked& asked, const HostId& host, const SelectedEntities& entities,
                                 Allowance::Share& share, const std::function<bool(const Stretch&)>& visit) const {
  const StepGrid& grid = asked.grid;
  std::vector<HeadRow> rows = pages_.head(host, grid.from_us - kGapUs, grid.to_us);
  const RocksDb::View view(db_);
  const auto head = head_beside(view, host, std::move(rows));
  if (!head) return head.error();
  const std::int64_t head_us = least_time_us(*head);

  struct Stream {
    SeriesKey key;
    StepCollector collector;
    std::size_t number = 0;
    const SelectedEntity& entity;
  };
  std::vector<std::unique_ptr<Stream>> streams;  // by key
  std::size_t next = 0;            // in front of it are those of keys that the window under way has passed
  std::optional<StepTicks> ticks;  // of that window
  std::vector<StepFigures> room;   // for the collector that is fed
  std::size_t complete = 0;        // once the window under way is read
  const auto give_out = [&](Stream& stream, std::size_t end) {
    bool taken = true;
    stream.collector.give_out(end, [&](std::size_t first, std::span<const StepFigures> steps) {
      taken = visit({host, stream.entity, stream.key, stream.number, first, steps});
    });
    return taken;
  };
  const KpiKind kind = info(asked.kpi).kind;
  const StepWants step_wants = wants_of(asked.figures);
  Taker taker;
  taker.begin = [&](const Window& window) {
    ticks.emplace(grid, grid.from_us, grid.to_us, window.times_us, window.run);
    complete = std::max(complete, grid.complete_at(std::min(window.later_us, head_us)));
    ticks->complete = complete;
    next = 0;
    return enough_of(*ticks, kind, step_wants);
  };
  taker.take = [&](const Piece& piece) -> Status {
    while (next < streams.size() && streams[next]->key < piece.key) ++next;
    if (next == streams.size() || streams[next]->key != piece.key) {
      streams.insert(streams.begin() + static_cast<std::ptrdiff_t>(next),
                     std::make_unique<Stream>(Stream{piece.key, StepCollector(kind, step_wants), streams.size(),
                                                     entities.at(piece.key.entity)}));
      if (Status held = share.hold(sizeof(Stream) + kSeriesBytes); !held) return held;
    }
    Stream& stream = *streams[next++];
    const std::size_t before = stream.collector.bytes();
    stream.collector.enter(room);
    stream.collector.make_room(ticks->steps_end);
    add(*ticks, piece, stream.collector);
    // At once, while they are in the processor's cache.
    if (!give_out(stream, complete)) return share.too_much();
    stream.collector.leave(room);
    const std::size_t after = stream.collector.bytes();
    return after == before ? Status() : share.resize(before, after);
  };
  const Status read =
      read_range(view, asked.kpi, host, entities, *head, grid.from_us - kGapUs, grid.to_us, share, taker);
  if (!read) return read;
  for (const auto& stream : streams) {
    if (!give_out(*stream, grid.size())) return share.too_much();
  }
  return {};
}

/// From roll-ups: an entity is a part.
Status SeriesReader::stream_rolled(const SeriesSelector& selector, const StepGrid& grid,
                                   const std::vector<keys::Figure>& figures, Allowance& allowance,
                                   const Joiner& joiner) const {
  bool taken = true;
  const Status read = read_steps(selector, grid, figures, allowance, [&](const HostSteps& host) {
    std::size_t number = 0;
    for (auto series = host.series.begin(); series != host.series.end();) {
      const SeriesKey& key = series->first;
      taken = joiner.take({host.host, host.entities.at(key.entity), key, number++, 0, series->second});
      if (!taken) return false;
      if (++series != host.series.end() && series->first.entity == key.entity) continue;
      if (!joiner.end_part()) return false;
      number = 0;
    }
    return true;
  });
  return taken ? read : Status(allowance.too_much());
}

Status SeriesReader::stream_steps(const SeriesSelector& selector, const StepGrid& grid,
                                  const std::vector<keys::Figure>& figures, Allowance& allowance,
                                  const Joiner& joiner) const {
  if (level_for(grid, figures)) return stream_rolled(selector, grid, figures, allowance, joiner);
  return read_parts(selector, allowance, [&](const HostId& host, const SelectedEntities& some) -> Result<PartRead> {
    Allowance::Share share(allowance, allowance.left());
    const Status read = stream_host({selector.kpi, grid, figures}, host, some, share, joiner.take);
    if (!read && share.exceeded() && some.size() > 1 && joiner.drop_part) {
      joiner.drop_part();
      return PartRead::kTooMuch;
    }
    if (!read) return read.error();
    return joiner.end_part() ? PartRead::kDone : PartRead::kEnded;
  });
}

}  // namespace proteus::store
