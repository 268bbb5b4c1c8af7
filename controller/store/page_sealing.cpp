// The half of PageWriter that makes pages of what has been gathered.
#include <algorithm>
#include <set>
#include <utility>

#include "common/log.h"
#include "controller/store/bytes.h"
#include "controller/store/page_scan.h"
#include "controller/store/page_writer.h"
#include "controller/store/rollup.h"
#include "controller/store/store_keys.h"

namespace proteus::store {
namespace {

/// Chunks further apart than this are not joined, so that no page spans more than kPageSpanMaxUs.
constexpr std::int64_t kJoinSpanUs = kPageSpanMaxUs - kWindowUs;
/// Nor more of them: a page has so many ticks at most, however close to each other a host says that its are.
constexpr std::size_t kChunksMost = 128;
constexpr std::size_t kJoinedMax = kPageTicksMax / kChunkTicksMax;
/// Nor of more memory, for a KPI: all are open at once.
constexpr std::size_t kJoinedBytesMax = 256u << 20;
/// An hour that a clock keeps coming back to is rolled up no more often, by the controller's clock. Queries read its
/// pages meanwhile.
constexpr std::chrono::minutes kRollUpInterval{10};
/// Nor do more hours of a host wait for it.
constexpr std::size_t kDirtyHoursMax = 1024;

std::string position_value(std::uint64_t lsn) {
  std::string value;
  ByteWriter(value).integer(lsn);
  return value;
}

}  // namespace

Status PageWriter::write_out(Host& host, const HostId& id, bool all) {
  if (read_only_) return {};
  for (;;) {
    const Cut chunk = cut(id, host.rows);
    bool ends_window = chunk.ends_window;
    if (chunk.rows > 0 && (chunk.complete || all)) {
      const auto sealed = seal_rows(host, id, chunk.rows);
      if (!sealed) return sealed.error();
      ends_window = ends_window && *sealed == chunk.rows;
    } else if (!all) {
      return {};
    }
    // However many a window has, they are not to be more than can be kept account of (series_keys.h).
    if (!ends_window && !all && host.progress.chunks.size() >= kChunksMost) {
      if (const Status joined = join_chunks(host, id); !joined) return joined;
    }
    if (ends_window || all) {
      if (const Status joined = join_chunks(host, id); !joined) return joined;
      std::optional<std::int64_t> hour;
      if (!host.rows.empty()) hour = hour_of(host.rows.front().frame->time);
      const bool is_early = host.rolled_up_at && host.last_received >= *host.rolled_up_at &&
                            host.last_received - *host.rolled_up_at < kRollUpInterval;
      if (all || !is_early || host.progress.dirty_hours.size() > kDirtyHoursMax) {
        if (const Status rolled = roll_up_hours(host, id, hour); !rolled) return rolled;
      }
    }
    if (host.rows.empty()) return {};
  }
}

Result<std::size_t> PageWriter::seal_rows(Host& host, const HostId& id, std::size_t count) {
  wire::FrameBases bases;
  std::span<const HeadRow> rows;
  std::vector<KpiPage> pages;
  for (;; count /= 2) {
    bases = host.bases;
    rows = decode({host.rows.data(), count}, bases, decoded_);
    pages = rows.empty() ? std::vector<KpiPage>() : sealer_.seal(rows);
    const auto fits = [](const KpiPage& page) { return can_be_read(page.bytes); };
    if (count == 1 || std::all_of(pages.begin(), pages.end(), fits)) break;
  }
  RocksDb::Batch batch;
  batch.put(Family::kMeta, keys::kPositionKey, position_value(position_without(&host, count)));
  keys::HostProgress progress = host.progress;
  progress.next_lsn = host.rows[count - 1].lsn + 1;
  if (!rows.empty()) {
    const keys::PagePlace place{to_us(rows.front().frame.time), rows.front().lsn};
    for (KpiPage& page : pages) {
      batch.put(Family::kPage, keys::page_key(page.kpi, id, place), std::move(page.bytes));
    }
    progress.chunks.push_back(place);
  }
  for (const StoredEntity& entity : host.entities.changed()) {
    batch.put(Family::kSeries, keys::entity_key(id, entity.number), keys::entity_value(entity));
  }
  for (const std::uint32_t number : host.entities.erased()) batch.erase(Family::kSeries, keys::entity_key(id, number));
  std::set<std::int64_t> hours(progress.dirty_hours.begin(), progress.dirty_hours.end());
  for (const HeadRow& row : rows) hours.insert(hour_of(row.frame.time));
  progress.dirty_hours.assign(hours.begin(), hours.end());
  if (const Status written = write(batch, host, id, std::move(progress)); !written) return written.error();
  std::lock_guard lock(state_mutex_);
  host.entities.clear_changed();
  fronts_.erase(host.rows.front().lsn);
  host.rows.erase(host.rows.begin(), host.rows.begin() + static_cast<std::ptrdiff_t>(count));
  host.size = {};
  for (const EncodedRow& row : host.rows) host.size.add(row);
  if (!host.rows.empty()) fronts_.insert(host.rows.front().lsn);
  host.bases = std::move(bases);
  counters_.pages += pages.size();
  note_undecoded(id, count - rows.size(), "what they build on is missing");
  return count;
}

Result<std::uint64_t> PageWriter::join_pages(const HostId& id, std::span<const keys::PagePlace> chunks,
                                             RocksDb::Batch& batch) const {
  std::uint64_t count = 0;
  std::vector<std::uint32_t> ticks;
  std::vector<std::uint16_t> kpis = {keys::kTicksKpi};  // first: it says how many ticks each chunk has
  for (const KpiInfo& kpi : kpi_table()) kpis.push_back(static_cast<std::uint16_t>(kpi.kpi));
  for (const std::uint16_t kpi : kpis) {
    std::vector<Page> pages;
    pages.reserve(chunks.size());
    std::vector<PagePart> parts;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      auto page = read_page(db_, nullptr, kpi, id, chunks[i]);
      if (!page) return page.error();
      if (kpi == keys::kTicksKpi) ticks.push_back(*page ? (*page)->ticks() : 0);
      if (*page) pages.push_back(std::move(**page));
      if (*page) bytes += pages.back().memory_bytes();
      if (bytes > kJoinedBytesMax) return Error{ErrorCode::kCorrupt, "together they are too large"};
      parts.push_back({ticks[i], *page ? &pages.back() : nullptr});
    }
    if (pages.empty()) continue;
    const auto joined = join(parts, pages.front().unit());
    if (!joined) return joined.error();
    for (const keys::PagePlace& chunk : chunks) batch.erase(Family::kPage, keys::page_key(kpi, id, chunk));
    batch.put(Family::kPage, keys::page_key(kpi, id, chunks.front()), *joined);
    ++count;
  }
  return count;
}

