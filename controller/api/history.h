#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "controller/api/backend.h"
#include "controller/api/series_query.h"
#include "controller/store/allowance.h"

/// The journal as people ask for it. Thread: any.
namespace proteus::api {

/// Most entries in an answer, and how many of the newest are looked at unless a time is given.
constexpr std::size_t kHistoryEntriesMax = 100'000;
/// A depth for who looks for one entry, and stops there.
constexpr std::size_t kWholeJournal = std::numeric_limits<std::size_t>::max();

struct HistoryFilter {
  std::size_t limit = 200;  ///< newest entries
  bool all = false;         ///< also cycles, commands, the agents' single words and kept state
  std::optional<Timestamp> from;
  std::optional<Timestamp> to;
  std::vector<VmId> vms;           ///< what bears on one of them; empty: any
  std::vector<HostId> hosts;       ///< likewise, a migration's target included
  std::vector<std::string> kinds;  ///< "decision", … as `type` in the answer; empty: any, by `all`
};

/// limit, all, vm (name or UUID), host, kind, from, to. names: who a VM's name stands for now.
/// Errors: kInvalidArgument; kNotFound for a VM's name that nobody has or had.
Result<HistoryFilter> parse_history(const Parameters& parameters, const Snapshot& names,
                                    const store::SeriesReader* measured, Timestamp now);

/// Numbers (lsn) of the entries that are asked for, newest first: no more than one of the entries, which may be large,
/// is held at a time. known: actions whose VM and hosts need not be looked up. Errors: the store's; the allowance's.
Result<std::vector<std::uint64_t>> find_history(const store::Store& store, const HistoryFilter& filter,
                                                const std::vector<drs::ActionRecord>& known,
                                                store::Allowance& allowance);

/// A misspelt host is not one of which nothing is told. Errors: kNotFound for one that has not reported, and of which
/// neither telemetry nor anything in the journal is left; those of find_history().
Status check_hosts(const store::Store& store, const HistoryFilter& filter, const Snapshot& names,
                   store::Allowance& allowance);

/// `type` of the entry in JSON.
const char* kind_of(const store::JournalPayload& payload);

}  // namespace proteus::api
