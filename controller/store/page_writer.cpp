#include "controller/store/page_writer.h"

#include <pthread.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/log.h"
#include "controller/store/bytes.h"
#include "controller/store/store_keys.h"
#include "controller/store/store_scan.h"

namespace proteus::store {
namespace {

constexpr std::size_t kMessagesAtOnce = 1024;
constexpr std::size_t kBytesAtOnce = 8u << 20;
constexpr std::uint64_t kFarBehind = 65'536;
constexpr std::chrono::seconds kRetry{1};
/// The place of a catalog that so many frames of its host have not named is looked for anew.
constexpr std::uint64_t kFramesRemembered = 64;

/// Days since the epoch.
std::uint32_t day_of(Timestamp time) {
  return static_cast<std::uint32_t>(
      std::max<std::int64_t>(0, std::chrono::floor<std::chrono::days>(time).time_since_epoch().count()));
}

/// Of a day that was noted before `day`: by a clock that has been set right since.
bool is_ahead(std::uint32_t noted, std::uint32_t day) {
  return noted > day + 1;
}

}  // namespace

Result<std::unique_ptr<PageWriter>> PageWriter::open(RocksDb& db, bool read_only, std::size_t host_entities_bytes_max) {
  std::unique_ptr<PageWriter> writer(new PageWriter(db, read_only, host_entities_bytes_max));
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

/// While nobody else knows of it.
Status PageWriter::load() {
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
    // What cannot be read is found missing by what needs it.
    if (auto one = read(message); one && one->frame) pass_over(*one);
    return true;
  });
  // Damage is passed by read_on(), and what else of it was in the way is found missing, too.
  reading_ = scanned || scanned.error().code == ErrorCode::kCorrupt;
  return reading_ ? Status() : scanned;
}

/// As many messages from next_lsn_ on as are taken at once. Errors: kCorrupt, with what lies in front of the damage.
Status PageWriter::read_some(std::uint64_t last_lsn, std::vector<RawMessage>& messages) const {
  std::size_t bytes = 0;
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
  return cursor.status();
}

/// One damaged block of one host is no reason to make no pages of the others.
Status PageWriter::pass_damage(std::uint64_t last_lsn, const Error& damage) {
  const auto behind = first_behind_damage(db_, Family::kRaw, next_lsn_);
  if (!behind) return behind.error();
  const std::uint64_t end = std::min(behind->value_or(last_lsn + 1), last_lsn + 1);
  log::error("pages: telemetry of lsn {} to {} cannot be read and is in none: {}", next_lsn_, end - 1, damage.message);
  std::lock_guard lock(state_mutex_);
  counters_.undecoded += end - next_lsn_;
  next_lsn_ = end;
  return {};
}

