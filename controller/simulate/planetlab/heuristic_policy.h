#pragma once

#include <cstdint>
#include <optional>

#include "controller/simulate/planetlab/detector.h"
#include "controller/simulate/planetlab/policy.h"
#include "controller/simulate/planetlab/sketch.h"

namespace proteus::simulate::planetlab {

/// How a target is chosen among the hosts where a VM fits.
enum class TargetRule : std::uint8_t {
  kPabfd,  ///< the least growth of power. Source: Beloglazov & Buyya (2012)
  kMfped   ///< utilisation nearest to 60 %, then most MIPS a watt. Source: Moges & Abebe (2019)
};

/// The published policies: VMs with the least RAM leave overloaded hosts (MMT); then hosts are emptied, the least
/// used first, as long as all their VMs fit elsewhere.
class HeuristicPolicy final : public Policy {
 public:
  HeuristicPolicy(Detector detector, TargetRule rule) : detector_(detector), rule_(rule) {}
  Result<std::vector<std::size_t>> place(const Cluster& cluster) override;
  Decision decide(const Cluster& cluster) override;

 private:
  using Excluded = std::vector<bool>;
  /// Puts the VMs elsewhere, those that ask for most first. False if one fits nowhere; if `all`, none is moved then.
  bool relocate(const Cluster& cluster, std::vector<std::size_t> vms, const Excluded& excluded, bool all,
                Sketch& sketch, std::vector<Move>& moves) const;
  std::optional<std::size_t> find_target(const Cluster& cluster, std::size_t vm, const Excluded& excluded,
                                         const Sketch& sketch) const;

  Detector detector_;
  TargetRule rule_;
};

/// CloudSim's DVFS case: the first host by id where a VM fits, and no migration.
class StaticPolicy final : public Policy {
 public:
  Result<std::vector<std::size_t>> place(const Cluster& cluster) override;
  Decision decide(const Cluster&) override { return {}; }
};

}  // namespace proteus::simulate::planetlab
