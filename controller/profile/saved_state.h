#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"
#include "controller/profile/host_learner.h"
#include "controller/profile/move_accuracy.h"

/// What has been learned of hosts, so that whoever begins anew goes on from there. What is learned of VMs
/// (signature.h) is as old as a few minutes of telemetry, and made of them again.
namespace proteus::profile {

struct SavedHost {
  HostId host;
  std::string host_class;         ///< Fingerprint::host_class
  double cpu_capacity_cores = 0;  ///< that the CPU's curve and wait factor are of; 0: nothing is known of it
  Timestamp learned_until{};      ///< telemetry received later is not in it
  SavedCurve cpu;
  SavedCurve wait_factor;  ///< WaitFactorLearner
  SavedCurves answers;
};

/// How far predictions were off where VMs have moved.
struct SavedMoves {
  MoveAccuracy::Sums cpu;
  MoveAccuracy::Sums storage;
  MoveAccuracy::Sums network;
};

struct SavedProfile {
  std::optional<SavedMoves> moves;
  std::vector<SavedHost> hosts;
};

/// A part of it, as it is kept.
struct SavedRecord {
  std::string name;  ///< "moves", or "hosts/" and the host
  std::string bytes;
  bool operator==(const SavedRecord&) const = default;
};

/// Bytes, little-endian:
///   version u8 = 2 | XXH64 of what follows u64 | …
/// of a host
///   class: length u32, text | cores f64 | learned until i64, ns | six curves: CPU, wait factor, then as in
///   kCurveResources
///     scale u8 | width of the first bin f64 | bins u32                              its shape (CurveShape)
///     | newest i64, ns in the host's clock | bins with evidence u32
///     | for each of these, ascending: bin u32 | weight f64 | amount f64 | weight² f64 | amount²/weight f64
/// of moves
///   weight f64 | errors f64 | squares f64, three times: CPU, storage, network
std::vector<SavedRecord> encode(const SavedProfile& profile);
/// Errors: kCorrupt; kUnsupported for a name or version that nobody knows, or evidence in bins of another shape than
/// today's.
Result<SavedProfile> decode(std::span<const SavedRecord> records);

}  // namespace proteus::profile