Status PageWriter::join_chunks(Host& host, const HostId& id) {
  const std::vector<keys::PagePlace> chunks = host.progress.chunks;
  if (chunks.empty()) return {};
  RocksDb::Batch batch;
  std::uint64_t pages = 0;
  for (std::size_t begin = 0; begin < chunks.size();) {
    std::size_t end = begin + 1;
    while (end < chunks.size() && end - begin < kJoinedMax && chunks[end].time_us > chunks[end - 1].time_us &&
           chunks[end].time_us - chunks[begin].time_us < kJoinSpanUs) {
      ++end;
    }
    if (end - begin > 1) {
      RocksDb::Batch part;
      const auto joined = join_pages(id, {chunks.data() + begin, end - begin}, part);
      if (!joined && joined.error().code != ErrorCode::kCorrupt) return joined.error();
      if (joined) {
        batch.append(std::move(part));
        pages += *joined;
      } else {  // they stay as they are, and who reads them is told
        log::error("pages of {} are not joined: {}", id.value, joined.error().message);
      }
    }
    begin = end;
  }
  keys::HostProgress progress = host.progress;
  progress.chunks.clear();
  if (const Status written = write(batch, host, id, std::move(progress)); !written) return written;
  std::lock_guard lock(state_mutex_);
  counters_.pages += pages;
  return {};
}

Status PageWriter::roll_up_hours(Host& host, const HostId& id, std::optional<std::int64_t> hour_under_way) {
  const std::vector<std::int64_t> dirty = host.progress.dirty_hours;
  for (const std::int64_t hour : dirty) {
    if (hour == hour_under_way) continue;
    RocksDb::Batch batch;
    if (const Status rolled = roll_up(db_, id, hour, batch); !rolled) {
      if (rolled.error().code != ErrorCode::kCorrupt) return rolled;
      log::error("an hour of {} is not rolled up: {}", id.value, rolled.error().message);
      batch = {};
    }
    keys::HostProgress progress = host.progress;
    std::erase(progress.dirty_hours, hour);
    if (const Status written = write(batch, host, id, std::move(progress)); !written) return written;
    host.rolled_up_at = host.last_received;
  }
  return {};
}

Status PageWriter::write(RocksDb::Batch& batch, Host& host, const HostId& id, keys::HostProgress progress) {
  batch.put(Family::kMeta, keys::progress_key(id), keys::progress_value(progress));
  // Not synced: what a crash takes is made again from the raw telemetry, which is.
  if (const Status written = db_.write(batch, RocksDb::Sync::kLater); !written) return written;
  std::lock_guard lock(state_mutex_);
  host.progress = std::move(progress);
  return {};
}

/// The position if `rows` of this host's rows were sealed.
std::uint64_t PageWriter::position_without(const Host* host, std::size_t rows) const {
  std::uint64_t position = next_lsn_;
  for (const std::uint64_t lsn : fronts_) {
    if (host != nullptr && !host->rows.empty() && lsn == host->rows.front().lsn) continue;
    position = lsn;
    break;
  }
  if (host != nullptr && rows < host->rows.size()) position = std::min(position, host->rows[rows].lsn);
  return position;
}

}  // namespace proteus::store
