#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "common/ids.h"
#include "controller/store/page.h"
#include "controller/store/rocks_db.h"
#include "controller/store/series_keys.h"

/// Reading pages out of the database. Thread: any.
namespace proteus::store {

/// No page's last tick is further from its first.
constexpr std::int64_t kPageSpanMaxUs = 30 * 60 * 1'000'000LL;

/// Clocks that are wrong are so by the hours of a time zone, mostly. Where one was further away for less than kGapUs,
/// and came back behind where it had left, the way there and back is not seen in what is read, and counts as an
/// increase.
constexpr std::int64_t kExcursionMaxUs = 26 * 60 * 60 * 1'000'000LL;

/// The runs of a host's clock: each time that it was set back another one begins. Pages of one run are in the order in
/// which they were measured; those of several may lie between each other, and what are neighbours in time then is not
/// what was measured one after the other.
class ClockRuns {
 public:
  /// Of the pages that have ticks in [from_us, to_us), whatever a clock did between them up to kExcursionMaxUs away.
  /// The number of a run holds for one reading. Errors: kCorrupt.
  static Result<ClockRuns> read(const RocksDb& db, const RocksDb::View* view, const HostId& host, std::int64_t from_us,
                                std::int64_t to_us);

  /// The run of a page, by its place's lsn.
  std::uint32_t of(std::uint64_t lsn) const;
  /// The run of ticks that came after all pages; the first of them is at time_us.
  std::uint32_t behind(std::int64_t time_us) const;

 private:
  std::vector<std::uint64_t> begins_;  // lsn of the first page of each run but the first, ascending
  std::int64_t newest_us_ = std::numeric_limits<std::int64_t>::min();
};

/// A page as it is visited.
struct ScannedPage {
  const Page& page;
  const std::vector<std::int64_t>& times_us;  ///< of its ticks
  std::int64_t later_us = 0;                  ///< no tick of a page that follows is in front of it
  std::uint32_t run = 0;                      ///< of the clock
};
using PageVisitor = std::function<Status(const ScannedPage&)>;

/// The pages of one KPI of one host that have ticks in [from_us, to_us), in the order of their first ticks. An error
/// of the visitor ends the scan. runs: read for this range. expired: whether those that have expired and are still
/// there are visited too. Errors: kCorrupt.
enum class Expired : std::uint8_t { kHidden, kVisited };
Status scan_pages(const RocksDb& db, const RocksDb::View* view, std::uint16_t kpi, const HostId& host,
                  std::int64_t from_us, std::int64_t to_us, const ClockRuns& runs, const PageVisitor& visitor,
                  Expired expired = Expired::kHidden);

/// The page at a place; nullopt if there is none. Errors: kCorrupt.
Result<std::optional<Page>> read_page(const RocksDb& db, const RocksDb::View* view, std::uint16_t kpi,
                                      const HostId& host, const keys::PagePlace& place);

}  // namespace proteus::store
