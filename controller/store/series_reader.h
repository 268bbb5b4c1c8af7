#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "controller/store/allowance.h"
#include "controller/store/page_writer.h"
#include "controller/store/rocks_db.h"
#include "controller/store/rollup.h"
#include "controller/store/selection.h"
#include "controller/store/steps.h"

namespace proteus::store {

/// Reads what was measured: roll-ups where they serve, pages where they do not, and the ticks that are still in memory.
/// An hour that was rolled up is never decoded for steps of whole minutes. What is read takes no more than an
/// allowance: of a host with much, some entities after the others are read. Errors of all that reads, besides those
/// named: the allowance's. Thread: any.
class SeriesReader {
 public:
  /// Both outlive the object.
  SeriesReader(const RocksDb& db, const PageWriter& pages) : db_(db), pages_(pages), selection_(pages) {}

  const Selection& selection() const { return selection_; }

  struct HostSteps {
    const HostId& host;
    const SelectedEntities& entities;
    std::map<SeriesKey, std::vector<StepFigures>> series;  ///< those with a value; one figure for each step of the grid
  };
  /// One host after the other, of a large one some entities after the others. figures: which are needed, kSum in front
  /// of kWeight. False from `visit` ends it. Errors: kCorrupt.
  Status read_steps(const SeriesSelector& selector, const StepGrid& grid, const std::vector<keys::Figure>& figures,
                    Allowance& allowance, const std::function<bool(HostSteps)>& visit) const;

  /// Steps of one series that are complete.
  struct Stretch {
    const HostId& host;
    const SelectedEntity& entity;
    SeriesKey key;
    std::size_t series = 0;  ///< number within the part, from 0
    std::size_t first = 0;   ///< steps[i] is step first + i of the grid
    std::span<const StepFigures> steps;
  };
  /// Who joins series. What it is given comes in parts: entities of one host with all that is stored of them.
  struct Joiner {
    std::function<bool(const Stretch&)> take;  ///< false: the allowance is not enough for what becomes of it
    std::function<bool()> end_part;            ///< all of the part's stretches have been given; false ends it
    /// Those of the part under way come again, in smaller parts, since there was not enough memory. Empty: the joiner
    /// cannot take back what it has joined, and it is an error.
    std::function<void()> drop_part;
  };
  /// The same figures for who joins series: as pages are read, so that no more than a page's steps are held of a
  /// series. Of a series, each step once, ascending; also steps without a value. Errors: kCorrupt.
  Status stream_steps(const SeriesSelector& selector, const StepGrid& grid, const std::vector<keys::Figure>& figures,
                      Allowance& allowance, const Joiner& joiner) const;

  struct HostSamples {
    const HostId& host;
    const SelectedEntities& entities;
    struct Samples {
      std::vector<std::int64_t> times_us;
      std::vector<std::int64_t> values;
    };
    std::map<SeriesKey, Samples> series;
    bool goes_on = false;  ///< of its one entity, earlier values were visited before
  };
  /// Every value as it was measured, one host after the other, and of each some entities after the others, so that not
  /// too many values are held; of an entity that has too many of them, a time after the other. Errors: kCorrupt.
  Status read_samples(const SeriesSelector& selector, std::int64_t from_us, std::int64_t to_us, Allowance& allowance,
                      const std::function<bool(HostSamples)>& visit) const;
  /// Without limits.
  Status read_samples(const SeriesSelector& selector, std::int64_t from_us, std::int64_t to_us,
                      const std::function<bool(HostSamples)>& visit) const {
    Allowance all;
    return read_samples(selector, from_us, to_us, all, visit);
  }
  /// Whether there is a value at all. Errors: kCorrupt.
  Result<bool> has_samples(const SeriesSelector& selector, std::int64_t from_us, std::int64_t to_us,
                           Allowance& allowance) const;

 private:
  Status collect(Kpi kpi, std::int64_t from_us, std::int64_t to_us, Allowance::Share& share,
                 HostSamples& samples) const;
  /// The ticks of a page, or of rows of the head that share a catalog.
  struct Window {
    const std::vector<std::int64_t>& times_us;
    std::int64_t later_us = 0;  // no window that follows has an earlier tick
    std::uint32_t run = 0;      // of the host's clock
  };
  /// Of one series, what a window holds.
  struct Piece {
    const SeriesKey& key;
    const Window& window;
    std::span<const std::int64_t> values;
    std::span<const std::uint32_t> at;  // ticks of the values; empty: one for each tick
    bool at_ends = false;               // the values are those of the ticks that Taker::begin() gave, and no others
  };
  static bool has_value_in(const Piece& piece, std::int64_t from_us, std::int64_t to_us);
  struct Taker {
    /// Comes before the pieces of a window. Gives ticks that are enough of a series that only grows; empty: none are.
    std::function<std::span<const std::uint32_t>(const Window&)> begin;
    /// An error of it ends the reading.
    std::function<Status(const Piece&)> take;
  };
  Status read_range(const RocksDb::View& view, Kpi kpi, const HostId& host, const SelectedEntities& entities,
                    const std::vector<HeadRow>& head, std::int64_t from_us, std::int64_t to_us, Allowance::Share& share,
                    const Taker& taker) const;
  static void add(const StepTicks& ticks, const Piece& piece, StepCollector& collector);
  /// What steps are asked for.
  struct Asked {
    Kpi kpi{};
    const StepGrid& grid;
    const std::vector<keys::Figure>& figures;
  };
  Result<std::map<SeriesKey, std::vector<StepFigures>>> host_steps(const Asked& asked, const HostId& host,
                                                                   const SelectedEntities& entities,
                                                                   Allowance::Share& share) const;
  Status stream_host(const Asked& asked, const HostId& host, const SelectedEntities& entities, Allowance::Share& share,
                     const std::function<bool(const Stretch&)>& visit) const;
  Status stream_rolled(const SeriesSelector& selector, const StepGrid& grid, const std::vector<keys::Figure>& figures,
                       Allowance& allowance, const Joiner& joiner) const;
  /// How the reading of a part, some entities of a host, came out.
  enum class PartRead : std::uint8_t {
    kDone,
    kTooMuch,  ///< there was not enough memory for so many: they come again, in smaller parts
    kEnded     ///< whoever is given what is read wants no more
  };
  using ReadPart = std::function<Result<PartRead>(const HostId&, const SelectedEntities&)>;
  /// One host after the other; of each, all that is selected, or parts of it if that is too much.
  Status read_parts(const SeriesSelector& selector, Allowance& allowance, const ReadPart& read) const;
  Result<std::vector<HeadRow>> head_beside(const RocksDb::View& view, const HostId& host,
                                           std::vector<HeadRow> rows) const;

  const RocksDb& db_;
  const PageWriter& pages_;
  const Selection selection_;
};

}  // namespace proteus::store
