#include "controller/store/page_scan.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

namespace proteus::store {
namespace {

Error with_place(Error error, std::uint16_t kpi, const HostId& host, const keys::PagePlace& place) {
  return with_context(std::move(error), fmt::format("page of KPI {} of {} at {} us", kpi, host.value, place.time_us));
}

/// The times of a window's ticks. Errors: kCorrupt.
Status read_ticks(const RocksDb& db, const RocksDb::View* view, const HostId& host, const keys::PagePlace& place,
                  std::vector<std::int64_t>& times_us) {
  const auto page = read_page(db, view, keys::kTicksKpi, host, place);
  if (!page) return page.error();
  if (!*page || (*page)->entries().size() != 1 || (*page)->entries()[0].count != (*page)->ticks()) {
    return with_place({ErrorCode::kCorrupt, "its ticks are missing"}, keys::kTicksKpi, host, place);
  }
  return (*page)->decode((*page)->entries()[0], times_us);
}

}  // namespace

Result<std::optional<Page>> read_page(const RocksDb& db, const RocksDb::View* view, std::uint16_t kpi,
                                      const HostId& host, const keys::PagePlace& place) {
  const auto value = db.get(Family::kPage, keys::page_key(kpi, host, place), view);
  if (!value) return value.error();
  if (!*value) return std::optional<Page>();
  auto page = Page::open(**value);
  if (!page) return with_place(page.error(), kpi, host, place);
  return std::optional<Page>(std::move(*page));
}

Result<ClockRuns> ClockRuns::read(const RocksDb& db, const RocksDb::View* view, const HostId& host,
                                  std::int64_t from_us, std::int64_t to_us) {
  std::vector<keys::PagePlace> places;
  const std::string prefix = keys::page_prefix(keys::kTicksKpi, host);
  // Beyond the range too: between two of its pages the clock may have been elsewhere.
  const std::string end = keys::page_key(keys::kTicksKpi, host, {to_us + kExcursionMaxUs, 0});
  RocksDb::Cursor cursor = db.cursor(Family::kPage, view);
  for (cursor.seek(keys::page_key(keys::kTicksKpi, host, {from_us - kExcursionMaxUs, 0}));
       cursor.valid() && cursor.key().starts_with(prefix) && cursor.key() < end; cursor.next()) {
    const auto place = keys::parse_page_place(cursor.key());
    if (!place) return place.error();
    places.push_back(*place);
  }
  if (const Status status = cursor.status(); !status) return status.error();
  std::sort(places.begin(), places.end(),
            [](const keys::PagePlace& a, const keys::PagePlace& b) { return a.lsn < b.lsn; });
  ClockRuns runs;
  for (const keys::PagePlace& place : places) {
    if (place.time_us <= runs.newest_us_) runs.begins_.push_back(place.lsn);
    runs.newest_us_ = place.time_us;
  }
  return runs;
}

std::uint32_t ClockRuns::of(std::uint64_t lsn) const {
  return static_cast<std::uint32_t>(std::upper_bound(begins_.begin(), begins_.end(), lsn) - begins_.begin());
}

std::uint32_t ClockRuns::behind(std::int64_t time_us) const {
  return static_cast<std::uint32_t>(begins_.size()) + (time_us <= newest_us_ ? 1 : 0);
}

Status scan_pages(const RocksDb& db, const RocksDb::View* view, std::uint16_t kpi, const HostId& host,
                  std::int64_t from_us, std::int64_t to_us, const ClockRuns& runs, const PageVisitor& visitor,
                  Expired expired) {
  if (from_us >= to_us) return {};
  const std::string prefix = keys::page_prefix(kpi, host);
  const std::string end = keys::page_key(kpi, host, {to_us, 0});
  std::vector<std::int64_t> times_us;
  RocksDb::Cursor cursor = db.cursor(Family::kPage, view);
  const auto in_range = [&] { return cursor.valid() && cursor.key().starts_with(prefix) && cursor.key() < end; };
  for (cursor.seek(keys::page_key(kpi, host, {from_us - kPageSpanMaxUs, 0})); in_range();) {
    const auto place = keys::parse_page_place(cursor.key());
    if (!place) return place.error();
    // Asked again for each: what goes while this reads is gone for a view, too.
    const auto has_expired = [&] { return !db.expiry()->pages.holds(place->time_us); };
    if (expired == Expired::kHidden && has_expired()) {
      cursor.next();
      continue;
    }
    if (const Status ticks = read_ticks(db, view, host, *place, times_us); !ticks) {
      if (!has_expired()) return ticks;
      cursor.next();
      continue;
    }
    // The last is not the latest in a page that a clock was set back in.
    if (*std::max_element(times_us.begin(), times_us.end()) < from_us) {
      cursor.next();
      continue;
    }
    const auto page = Page::open(cursor.value());
    if (!page) return with_place(page.error(), kpi, host, *place);
    if (page->ticks() != times_us.size()) {
      return with_place({ErrorCode::kCorrupt, "it has other ticks than its window"}, kpi, host, *place);
    }
    cursor.next();
    std::int64_t later_us = std::numeric_limits<std::int64_t>::max();
    if (in_range()) {
      const auto next = keys::parse_page_place(cursor.key());
      if (!next) return next.error();
      later_us = next->time_us;
    }
    if (const Status visited = visitor({*page, times_us, later_us, runs.of(place->lsn)}); !visited) {
      return visited;
    }
  }
  return cursor.status();
}

}  // namespace proteus::store