Status PageWriter::read_on() {
  if (blocked_) {
    for (auto& [id, host] : hosts_) {
      if (const Status written = write_out(host, id, false); !written) return written;
    }
    blocked_ = false;
  }
  std::vector<RawMessage> messages;
  std::uint64_t last_lsn = 0;
  {
    std::lock_guard lock(state_mutex_);
    last_lsn = last_lsn_;  // what comes meanwhile is for the next time: whoever waits does so for what there was
  }
  for (;;) {
    {
      std::lock_guard lock(state_mutex_);
      if (stopping_) return {};
    }
    messages.clear();
    const Status read = read_some(last_lsn, messages);
    if (!read && read.error().code != ErrorCode::kCorrupt) return read;
    if (!read && messages.empty() && next_lsn_ <= last_lsn) {
      if (const Status passed = pass_damage(last_lsn, read.error()); !passed) return passed;
      continue;
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

/// Values aside. A catalog is known to its host from then on. Errors: as wire::KnownCatalogs.
Result<PageWriter::Read> PageWriter::read(const RawMessage& message) {
  auto upstream = wire::decode_upstream(message.bytes);
  if (!upstream) return upstream.error();
  Read read;
  {
    std::lock_guard lock(state_mutex_);
    read.host = &hosts_[message.host];
  }
  if (auto* catalog = std::get_if<Catalog>(&*upstream)) {
    if (catalog->host != message.host) return Error{ErrorCode::kCorrupt, "a catalog names another host"};
    if (const Status added = read.host->catalogs.add(std::move(*catalog)); !added) return added.error();
    return read;
  }
  auto& frame = std::get<wire::EncodedFrame>(*upstream);
  auto known = read.host->catalogs.find(frame);
  if (!known) return known.error();
  read.known = std::move(*known);
  read.frame = std::make_shared<const wire::EncodedFrame>(std::move(frame));
  return read;
}

/// A frame that is in pages already, for those that build on it. There are no rows then.
void PageWriter::pass_over(const Read& read) {
  Frame frame;
  std::lock_guard lock(state_mutex_);
  (void)read.host->bases.decode(*read.frame, *read.known, frame);  // what builds on it will tell
}

/// Under the state's mutex.
void PageWriter::note_undecoded(const HostId& id, std::uint64_t frames, const std::string& why) {
  if (frames == 0) return;
  counters_.undecoded += frames;
  if (!unexplained_.is_due(id.value)) return;
  log::warning("frames of {} are in no series: {} ({} of all hosts so far)", id.value, why, counters_.undecoded);
}

Status PageWriter::take(const RawMessage& message) {
  auto taken = read(message);
  {
    std::lock_guard lock(state_mutex_);
    next_lsn_ = message.lsn + 1;
    if (!taken) {
      note_undecoded(message.host, 1, taken.error().message);
      return {};
    }
  }
  if (!taken->frame) return {};
  Host& host = *taken->host;
  if (message.lsn < host.progress.next_lsn) {
    pass_over(*taken);
    return {};
  }
  {
    std::lock_guard lock(state_mutex_);
    auto catalog = place_of(host, message.host, taken->known, day_of(message.received));
    if (catalog == nullptr) {
      ++counters_.not_placed;
      Frame frame;
      // for those that build on it, once there is room again; behind rows only what comes in a page does
      if (host.rows.empty()) (void)host.bases.decode(*taken->frame, *taken->known, frame);
      return {};
    }
    ++counters_.frames;
    counters_.samples += catalog->catalog->series.size();
    if (host.rows.empty()) fronts_.insert(message.lsn);
    host.rows.push_back(
        {message.lsn, message.received, std::move(taken->known), std::move(catalog), std::move(taken->frame)});
    host.size.add(host.rows.back());
    host.last_received = message.received;
  }
  if (completes(message.host, host.rows, host.size)) {
    if (const Status written = write_out(host, message.host, false); !written) {
      blocked_ = true;
      return written;
    }
  }
  return {};
}

/// Under the state's mutex. Null: there is no room today for what of the catalog is not known.
std::shared_ptr<const PlacedCatalog> PageWriter::place_of(Host& host, const HostId& id,
                                                          const std::shared_ptr<const wire::KnownCatalog>& known,
                                                          std::uint32_t day) {
  const auto is_it = [&](const Placed& placed) {  // the same one, and no other in its place in memory
    return !placed.known.owner_before(known) && !known.owner_before(placed.known);
  };
  const std::uint64_t now = ++host.frames;
  auto found = std::find_if(host.placed.begin(), host.placed.end(), is_it);
  if (found != host.placed.end() && day <= found->seen_day && !is_ahead(found->seen_day, day)) {
    found->used_at = now;
    auto catalog = found->catalog;
    if (host.placed.size() > 1) {
      std::erase_if(host.placed, [&](const Placed& placed) { return now - placed.used_at > kFramesRemembered; });
    }
    return catalog;
  }
  if (found != host.placed.end() && found->catalog != nullptr) {
    (void)host.entities.numbers_of(*known->catalog, day);
  } else {
    ++counters_.catalogs;
    const bool has_room = make_room(host, id, *known->catalog, day);  // may forget all places
    std::erase_if(host.placed, [&](const Placed& placed) { return placed.known.expired() || is_it(placed); });
    found =
        host.placed.insert(host.placed.end(), Placed{.known = known, .catalog = nullptr, .seen_day = 0, .used_at = 0});
    if (has_room) found->catalog = place(known->catalog, host.entities.numbers_of(*known->catalog, day));
  }
  found->seen_day = found->catalog != nullptr ? day : host.full_on_day;
  found->used_at = now;
  return found->catalog;
}

/// Room for what of a catalog is not known. Under the state's mutex. False: there is none, as too
/// many have been listed of late; the host's telemetry stays in the family raw alone.
bool PageWriter::make_room(Host& host, const HostId& id, const Catalog& catalog, std::uint32_t day) {
  const std::size_t needed = host.entities.growth_by(catalog);
  if (host.entities.bytes() + needed <= host_entities_bytes_max_) return true;
  host.entities.see(catalog, day);  // they are no strangers, though their agent was away for a while
  // Rows that are in no page yet name entities by their numbers.
  if (!host.rows.empty()) day = std::min(day, day_of(host.rows.front().received));
  std::size_t forgotten = 0;
  if (day > host.full_on_day || is_ahead(host.full_on_day, day)) {
    // Some more than needed, since all of them are looked at each time.
    const std::size_t kept = host_entities_bytes_max_ / 4 * 3;
    forgotten = host.entities.forget_oldest(kept > needed ? kept - needed : 0, day);
    host.full_on_day = day;
    counters_.forgotten_early += forgotten;
    if (forgotten > 0) forget_places(host);
  }
  const bool has_room = host.entities.bytes() + needed <= host_entities_bytes_max_;
  if (has_room) host.full_on_day = 0;
  if (crowded_.is_due(id.value)) {
    log::warning(
        "{} has listed more entities than are kept of a host: {} that it has not listed for the longest time "
        "are forgotten{}",
        id.value, forgotten, has_room ? "" : ", which is not enough: of what it sends no series are kept today");
  }
  return has_room;
}

bool PageWriter::is_far_behind() const {
  return counters().unread > kFarBehind;
}

Status PageWriter::settle(Timestamp idle_since, Timestamp ahead_from) {
  std::lock_guard work(work_mutex_);
  if (!reading_) return {};
  for (auto& [id, host] : hosts_) {
    if (host.last_received >= idle_since && host.last_received < ahead_from) continue;
    if (host.rows.empty() && host.progress.chunks.empty() && host.progress.dirty_hours.empty()) continue;
    if (const Status written = write_out(host, id, true); !written) return written;
  }
  return {};
}

Status PageWriter::forget_unseen(Timestamp since, Timestamp now) {
  std::lock_guard work(work_mutex_);
  if (read_only_) return {};
  RocksDb::Batch batch;
  std::map<HostId, std::vector<std::uint32_t>> forgotten;
  for (auto& [id, host] : hosts_) {
    // Rows that are in no page yet name entities by their numbers.
    if (!host.rows.empty() && day_of(host.rows.front().received) < day_of(since)) continue;
    std::vector<std::uint32_t> numbers;
    {
      std::lock_guard lock(state_mutex_);  // it notes days, too
      numbers = host.entities.unseen_since(day_of(since), day_of(now));
    }
    if (numbers.empty()) continue;
    for (const std::uint32_t number : numbers) batch.erase(Family::kSeries, keys::entity_key(id, number));
    forgotten[id] = numbers;
  }
  if (forgotten.empty()) return {};
  // Not under the state's mutex, which is taken by whoever reads the database, under its gate.
  if (const Status written = db_.write(batch, RocksDb::Sync::kLater); !written) return written;
  std::lock_guard lock(state_mutex_);
  for (const auto& [id, numbers] : forgotten) {
    Host& host = hosts_[id];
    host.entities.forget(numbers);
    forget_places(host);
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
  Counters counters = counters_;
  counters.unread = last_lsn_ < next_lsn_ ? 0 : last_lsn_ - next_lsn_ + 1;
  return counters;
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
  for (const EncodedRow& row : known->second.rows) hours.insert(hour_of(row.frame->time));
  return {hours.begin(), hours.end()};
}

std::vector<HeadRow> PageWriter::head(const HostId& host, std::int64_t from_us, std::int64_t to_us) const {
  std::vector<EncodedRow> encoded;
  wire::FrameBases bases;
  {
    std::lock_guard lock(state_mutex_);
    const auto known = hosts_.find(host);
    const auto in_range = [&](const EncodedRow& row) { return row.time_us() >= from_us && row.time_us() < to_us; };
    if (known == hosts_.end() || std::none_of(known->second.rows.begin(), known->second.rows.end(), in_range))
      return {};
    encoded = known->second.rows;
    bases = known->second.bases;
  }
  std::vector<HeadRow> rows;
  rows.resize(decode(encoded, bases, rows).size());
  std::erase_if(rows, [&](const HeadRow& row) {
    const std::int64_t time = store::to_us(row.frame.time);
    return time < from_us || time >= to_us;
  });
  return rows;
}

}  // namespace proteus::store
