#pragma once

#include <cstddef>
#include <vector>

#include "controller/simulate/planetlab/cluster.h"

namespace proteus::simulate::planetlab {

/// What a policy wants done at a control step.
struct Decision {
  std::vector<Move> moves;     ///< in the order in which they begin
  std::size_t overloaded = 0;  ///< hosts that it took to be overloaded
  std::size_t taken = 0;       ///< VMs that it wanted away from them
};

/// Decides who runs where. It sees the past and the present of the cluster, never the traces. Thread: owned by one.
class Policy {
 public:
  virtual ~Policy() = default;
  /// Before time begins: a host for each VM, by id. Nothing is known but the VMs' sizes; RAM, bandwidth and MIPS of
  /// a host must suffice for the full sizes of its VMs. Errors: kFailedPrecondition if a VM fits nowhere.
  virtual Result<std::vector<std::size_t>> place(const Cluster& cluster) = 0;
  /// At a control step; no migration is under way.
  virtual Decision decide(const Cluster& cluster) = 0;
};

}  // namespace proteus::simulate::planetlab
