#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "common/result.h"
#include "common/wire/log_interval.h"
#include "common/wire/telemetry_codec.h"
#include "controller/store/encoded_head.h"
#include "controller/store/rocks_db.h"
#include "controller/store/series_head.h"
#include "controller/store/series_index.h"
#include "controller/store/series_keys.h"
#include "controller/store/store.h"

namespace proteus::store {

/// Follows the telemetry in the family raw and makes pages and roll-ups of it. The raw frames are its log: what it
/// holds in memory is read again after a crash, and how far each host has come is written with its pages, so that
/// nothing is lost and nothing is there twice.
///
/// A host's ticks are gathered in memory as they came (head) until its window of ten minutes ends, and sealed into a
/// chunk: one page for each KPI. A host that sends much (encoded_head.h) has several chunks in a window; they are
/// joined when it has ended. Each hour that is over is rolled up, again if the host's clock was set back into it.
/// Windows of different hosts end at different moments, so that the work is spread.
///
/// Whatever cannot be written (full disk) stays in memory, bounded: reading stops until it can.
/// Thread: its own, `pages`, once started; the public interface from any. Two files: page_writer.cpp reads and answers,
/// page_sealing.cpp makes and writes pages.
class PageWriter {
 public:
  /// db outlives the object. Reads how far the pages have come; nothing else happens until start() or catch_up().
  /// host_entities_bytes_max: as StoreOptions'. Errors: kCorrupt.
  static Result<std::unique_ptr<PageWriter>> open(RocksDb& db, bool read_only, std::size_t host_entities_bytes_max);
  ~PageWriter();
  PageWriter(const PageWriter&) = delete;
  PageWriter& operator=(const PageWriter&) = delete;

  /// Follows from now on, on a thread of its own. scan: gives out, in front of the messages from an lsn on, what
  /// decoding them takes (Store::scan_lsn).
  using Scan = std::function<Status(std::uint64_t from_lsn, const std::function<bool(const RawMessage&)>& visit)>;
  void start(Scan scan);
  /// There is telemetry up to this lsn.
  void notify(std::uint64_t last_lsn);
  /// Reads all that notify() told of, on the caller's thread. Errors: the database's.
  Status catch_up();
  /// Seals, joins and rolls up what has had no new tick since `idle_since` (controller's clock), nor any but some that
  /// seem to be of `ahead_from` and later: that clock was wrong. Errors: the database's.
  Status settle(Timestamp idle_since, Timestamp ahead_from);

  /// So many messages have not been read yet that whoever waits for them waits for long.
  bool is_far_behind() const;

  /// Forgets the entities that no catalog has listed on the day of `since` or after it. Errors: the database's.
  Status forget_unseen(Timestamp since, Timestamp now);

  /// Raw telemetry in front of it is in pages.
  std::uint64_t position() const;
  /// When the oldest frame was received that is in no page yet.
  std::optional<Timestamp> oldest_in_head() const;

  struct Counters {
    std::uint64_t frames = 0;     ///< taken in by this process
    std::uint64_t samples = 0;    ///< likewise
    std::uint64_t undecoded = 0;  ///< frames whose catalog or base is not there any more; numbers that damage took
    std::uint64_t forgotten_early = 0;  ///< entities, to make room for others of their host
    std::uint64_t not_placed = 0;       ///< frames whose entities found no room
    std::uint64_t catalogs = 0;         ///< whose place was looked for
    std::uint64_t pages = 0;            ///< written, chunks and joined ones
    std::uint64_t write_errors = 0;
    std::uint64_t unread = 0;  ///< messages that it has not come to yet
    std::string problem;       ///< why nothing is written now; empty: all is well
  };
  Counters counters() const;

  /// Copies of what is known of hosts, for queries.
  std::vector<HostId> hosts() const;
  SelectedEntities select(const HostId& host, const SeriesSelector& selector) const;
  std::vector<std::int64_t> dirty_hours(const HostId& host) const;
  /// Rows of the host with a tick in [from_us, to_us), oldest first. To be taken before the database's view: rows below
  /// the view's HostProgress::next_lsn are in its pages.
  std::vector<HeadRow> head(const HostId& host, std::int64_t from_us, std::int64_t to_us) const;

