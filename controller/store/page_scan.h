#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "common/ids.h"
#include "controller/store/page.h"
#include "controller/store/rocks_db.h"
#include "controller/store/series_keys.h"

/// Reading pages out of the database. Thread: any.
namespace proteus::store {

/// No page's last tick is further from its first.
constexpr std::int64_t kPageSpanMaxUs = 30 * 60 * 1'000'000LL;

/// A page with the times of its ticks, microseconds, and a time that no tick of a page that follows lies in front of.
using PageVisitor =
    std::function<Status(const Page& page, const std::vector<std::int64_t>& times_us, std::int64_t later_us)>;

/// The pages of one KPI of one host that have ticks in [from_us, to_us), in the order of their first ticks. An error
/// of the visitor ends the scan. Errors: kCorrupt.
Status scan_pages(const RocksDb& db, const RocksDb::View* view, std::uint16_t kpi, const HostId& host,
                  std::int64_t from_us, std::int64_t to_us, const PageVisitor& visitor);

/// The page at a place; nullopt if there is none. Errors: kCorrupt.
Result<std::optional<Page>> read_page(const RocksDb& db, const RocksDb::View* view, std::uint16_t kpi,
                                      const HostId& host, const keys::PagePlace& place);

}  // namespace proteus::store
