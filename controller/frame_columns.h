#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/telemetry.h"

namespace proteus::controller {

/// A series of a catalog. Small, like what follows: a large cluster's columns are read each second, and are in no
/// cache.
using Column = std::uint32_t;
constexpr Column kNoColumn = std::numeric_limits<Column>::max();

/// A counter's column with the last value seen, so that a step can be told from a restart.
struct Counter {
  std::int64_t last = 0;
  Column column = kNoColumn;
  bool seen = false;  ///< `last` is

  /// Growth since the last frame; nullopt if absent, first seen or restarted.
  /// An absent reading begins anew: what follows it covers more than one tick.
  std::optional<double> step(const Frame& frame) {
    if (column == kNoColumn || frame.present[column] == 0) {
      seen = false;
      return std::nullopt;
    }
    const std::int64_t value = frame.values[column];
    const std::int64_t before = std::exchange(last, value);
    if (!std::exchange(seen, true) || value < before) return std::nullopt;
    return static_cast<double>(value - before);
  }
};

/// Of the slow lane: not told at each tick, and what is told covers the time since it last was.
struct SlowCounter : Counter {
  std::optional<double> step(const Frame& frame) {
    if (column != kNoColumn && frame.present[column] == 0) return std::nullopt;
    return Counter::step(frame);
  }
};

/// nullopt if the frame has no such figure.
inline std::optional<std::int64_t> gauge(const Frame& frame, Column column) {
  if (column == kNoColumn || frame.present[column] == 0) return std::nullopt;
  return frame.values[column];
}

/// Where one VM's figures stand in the frames of one catalog.
struct VmColumns {
  struct Vcpu {
    std::string name;
    Counter run;
    Counter wait;
    std::array<Counter, 2> exits;  // to user space: for a port, for memory of a device
  };
  struct Disk {
    std::array<SlowCounter, 2> bytes;     // read, written
    std::array<SlowCounter, 2> requests;  // reads and writes, flushes
    SlowCounter time;
  };
  struct Tap {
    std::array<Counter, 2> bytes;  // received, sent
    Counter packets;
    std::array<Counter, 2> drops;  // received, sent
  };
  VmId vm;
  std::size_t entity = 0;  ///< index in the catalog
  std::vector<Vcpu> vcpus;
  Counter throttled;
  Counter memory_stalled;
  std::map<std::string, Disk> disks;  // by target
  std::map<std::string, Tap> taps;    // by device
  std::optional<Timestamp> last_disk_change;
  std::optional<Timestamp> last_storage_tick;
  std::vector<Counter> latency;       // by histogram bucket; empty without the trace lane
  std::vector<Counter> exit_latency;  // the same, of exits to user space; empty unless somebody asks
  Column state = kNoColumn;
  Column vcpus_count = kNoColumn;
  Column vcpus_max = kNoColumn;
  Column quota = kNoColumn;
  Column period = kNoColumn;
  Column shares = kNoColumn;
  Column memory = kNoColumn;
  Column memory_max = kNoColumn;
  Column resident = kNoColumn;
  Column usable = kNoColumn;
  Column dirty = kNoColumn;
};

/// Where one host's figures stand in the frames of one catalog.
struct HostColumns {
  std::vector<VmColumns> vms;
  Counter cpu_time;
  Counter memory_stalled;
  Column capacity = kNoColumn;
  Column memory_total = kNoColumn;
  Column memory_available = kNoColumn;
};

/// The columns of a catalog. before: those of the host's catalog until now; same_boot: its agent has not restarted
/// since, so counters go on from their last value. Otherwise a restart of theirs may have been missed.
HostColumns find_columns(const Catalog& catalog, const HostColumns& before, bool same_boot);

}  // namespace proteus::controller
