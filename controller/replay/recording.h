#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "common/units.h"
#include "controller/store/allowance.h"
#include "controller/store/store.h"

namespace proteus::replay {

/// What a recording is cut from.
struct RecordOptions {
  std::optional<Timestamp> from{};  ///< nullopt: the controller's last beginning before `to`
  Timestamp to{};
  Timestamp now = Timestamp::max();  ///< what is dated later was so by a clock that was ahead
  std::vector<HostId> hosts;         ///< telemetry of these only; empty: of all
};

/// What a recording says of itself.
struct RecordingSummary {
  std::string version;  ///< of the program that cut it
  Timestamp from{};     ///< when the controller began that it starts with
  Timestamp to{};       ///< everything in it is older
  std::uint64_t raw_messages = 0;
  std::uint64_t journal_entries = 0;
  std::vector<HostId> hosts;  ///< whose telemetry is in it, sorted
  /// Cycles until then had taken in telemetry that is not there: it has expired, or is of hosts that were left out.
  /// What a replay decides until some time after that may differ from what was decided.
  std::optional<Timestamp> missing_until;
  bool begins_later = false;  ///< than was asked for, as no controller had begun by then; not known when it is read
};

/// The first bytes of every recording.
inline constexpr std::string_view kRecordingMagic = "PROTEUSR";

/// Cuts a range of a store into one portable file. It begins with the controller's last beginning at or before `from`,
/// so that a replay meets every input that shaped the decisions, else with its first; and ends before `to`.
///
/// The file, all numbers little-endian:
///   offset 0   8 bytes  "PROTEUSR"
///          8   u32      version of the format, 1
///         12   u32      size n of the description
///         16   n bytes  i64 from (ns), i64 to (ns), u16 size of the program's version, version
///       16+n   u64      XXH64 of the n bytes, seed 0
///   then chunks:
///              u32      size of the compressed bytes, > 0
///              u32      size of the bytes uncompressed, at most 80 MiB
///              u64      XXH64 of the compressed bytes, seed 0
///              …        zstd frame
///   then the trailer, the end of the file:
///              u32      0
///              u32      size m
///              m bytes  u64 telemetry messages, u64 journal entries, then for each host u16 size of its name, name
///              u64      XXH64 of the m bytes, seed 0
/// A chunk holds whole entries:
///              u8       1 telemetry, 2 journal
///              u64      lsn
///              u32      size of what follows
///   telemetry: i64 received (ns), u64 boot id, u64 sequence (0: a catalog), u32 catalog version, u64 base sequence,
///              u16 size of the host's name, name, bytes of schema::Upstream
///   journal:   bytes of the journal entry (schemas/journal.capnp)
/// n and m are at most 1 MiB. Bytes behind the description's version are passed over. Entries ascend by lsn, which
/// readers do not check; telemetry may be older than `from`: what the run read again, with the catalogs and base frames
/// that it takes. The trailer's hosts are not checked against the entries.
/// A clock may have been set back: what is older than `to` is looked for until all entries of two hours were not.
/// Errors: the store's; kNotFound if nothing lies in the range, kUnavailable if the file cannot be written. The file is
/// whole or not there.
Result<RecordingSummary> write_recording(const store::Store& store, const RecordOptions& options,
                                         const std::string& path);

/// Takes what comes next, a few MiB at most. An error ends the recording and is its own.
using RecordingSink = std::function<Status(std::string_view)>;
/// The same, piece by piece. Ends when nobody waits for it, by the allowance. Errors: the store's, the sink's, the
/// allowance's; kNotFound if nothing lies in the range.
Result<RecordingSummary> write_recording(const store::Store& store, const RecordOptions& options,
                                         store::Allowance& allowance, const RecordingSink& sink);

constexpr std::string_view kStandardInput = "-";

/// Reads a recording, in the order of Store::scan. A callback that returns false ends it; one that is not set passes
/// over. The summary counts what was read; hosts are known only at the end. Errors: kNotFound; kPermissionDenied;
/// kCorrupt, saying how many entries before it were good, all of which the callbacks have had, and of when the newest
/// is; kUnsupported for another version. progress: told after each chunk which share of the file has been read, 0 to 1;
/// of what has no size never. path: kStandardInput is what it says.
Result<RecordingSummary> read_recording(const std::string& path, const store::Store::Visitor& visitor,
                                        const std::function<void(double)>& progress = {});

}  // namespace proteus::replay
