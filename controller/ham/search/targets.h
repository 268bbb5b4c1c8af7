#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "controller/ham/search/workspace.h"

namespace proteus::ham {

/// Hosts of one kind are alike but for who is on them: capacity in cores, speed, memory, watts at rest.
using HostKind = std::tuple<double, double, std::int64_t, double>;
HostKind kind_of(const HostModel& host);

/// The hosts to try a VM on. In a thorough search all of them, by index, so that what is forbidden is explained; in a
/// large cluster first those where VMs are that it belongs together with, then in turn the least used of each kind,
/// since which kind suits a VM is not to be seen from use; those asleep at last, and only so many of each kind.
class Targets {
 public:
  explicit Targets(const Workspace& workspace);
  /// The host's load has changed.
  void update(std::size_t host);
  /// Calls visit(host) for each host but the VM's own until it returns false.
  template <typename Visit>
  void for_each(std::size_t vm, const Visit& visit) const {
    const std::size_t own = workspace_.plan.placement(vm).host;
    for (const std::size_t host : partners(vm)) {
      if (host != own && !visit(host)) return;
    }
    if (workspace_.thorough) {
      for (std::size_t host = 0; host < workspace_.model.hosts.size(); ++host) {
        if (host != own && !visit(host)) return;
      }
      return;
    }
    const auto go_on = [&](std::size_t host) {
      return host == own || !workspace_.model.pins_allow(vm, host) || visit(host);
    };
    for (const std::vector<ByUse>& kinds : by_use_) {
      if (!each_in_turn(kinds, go_on)) return;
    }
  }

 private:
  using ByUse = std::set<std::pair<double, std::size_t>>;
  static constexpr std::size_t kKindsMax = 8;  ///< hosts of more kinds are taken for one

  /// False: so did visit().
  template <typename Visit>
  static bool each_in_turn(const std::vector<ByUse>& kinds, const Visit& visit) {
    std::array<ByUse::const_iterator, kKindsMax> next;
    for (std::size_t kind = 0; kind < kinds.size(); ++kind) next[kind] = kinds[kind].begin();
    for (bool more = true; more;) {
      more = false;
      for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
        if (next[kind] == kinds[kind].end()) continue;
        more = true;
        if (!visit((next[kind]++)->second)) return false;
      }
    }
    return true;
  }

  bool may_take(std::size_t host) const;
  void sort_by_kind();
  ByUse& group_of(std::size_t host);
  /// In a large cluster: hosts of VMs that this one belongs together with.
  std::vector<std::size_t> partners(std::size_t vm) const;
  double use_of(std::size_t host) const;

  const Workspace& workspace_;
  std::vector<double> use_;                   ///< by host; negative: it is no target
  std::vector<std::size_t> kind_;             ///< by host
  std::array<std::vector<ByUse>, 2> by_use_;  ///< [asleep][kind]
};

}  // namespace proteus::ham
