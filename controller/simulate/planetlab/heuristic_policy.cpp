#include "controller/simulate/planetlab/heuristic_policy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "controller/simulate/planetlab/initial_placement.h"

namespace proteus::simulate::planetlab {
namespace {

constexpr double kMfpedUtilisation = 0.60;

/// Of the emptied host candidates the least used; kHosts if there is none.
std::size_t least_used(const Cluster& cluster, const Sketch& sketch, const std::vector<bool>& excluded) {
  std::size_t least = kHosts;
  for (std::size_t h = 0; h < kHosts; ++h) {
    const double utilisation = cluster.host(h).utilisation;
    if (excluded[h] || sketch.vms(h).empty() || utilisation >= 1) continue;
    if (least == kHosts || utilisation < cluster.host(least).utilisation) least = h;
  }
  return least;
}

}  // namespace

Result<std::vector<std::size_t>> HeuristicPolicy::place(const Cluster& cluster) {
  return place_at_full_size(cluster, by_id(cluster), [&](std::size_t h, std::size_t, double mips) {
    const HostType& host = cluster.host(h).type;
    // By MFPED all hosts are equally far from their best utilisation yet, so only the tie is left to decide.
    if (rule_ == TargetRule::kMfped) return -host.mips_per_watt();
    return host.power(mips / host.mips()) - host.power(0);
  });
}

Decision HeuristicPolicy::decide(const Cluster& cluster) {
  Decision decision;
  Sketch sketch(cluster, detector_);
  Excluded not_targets(kHosts, false);
  std::vector<std::size_t> taken;
  for (std::size_t h = 0; h < kHosts; ++h) {
    if (cluster.host(h).utilisation == 0) not_targets[h] = true;
  }
  Excluded overloaded(kHosts, false);
  for (std::size_t h = 0; h < kHosts; ++h) {
    if (!sketch.overloaded(h)) continue;
    overloaded[h] = not_targets[h] = true;
    ++decision.overloaded;
    do {
      const auto& vms = sketch.vms(h);
      const std::size_t vm = *std::min_element(vms.begin(), vms.end(), [&](std::size_t a, std::size_t b) {
        return cluster.vm(a).type.ram_mb < cluster.vm(b).type.ram_mb;
      });
      taken.push_back(vm);
      sketch.remove(h, vm);
    } while (sketch.overloaded(h));
  }
  decision.taken = taken.size();
  relocate(cluster, std::move(taken), overloaded, false, sketch, decision.moves);

  Excluded not_emptied = not_targets;
  for (;;) {
    const std::size_t host = least_used(cluster, sketch, not_emptied);
    if (host == kHosts) return decision;
    not_emptied[host] = not_targets[host] = true;
    const std::size_t before = decision.moves.size();
    relocate(cluster, sketch.vms(host), not_targets, true, sketch, decision.moves);
    for (std::size_t i = before; i < decision.moves.size(); ++i) not_emptied[decision.moves[i].target] = true;
  }
}

bool HeuristicPolicy::relocate(const Cluster& cluster, std::vector<std::size_t> vms, const Excluded& excluded, bool all,
                               Sketch& sketch, std::vector<Move>& moves) const {
  std::stable_sort(vms.begin(), vms.end(),
                   [&](std::size_t a, std::size_t b) { return cluster.vm(a).requested > cluster.vm(b).requested; });
  const std::size_t before = moves.size();
  bool found_all = true;
  for (const std::size_t vm : vms) {
    const std::optional<std::size_t> target = find_target(cluster, vm, excluded, sketch);
    if (target) {
      sketch.add(*target, vm);
      moves.push_back({vm, *target});
      continue;
    }
    found_all = false;
    if (!all) continue;
    for (std::size_t i = before; i < moves.size(); ++i) sketch.remove(moves[i].target, moves[i].vm);
    moves.resize(before);
    break;
  }
  return found_all;
}

std::optional<std::size_t> HeuristicPolicy::find_target(const Cluster& cluster, std::size_t vm,
                                                        const Excluded& excluded, const Sketch& sketch) const {
  std::optional<std::size_t> best;
  std::pair<double, double> best_cost;  // the second decides between equals
  for (std::size_t h = 0; h < kHosts; ++h) {
    if (excluded[h] || !sketch.fits(h, vm)) continue;
    const Host& host = cluster.host(h);
    const double allocated = sketch.allocated(h);
    std::pair<double, double> cost;
    if (rule_ == TargetRule::kMfped) {
      cost = {std::abs(host.utilisation - kMfpedUtilisation), -host.type.mips_per_watt()};
    } else {
      const double after = (allocated + cluster.vm(vm).requested) / host.type.mips();
      // Quirk: the wattage before is that of the newest refresh, and an idle host's for one that is off.
      cost = {host.type.power(after) - host.type.power(host.utilisation), 0};
    }
    if (best && !(cost < best_cost)) continue;
    // The costly test last: most hosts are not better than the best so far.
    if (allocated != 0 && sketch.overloaded_with(h, vm)) continue;
    best = h;
    best_cost = cost;
  }
  return best;
}

Result<std::vector<std::size_t>> StaticPolicy::place(const Cluster& cluster) {
  return place_at_full_size(cluster, by_id(cluster), [](std::size_t, std::size_t, double) { return 0; });
}

}  // namespace proteus::simulate::planetlab
