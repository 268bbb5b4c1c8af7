#include "controller/store/page_writer.h"

#include <fmt/core.h>
#include <pthread.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "common/log.h"
#include "controller/store/bytes.h"
#include "controller/store/page_scan.h"
#include "controller/store/rollup.h"
#include "controller/store/store_keys.h"

namespace proteus::store {
namespace {

constexpr std::int64_t kWindowUs = 10 * 60 * 1'000'000LL;
/// Chunks further apart than this are not joined, so that no page spans more than kPageSpanMaxUs.
constexpr std::int64_t kJoinSpanUs = kPageSpanMaxUs - kWindowUs;
constexpr std::size_t kMessagesAtOnce = 1024;
constexpr std::size_t kBytesAtOnce = 8u << 20;
constexpr std::chrono::seconds kRetry{1};

/// Where in the window of ten minutes a host's windows begin. The same in every process.
std::int64_t window_offset_us(const HostId& host) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : host.value) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(kWindowUs));
}

std::int64_t window_of(const HostId& host, Timestamp time) {
  return (to_us(time) + window_offset_us(host)) / kWindowUs;
}
/// Days since the epoch.
std::uint32_t day_of(Timestamp time) {
  return static_cast<std::uint32_t>(
      std::max<std::int64_t>(0, std::chrono::floor<std::chrono::days>(time).time_since_epoch().count()));
}
std::int64_t hour_of(Timestamp time) {
  return std::chrono::floor<std::chrono::hours>(time).time_since_epoch().count();
}

/// How many rows from the front make a chunk, and whether its window has ended behind them.
struct Cut {
  std::size_t rows = 0;
  bool complete = false;
  bool ends_window = false;
};
bool ends_window(const HostId& host, const HeadRow& before, const HeadRow& row) {
  return to_us(row.frame.time) <= to_us(before.frame.time) ||
         window_of(host, row.frame.time) != window_of(host, before.frame.time);
}
Cut cut(const HostId& host, const std::vector<HeadRow>& rows) {
  Cut chunk;
  if (rows.empty()) return chunk;
  for (chunk.rows = 1; chunk.rows < std::min(rows.size(), kChunkTicks); ++chunk.rows) {
    if (ends_window(host, rows[chunk.rows - 1], rows[chunk.rows])) {
      chunk.complete = chunk.ends_window = true;
      return chunk;
    }
  }
  chunk.complete = chunk.rows == kChunkTicks;
  chunk.ends_window = chunk.rows < rows.size() && ends_window(host, rows[chunk.rows - 1], rows[chunk.rows]);
  return chunk;
}
/// Whether the newest row makes what is in front of it, or itself, complete; the others were looked at before.
bool completes(const HostId& host, const std::vector<HeadRow>& rows) {
  return rows.size() >= kChunkTicks || (rows.size() > 1 && ends_window(host, rows[rows.size() - 2], rows.back()));
}

std::string position_value(std::uint64_t lsn) {
  std::string value;
  ByteWriter(value).integer(lsn);
  return value;
}

}  // namespace

Result<std::unique_ptr<PageWriter>> PageWriter::open(RocksDb& db, bool read_only) {
  std::unique_ptr<PageWriter> writer(new PageWriter(db, read_only));
  if (const Status loaded = writer->load(); !loaded) return loaded.error();
  return writer;
}