 private:
  /// A catalog's place, found once: looking for it takes as long as the catalog is large.
  struct Placed {
    std::weak_ptr<const wire::KnownCatalog> known;
    std::shared_ptr<const PlacedCatalog> catalog;  // null: there was no room on that day
    std::uint32_t seen_day = 0;                    // that its entities were last marked with
    std::uint64_t used_at = 0;                     // frame of the host
  };
  struct Host {
    HostEntities entities;
    keys::HostProgress progress;
    wire::KnownCatalogs catalogs;
    wire::FrameBases bases;  // what the first row builds on
    std::vector<EncodedRow> rows;
    HeadSize size;               // of all rows
    std::vector<Placed> placed;  // of catalogs in use
    std::uint64_t frames = 0;
    std::optional<Timestamp> rolled_up_at;  // controller's clock
    std::uint32_t full_on_day = 0;  // nothing that was seen last before that day is left to be forgotten; 0: not full
    Timestamp last_received{};
  };

  PageWriter(RocksDb& db, bool read_only, std::size_t host_entities_bytes_max)
      : db_(db), read_only_(read_only), host_entities_bytes_max_(host_entities_bytes_max) {}
  void run();
  Status load();
  Status begin_reading();
  Status read_on();
  Status read_some(std::uint64_t last_lsn, std::vector<RawMessage>& messages) const;
  Status pass_damage(std::uint64_t last_lsn, const Error& damage);
  Status take(const RawMessage& message);
  struct Read {
    Host* host = nullptr;
    std::shared_ptr<const wire::KnownCatalog> known;
    std::shared_ptr<const wire::EncodedFrame> frame;  // null: the message was a catalog
  };
  Result<Read> read(const RawMessage& message);
  void pass_over(const Read& read);
  void note_undecoded(const HostId& id, std::uint64_t frames, const std::string& why);
  std::shared_ptr<const PlacedCatalog> place_of(Host& host, const HostId& id,
                                                const std::shared_ptr<const wire::KnownCatalog>& known,
                                                std::uint32_t day);
  bool make_room(Host& host, const HostId& id, const Catalog& catalog, std::uint32_t day);
  /// Numbers are found anew, also of what is listed again.
  static void forget_places(Host& host) { host.placed.clear(); }
  /// Writes out every chunk of the host that is complete; all: also the last. Joins and rolls up what has ended.
  Status write_out(Host& host, const HostId& id, bool all);
  /// How many of the first `count` rows were sealed: fewer if their pages would be too large.
  Result<std::size_t> seal_rows(Host& host, const HostId& id, std::size_t count);
  /// Joins chunks that follow each other; how many pages come of it.
  Result<std::uint64_t> join_pages(const HostId& id, std::span<const keys::PagePlace> chunks,
                                   RocksDb::Batch& batch) const;
  Status join_chunks(Host& host, const HostId& id);
  Status roll_up_hours(Host& host, const HostId& id, std::optional<std::int64_t> hour_under_way);
  /// Writes the batch with the progress, which becomes the host's if that succeeds.
  Status write(RocksDb::Batch& batch, Host& host, const HostId& id, keys::HostProgress progress);
  std::uint64_t position_without(const Host* host, std::size_t rows) const;

  RocksDb& db_;
  const bool read_only_;
  const std::size_t host_entities_bytes_max_;
  Scan scan_;

  std::mutex work_mutex_;  // who holds it does the work; taken before state_mutex_; guards the next six
  bool reading_ = false;
  bool blocked_ = false;          // rows wait that could not be written
  std::vector<HeadRow> decoded_;  // scratch
  Sealer sealer_;
  wire::LogInterval crowded_{std::chrono::minutes(10)};
  wire::LogInterval unexplained_{std::chrono::minutes(10)};

  mutable std::mutex state_mutex_;  // guards all below; they change only while work_mutex_ is held too
  std::map<HostId, Host> hosts_;
  std::set<std::uint64_t> fronts_;  // lsn of the first row of each host that has one
  std::uint64_t next_lsn_ = 1;      // to be read
  Counters counters_;

  std::uint64_t last_lsn_ = 0;  // there is; guarded by state_mutex_ alone, like the next two
  bool stopping_ = false;
  std::condition_variable wake_;

  std::thread thread_;
};

}  // namespace proteus::store
