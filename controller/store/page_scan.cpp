#include "controller/store/page_scan.h"

#include <fmt/core.h>

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

Status scan_pages(const RocksDb& db, const RocksDb::View* view, std::uint16_t kpi, const HostId& host,
                  std::int64_t from_us, std::int64_t to_us, const PageVisitor& visitor) {
  if (from_us >= to_us) return {};
  const std::string prefix = keys::page_prefix(kpi, host);
  const std::string end = keys::page_key(kpi, host, {to_us, 0});
  std::vector<std::int64_t> times_us;
  RocksDb::Cursor cursor = db.cursor(Family::kPage, view);
  const auto in_range = [&] { return cursor.valid() && cursor.key().starts_with(prefix) && cursor.key() < end; };
  for (cursor.seek(keys::page_key(kpi, host, {from_us - kPageSpanMaxUs, 0})); in_range();) {
    const auto place = keys::parse_page_place(cursor.key());
    if (!place) return place.error();
    if (const Status ticks = read_ticks(db, view, host, *place, times_us); !ticks) return ticks;
    if (times_us.back() < from_us) {
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
    if (const Status visited = visitor(*page, times_us, later_us); !visited) return visited;
  }
  return cursor.status();
}

}  // namespace proteus::store
