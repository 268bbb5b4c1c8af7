#pragma once

#include <cstdint>
#include <optional>

namespace proteus::ham {

/// What a pre-copy live migration is expected to take.
struct MigrationPrediction {
  double duration_s = 0;    ///< from the start of copying until the VM runs at the target
  double downtime_s = 0;    ///< paused on both sides
  double copied_bytes = 0;  ///< over all rounds
  double throttled_s = 0;   ///< seconds of its CPU that auto-converge takes from the VM, per running vCPU second
  int rounds = 0;           ///< before the pause
  bool converges = true;    ///< false: gave up after kPreCopyRoundsMax with more than the allowed downtime left
};

constexpr int kPreCopyRoundsMax = 30;

/// Pre-copy in geometric rounds: round 0 sends all the memory M in M/B seconds, each further round what was dirtied
/// during the one before, min(M, D·t), until the rest fits into the allowed downtime; then the VM pauses, the rest and
/// the device state are sent. If a round leaves more than half of what it sent, twice, auto-converge takes 20 % of the
/// VM's CPU and 10 % more each time (QEMU's defaults, up to 99 %), which slows dirtying in proportion. memory_bytes: to
/// be copied (resident); dirty_bytes_per_s: absent, a quarter of the bandwidth is assumed;
/// bandwidth_bytes_per_s > 0.
/// Sources: Clark et al., Live Migration of Virtual Machines, NSDI 2005; Akoush et al., Predicting the Performance of
/// Virtual Machine Migration, MASCOTS 2010; QEMU docs/devel/migration, auto-converge.
MigrationPrediction predict_migration(double memory_bytes, std::optional<double> dirty_bytes_per_s,
                                      double bandwidth_bytes_per_s, double downtime_s_max);

}  // namespace proteus::ham