PageWriter::~PageWriter() {
  {
    std::lock_guard lock(state_mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status PageWriter::load() {
  std::lock_guard lock(state_mutex_);
  const auto position = db_.get(Family::kMeta, keys::kPositionKey);
  if (!position) return position.error();
  if (*position) next_lsn_ = ByteReader(**position).integer<std::uint64_t>();

  RocksDb::Cursor progress = db_.cursor(Family::kMeta);
  for (progress.seek(keys::kProgressPrefix); progress.valid() && progress.key().starts_with(keys::kProgressPrefix);
       progress.next()) {
    const auto host = keys::parse_progress_host(progress.key());
    if (!host) return host.error();
    auto parsed = keys::parse_progress(progress.value());
    if (!parsed) return parsed.error();
    hosts_[*host].progress = std::move(*parsed);
  }
  if (const Status status = progress.status(); !status) return status;
  RocksDb::Cursor entities = db_.cursor(Family::kSeries);
  for (entities.seek(""); entities.valid(); entities.next()) {
    const auto host = keys::parse_entity_host(entities.key());
    if (!host) return host.error();
    auto entity = keys::parse_entity(entities.key(), entities.value());
    if (!entity) return entity.error();
    hosts_[*host].entities.load(std::move(*entity));
  }
  return entities.status();
}

void PageWriter::start(Scan scan) {
  scan_ = std::move(scan);
  if (read_only_) return;
  thread_ = std::thread([this] { run(); });
}

void PageWriter::notify(std::uint64_t last_lsn) {
  {
    std::lock_guard lock(state_mutex_);
    last_lsn_ = std::max(last_lsn_, last_lsn);
  }
  wake_.notify_all();
}

void PageWriter::run() {
  pthread_setname_np(pthread_self(), "pages");
  std::unique_lock lock(state_mutex_);
  while (!stopping_) {
    wake_.wait(lock, [&] { return stopping_ || last_lsn_ >= next_lsn_; });
    if (stopping_) return;
    lock.unlock();
    const Status done = catch_up();
    lock.lock();
    if (!done) wake_.wait_for(lock, kRetry, [&] { return stopping_; });
  }
}

Status PageWriter::catch_up() {
  std::lock_guard work(work_mutex_);
  Status done = reading_ ? Status() : begin_reading();
  if (done) done = read_on();
  std::lock_guard lock(state_mutex_);
  if (!done) {
    ++counters_.write_errors;
    if (counters_.problem.empty()) log::error("pages are not written: {}", done.error().message);
    counters_.problem = done.error().message;
  } else if (!counters_.problem.empty()) {
    log::info("pages are written again");
    counters_.problem.clear();
  }
  return done;
}

/// What decoding the first frames takes; they themselves are read by read_on().
Status PageWriter::begin_reading() {
  const Status scanned = scan_(next_lsn_, [&](const RawMessage& message) {
    if (message.lsn >= next_lsn_) return false;
    (void)reader_.read(message.host, message.bytes);  // what does not decode is found missing by what needs it
    return true;
  });
  reading_ = scanned.has_value();
  return scanned;
}

Status PageWriter::read_on() {
  if (blocked_) {
    for (auto& [id, host] : hosts_) {
      if (const Status written = write_out(host, id, false); !written) return written;
    }
    blocked_ = false;
  }
  std::vector<RawMessage> messages;
  for (;;) {
    std::uint64_t last_lsn = 0;
    {
      std::lock_guard lock(state_mutex_);
      if (stopping_) return {};
      last_lsn = last_lsn_;
    }
    messages.clear();
    std::size_t bytes = 0;
    {
      RocksDb::Cursor cursor = db_.cursor(Family::kRaw, nullptr, true);
      for (cursor.seek(keys::lsn_key(next_lsn_));
           cursor.valid() && messages.size() < kMessagesAtOnce && bytes < kBytesAtOnce; cursor.next()) {
        const auto lsn = keys::parse_lsn_key(cursor.key());
        if (!lsn) return lsn.error();
        if (*lsn > last_lsn) break;
        auto message = keys::parse_raw_value(*lsn, cursor.value());
        if (!message) return message.error();
        bytes += message->bytes.size();
        messages.push_back(std::move(*message));
      }
      if (const Status status = cursor.status(); !status) return status;
    }
    if (messages.empty()) {
      std::lock_guard lock(state_mutex_);
      next_lsn_ = std::max(next_lsn_, last_lsn + 1);
      return {};
    }
    for (const RawMessage& message : messages) {
      if (const Status taken = take(message); !taken) return taken;
    }
  }
}

Status PageWriter::take(const RawMessage& message) {
  auto sample = reader_.read(message.host, message.bytes);
  Host* host = nullptr;
  {
    std::lock_guard lock(state_mutex_);
    next_lsn_ = message.lsn + 1;
    if (!sample) {
      ++counters_.undecoded;
      log::debug("pages: telemetry of {}: {}", message.host.value, sample.error().message);
      return {};
    }
    host = &hosts_[message.host];
    if (!*sample || message.lsn < host->progress.next_lsn) return {};
    const std::uint32_t day = day_of(message.received);
    if (host->catalog == nullptr || host->catalog->catalog != (*sample)->catalog) {
      host->catalog = place((*sample)->catalog, host->entities.numbers_of(*(*sample)->catalog, day));
    } else if (day > host->seen_day) {
      (void)host->entities.numbers_of(*(*sample)->catalog, day);
    }
    host->seen_day = std::max(host->seen_day, day);
    ++counters_.frames;
    counters_.samples += (*sample)->frame.values.size();
    host->rows.push_back({message.lsn, message.received, host->catalog, std::move((*sample)->frame)});
    host->last_received = message.received;
  }
  if (completes(message.host, host->rows)) {
    if (const Status written = write_out(*host, message.host, false); !written) {
      blocked_ = true;
      return written;
    }
  }
  return {};
}

Status PageWriter::write_out(Host& host, const HostId& id, bool all) {
  if (read_only_) return {};
  for (;;) {
    const Cut chunk = cut(id, host.rows);
    if (chunk.rows > 0 && (chunk.complete || all)) {
      if (const Status sealed = seal_rows(host, id, chunk.rows); !sealed) return sealed;
    } else if (!all) {
      return {};
    }
    if (chunk.ends_window || all) {
      if (const Status joined = join_chunks(host, id); !joined) return joined;
      std::optional<std::int64_t> hour;
      if (!host.rows.empty()) hour = hour_of(host.rows.front().frame.time);
      if (const Status rolled = roll_up_hours(host, id, hour); !rolled) return rolled;
    }
    if (host.rows.empty()) return {};
  }
}

Status PageWriter::seal_rows(Host& host, const HostId& id, std::size_t count) {
  std::vector<HeadRow> rows(host.rows.begin(), host.rows.begin() + static_cast<std::ptrdiff_t>(count));
  RocksDb::Batch batch;
  const keys::PagePlace place{to_us(rows.front().frame.time), rows.front().lsn};
  const std::vector<KpiPage> pages = seal(rows);
  for (const KpiPage& page : pages) batch.put(Family::kPage, keys::page_key(page.kpi, id, place), page.bytes);
  for (const StoredEntity& entity : host.entities.changed()) {
    batch.put(Family::kSeries, keys::entity_key(id, entity.number), keys::entity_value(entity));
  }
  batch.put(Family::kMeta, keys::kPositionKey, position_value(position_without(&host, count)));
  keys::HostProgress progress = host.progress;
  progress.next_lsn = rows.back().lsn + 1;
  progress.chunks.push_back(place);
  std::set<std::int64_t> hours(progress.dirty_hours.begin(), progress.dirty_hours.end());
  for (const HeadRow& row : rows) hours.insert(hour_of(row.frame.time));
  progress.dirty_hours.assign(hours.begin(), hours.end());
  if (const Status written = write(batch, host, id, std::move(progress)); !written) return written;
  std::lock_guard lock(state_mutex_);
  host.entities.clear_changed();
  host.rows.erase(host.rows.begin(), host.rows.begin() + static_cast<std::ptrdiff_t>(count));
  counters_.pages += pages.size();
  return {};
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
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      auto page = read_page(db_, nullptr, kpi, id, chunks[i]);
      if (!page) return page.error();
      if (kpi == keys::kTicksKpi) ticks.push_back(*page ? (*page)->ticks() : 0);
      if (*page) pages.push_back(std::move(**page));
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
    while (end < chunks.size() && chunks[end].time_us > chunks[end - 1].time_us &&
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
  for (const auto& [id, other] : hosts_) {
    const std::size_t begin = &other == host ? rows : 0;
    if (begin < other.rows.size()) position = std::min(position, other.rows[begin].lsn);
  }
  return position;
}

Status PageWriter::settle(Timestamp idle_since) {
  std::lock_guard work(work_mutex_);
  if (!reading_) return {};
  for (auto& [id, host] : hosts_) {
    if (host.last_received >= idle_since) continue;
    if (host.rows.empty() && host.progress.chunks.empty() && host.progress.dirty_hours.empty()) continue;
    if (const Status written = write_out(host, id, true); !written) return written;
  }
  return {};
}

Status PageWriter::forget_unseen(Timestamp since, Timestamp now) {
  std::lock_guard work(work_mutex_);
  if (read_only_) return {};
  std::lock_guard lock(state_mutex_);
  RocksDb::Batch batch;
  std::map<HostId, std::vector<std::uint32_t>> forgotten;
  for (auto& [id, host] : hosts_) {
    // Rows that are in no page yet name entities by their numbers.
    if (!host.rows.empty() && day_of(host.rows.front().received) < day_of(since)) continue;
    const std::vector<std::uint32_t> numbers = host.entities.unseen_since(day_of(since), day_of(now));
    if (numbers.empty()) continue;
    for (const std::uint32_t number : numbers) batch.erase(Family::kSeries, keys::entity_key(id, number));
    forgotten[id] = numbers;
  }
  if (forgotten.empty()) return {};
  if (const Status written = db_.write(batch, RocksDb::Sync::kLater); !written) return written;
  for (const auto& [id, numbers] : forgotten) {
    Host& host = hosts_[id];
    host.entities.forget(numbers);
    host.catalog = nullptr;  // its numbers are found anew, if it comes back
  }
  return {};
}

std::uint64_t PageWriter::position() const {
  std::lock_guard lock(state_mutex_);
  return position_without(nullptr, 0);
}

std::optional<Timestamp> PageWriter::oldest_in_head() const {
  std::lock_guard lock(state_mutex_);
  std::optional<Timestamp> oldest;
  for (const auto& [id, host] : hosts_) {
    if (host.rows.empty()) continue;
    oldest = std::min(oldest.value_or(host.rows.front().received), host.rows.front().received);
  }
  return oldest;
}

PageWriter::Counters PageWriter::counters() const {
  std::lock_guard lock(state_mutex_);
  return counters_;
}

std::vector<HostId> PageWriter::hosts() const {
  std::lock_guard lock(state_mutex_);
  std::vector<HostId> ids;
  for (const auto& [id, host] : hosts_) ids.push_back(id);
  return ids;
}

SelectedEntities PageWriter::select(const HostId& host, const SeriesSelector& selector) const {
  std::lock_guard lock(state_mutex_);
  const auto known = hosts_.find(host);
  return known == hosts_.end() ? SelectedEntities() : known->second.entities.select(selector);
}

std::vector<std::int64_t> PageWriter::dirty_hours(const HostId& host) const {
  std::lock_guard lock(state_mutex_);
  const auto known = hosts_.find(host);
  if (known == hosts_.end()) return {};
  std::set<std::int64_t> hours(known->second.progress.dirty_hours.begin(), known->second.progress.dirty_hours.end());
  for (const HeadRow& row : known->second.rows) hours.insert(hour_of(row.frame.time));
  return {hours.begin(), hours.end()};
}

std::vector<HeadRow> PageWriter::head(const HostId& host, std::int64_t from_us, std::int64_t to_us) const {
  std::lock_guard lock(state_mutex_);
  std::vector<HeadRow> rows;
  const auto known = hosts_.find(host);
  if (known == hosts_.end()) return rows;
  for (const HeadRow& row : known->second.rows) {
    const std::int64_t time = store::to_us(row.frame.time);
    if (time >= from_us && time < to_us) rows.push_back(row);
  }
  return rows;
}

}  // namespace proteus::store
