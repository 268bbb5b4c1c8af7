#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "controller/simulate/planetlab/cluster.h"
#include "controller/simulate/planetlab/detector.h"

namespace proteus::simulate::planetlab {

/// A step's plan while it is made: VMs put elsewhere on paper, and what the hosts would look like. Thread: owned by
/// one.
class Sketch {
 public:
  /// No migration is under way. cluster: outlives the sketch.
  Sketch(const Cluster& cluster, const Detector& detector);

  const std::vector<std::size_t>& vms(std::size_t host) const { return hosts_[host].vms; }
  /// MIPS that the host's VMs get.
  double allocated(std::size_t host) const { return hosts_[host].allocated; }

  void add(std::size_t host, std::size_t vm);
  void remove(std::size_t host, std::size_t vm);

  /// The host has a core that is large enough, and as many MIPS free.
  bool fits(std::size_t host, std::size_t vm) const;
  bool overloaded(std::size_t host) const;
  bool overloaded_with(std::size_t host, std::size_t vm) const;

 private:
  using History = std::array<double, Detector::kHistory>;
  struct Host {
    std::vector<std::size_t> vms;
    double requested = 0;
    double allocated = 0;
    double free = 0;
    History history{};  ///< share of the host's MIPS, newest first
  };
  void add_history(std::size_t host, std::size_t vm, History& history) const;
  void share(std::size_t host);

  const Cluster& cluster_;
  const Detector& detector_;
  std::vector<Host> hosts_;
  std::vector<Share> shares_;
};

}  // namespace proteus::simulate::planetlab
