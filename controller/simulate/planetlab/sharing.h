#pragma once

#include <cstdint>
#include <span>

#include "controller/simulate/planetlab/machines.h"

namespace proteus::simulate::planetlab {

/// Where a VM stands towards the host that shares its CPU.
enum class Transit : std::uint8_t { kNone, kOut, kIn };

/// One VM's part of a host.
struct Share {
  double requested = 0;  ///< MIPS
  Transit transit = Transit::kNone;
  double allocated = 0;  ///< MIPS; filled in by share_cpu

  /// What it takes of the host: a VM on its way out costs the tenth that it loses as well.
  double used() const { return transit == Transit::kOut ? allocated / kOutgoingShare : allocated; }

  static constexpr double kOutgoingShare = 0.9;
  static constexpr double kIncomingShare = 0.1;
};

/// Shares a host's CPU among its VMs, in their order: each gets what it asks for, one core at most. A VM on its way out
/// gets nine tenths, one on its way in a tenth. If more is asked than there is, all are scaled down, to whole MIPS.
/// Returns the MIPS left over.
double share_cpu(const HostType& host, std::span<Share> vms);

}  // namespace proteus::simulate::planetlab
