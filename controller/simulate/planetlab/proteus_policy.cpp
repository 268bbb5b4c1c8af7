#include "controller/simulate/planetlab/proteus_policy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "controller/simulate/planetlab/initial_placement.h"

namespace proteus::simulate::planetlab {
namespace {

HostLoad operator+(const HostLoad& a, const HostLoad& b) {
  return {.now = a.now + b.now,
          .expected = a.expected + b.expected,
          .variance = a.variance + b.variance,
          .later = a.later + b.later,
          .later_variance = a.later_variance + b.later_variance};
}
HostLoad operator-(const HostLoad& a, const HostLoad& b) {
  return {.now = a.now - b.now,
          .expected = a.expected - b.expected,
          .variance = a.variance - b.variance,
          .later = a.later - b.later,
          .later_variance = a.later_variance - b.later_variance};
}

double with_margin(double expected, double variance, double margin) {
  return expected + margin * std::sqrt(std::max(0.0, variance));
}

bool fits(const HostLoad& load, double mips, double margin) {
  return load.now <= mips && with_margin(load.expected, load.variance, margin) <= mips;
}

/// One step's plan while it is made.
class Plan {
 public:
  Plan(const Cluster& cluster, const Outlook& outlook, const ProteusParameters& parameters)
      : cluster_(cluster),
        parameters_(parameters),
        vms_(cluster.vm_count()),
        hosts_(kHosts),
        awake_(kHosts),
        receives_(kHosts, false),
        sheds_(kHosts, false) {
    for (std::size_t i = 0; i < vms_.size(); ++i) {
      const Vm& vm = cluster.vm(i);
      if (!vm.alive()) continue;
      const Demand demand = outlook.demand(i);
      const double weight = parameters.now_weight;
      const double mips = vm.type.mips;
      vms_[i] = {.now = vm.requested,
                 .expected = weight * vm.requested + (1 - weight) * demand.soon.median * mips,
                 .variance = std::pow(demand.soon.spread * mips, 2),
                 .later = demand.later.median * mips,
                 .later_variance = std::pow(demand.later.spread * mips, 2)};
      hosts_[vm.host] = hosts_[vm.host] + vms_[i];
      if (vm.requested > 0) awake_[vm.host].push_back(i);
    }
  }

  /// Sends VMs away from hosts that are overloaded or about to be.
  void shed(Decision& decision) {
    for (std::size_t h = 0; h < kHosts; ++h) {
      if (!on(h) || fits(hosts_[h], mips(h), parameters_.shed_margin)) continue;
      ++decision.overloaded;
      sheds_[h] = true;
    }
    for (std::size_t h = 0; h < kHosts; ++h) {
      while (sheds_[h] && awake_[h].size() > 1 && !fits(hosts_[h], mips(h), parameters_.relief_margin)) {
        const std::size_t vm = choose_to_shed(h);
        ++decision.taken;
        std::size_t target = roomiest(vm);
        if (target == kHosts) target = host_to_switch_on(vm);
        if (target == kHosts) break;
        move(vm, target, decision);
      }
    }
  }

  /// Empties hosts while the others have room, those with the fewest VMs first.
  void drain(Decision& decision) {
    std::vector<std::size_t> candidates;
    for (std::size_t h = 0; h < kHosts; ++h) {
      if (on(h) && !sheds_[h] && !receives_[h]) candidates.push_back(h);
    }
    std::stable_sort(candidates.begin(), candidates.end(), [&](std::size_t a, std::size_t b) {
      if (efficiency(a) != efficiency(b)) return efficiency(a) < efficiency(b);
      if (awake_[a].size() != awake_[b].size()) return awake_[a].size() < awake_[b].size();
      return hosts_[a].expected < hosts_[b].expected;
    });
    for (const std::size_t h : candidates) {
      if (!receives_[h]) empty(h, decision);
    }
  }

 private:
  bool on(std::size_t h) const { return !awake_[h].empty(); }
  double mips(std::size_t h) const { return cluster_.host(h).type.mips(); }
  double efficiency(std::size_t h) const { return cluster_.host(h).type.mips_per_watt(); }

  /// Of all hosts that are on, as a share of what they have.
  double expected_use() const {
    double expected = 0;
    double capacity = 0;
    for (std::size_t h = 0; h < kHosts; ++h) {
      if (!on(h)) continue;
      expected += hosts_[h].expected;
      capacity += mips(h);
    }
    return expected / capacity;
  }

  /// The VM whose going suffices at the least cost: time to move it, and work lost meanwhile. If none suffices, the
  /// one that asks for most.
  std::size_t choose_to_shed(std::size_t h) const {
    std::size_t best = awake_[h].front();
    double best_cost = std::numeric_limits<double>::infinity();
    for (const std::size_t vm : awake_[h]) {
      const bool suffices = fits(hosts_[h] - vms_[vm], mips(h), parameters_.relief_margin);
      const double cost =
          suffices ? cluster_.vm(vm).migration_s() * (kTypicalMips + vms_[vm].now) : kInsufficient - vms_[vm].now;
      if (cost >= best_cost) continue;
      best = vm;
      best_cost = cost;
    }
    return best;
  }

  bool may_receive(std::size_t h, std::size_t vm, double margin) const {
    return on(h) && !sheds_[h] && cluster_.host(h).type.core_mips >= vms_[vm].now &&
           fits(hosts_[h] + vms_[vm], mips(h), margin);
  }

  std::size_t roomiest(std::size_t vm) const {
    std::size_t best = kHosts;
    double best_room = 0;
    for (std::size_t h = 0; h < kHosts; ++h) {
      if (!may_receive(h, vm, parameters_.fit_margin)) continue;
      const double room = mips(h) - hosts_[h].expected;
      if (best != kHosts && room <= best_room) continue;
      best = h;
      best_room = room;
    }
    return best;
  }

  /// The most efficient host that is off.
  std::size_t host_to_switch_on(std::size_t vm) const {
    std::size_t best = kHosts;
    for (std::size_t h = 0; h < kHosts; ++h) {
      if (on(h) || cluster_.host(h).type.core_mips < vms_[vm].now) continue;
      if (best == kHosts || efficiency(h) > efficiency(best)) best = h;
    }
    return best;
  }

  void move(std::size_t vm, std::size_t target, Decision& decision) {
    const std::size_t source = cluster_.vm(vm).host;
    hosts_[source] = hosts_[source] - vms_[vm];
    hosts_[target] = hosts_[target] + vms_[vm];
    std::erase(awake_[source], vm);
    awake_[target].push_back(vm);
    receives_[target] = true;
    decision.moves.push_back({vm, target});
  }

  /// All VMs that are awake go elsewhere, or none. The fullest host where a VM fits is taken, one that receives
  /// already before all others: a host that receives counts as overloaded until the move is done, however many come.
  void empty(std::size_t source, Decision& decision) {
    std::vector<std::size_t> vms = awake_[source];
    std::stable_sort(vms.begin(), vms.end(),
                     [&](std::size_t a, std::size_t b) { return vms_[a].expected > vms_[b].expected; });
    std::vector<HostLoad> after = hosts_;
    std::vector<bool> receives = receives_;
    std::vector<std::size_t> targets;
    const double margin = parameters_.drain_margin +
                          parameters_.drain_margin_per_move * static_cast<double>(vms.size()) -
                          parameters_.drain_haste * (parameters_.drain_use - expected_use());
    for (const std::size_t vm : vms) {
      std::size_t best = kHosts;
      for (std::size_t h = 0; h < kHosts; ++h) {
        if (h == source || !on(h) || sheds_[h] || cluster_.host(h).type.core_mips < vms_[vm].now) continue;
        const auto preference = [&](std::size_t host) {
          return std::tuple(efficiency(host), bool{receives[host]}, after[host].expected);
        };
        if (best != kHosts && preference(h) <= preference(best)) continue;
        const HostLoad load = after[h] + vms_[vm];
        const double later = with_margin(load.later, load.later_variance, parameters_.later_margin);
        if (fits(load, mips(h), margin) && later <= mips(h)) best = h;
      }
      if (best == kHosts) return;
      after[best] = after[best] + vms_[vm];
      receives[best] = true;
      targets.push_back(best);
    }
    for (std::size_t i = 0; i < vms.size(); ++i) move(vms[i], targets[i], decision);
  }

  /// Puts the time of a move and what is lost meanwhile into proportion.
  static constexpr double kTypicalMips = 200;
  static constexpr double kInsufficient = 1e12;

  const Cluster& cluster_;
  const ProteusParameters& parameters_;
  std::vector<HostLoad> vms_;
  std::vector<HostLoad> hosts_;
  std::vector<std::vector<std::size_t>> awake_;
  std::vector<bool> receives_;
  std::vector<bool> sheds_;
};

}  // namespace

Result<std::vector<std::size_t>> ProteusPolicy::place(const Cluster& cluster) {
  // Most VMs will leave at once for the few hosts that are needed, as soon as RAM binds no more. Those that stay are
  // moves saved, so the hosts that will be kept, which are those with most VMs, get as many small VMs as they hold:
  // small ones are placed from one end, those that need a large core from the other.
  std::vector<std::size_t> order = by_id(cluster);
  const auto large = [&](std::size_t vm) { return cluster.vm(vm).type.mips > kHostTypes[0].core_mips; };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (large(a) != large(b)) return large(a);
    return cluster.vm(a).type.ram_mb < cluster.vm(b).type.ram_mb;
  });
  return place_at_full_size(cluster, order, [&](std::size_t h, std::size_t vm, double) {
    const double from_its_end = large(vm) ? static_cast<double>(kHosts - h) : static_cast<double>(h);
    return from_its_end - cluster.host(h).type.mips_per_watt() * kHosts;
  });
}

Decision ProteusPolicy::decide(const Cluster& cluster) {
  outlook_->observe(cluster);
  Decision decision;
  Plan plan(cluster, *outlook_, parameters_);
  plan.shed(decision);
  plan.drain(decision);
  return decision;
}

}  // namespace proteus::simulate::planetlab
