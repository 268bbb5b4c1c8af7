#include <algorithm>
#include <span>
#include <utility>

#include "controller/ham/search/targets.h"

namespace proteus::ham {
namespace {

/// Hosts tried for emptying in one cycle.
constexpr std::size_t kDrainsMax = 16;

bool takes_part(const HostModel& host) {
  return host.state->fresh && host.state->commandable && !host.state->maintenance;
}

/// It was woken not long ago.
bool rests(const Policy& policy, const HostState& host, Timestamp now) {
  return host.woken_at && now - *host.woken_at < policy.limits.awake_min;
}

/// For how long emptying a host is meant to last.
double sleep_payback_hours(const Workspace& w) {
  const Limits& limits = w.policy().limits;
  return std::max(w.model.payback_hours(), to_seconds(limits.sleep_payback) / 3600);
}

/// What soft rules charge for VMs that have left others behind on the host, who may follow them.
double parted_for_now(const Workspace& w, const std::vector<Change>& moves, std::size_t h) {
  double price = 0;
  for (const Change& move : moves) {
    for (const std::uint32_t rule : w.model.vms[move.vm].affinity) {
      const AffinityRule& affinity = w.policy().affinity[rule];
      const auto is_left = [&](std::size_t other) { return w.plan.placement(other).host == h; };
      const std::vector<std::size_t>& members = w.model.rule_vms[rule];
      if (affinity.hard || affinity.apart || std::none_of(members.begin(), members.end(), is_left)) continue;
      price += affinity.price_per_hour;
    }
  }
  return price;
}

void take_back(Workspace& w, const std::vector<PlanState::Saved>& saved) {
  for (auto it = saved.rbegin(); it != saved.rend(); ++it) w.plan.restore(*it);
}

/// Where all VMs of the host would go, best fit; changes empty: not all find a place, or it does not pay.
Option drain_option(Workspace& w, const Targets& targets, std::size_t h) {
  Option option;
  option.cause = Step::Cause::kConsolidate;
  std::vector<PlanState::Saved> saved;
  std::vector<std::size_t> vms = w.plan.vms_on(h);
  std::stable_sort(vms.begin(), vms.end(), [&](std::size_t a, std::size_t b) {
    return w.plan.placement(a).allocation.memory_bytes > w.plan.placement(b).allocation.memory_bytes;
  });
  double touched_cost = w.plan.cost_of_host(h);
  // How much of its price a move is spared that is paid back over a longer time.
  const double price_spared = 1 - w.model.payback_hours() / sleep_payback_hours(w);
  // What the last VM's leaving saves.
  const double at_rest = energy_cost(w.policy(), w.model.hosts[h], 0);
  bool all_placed = true;
  // Helpers there are ended: where they are still worth it, they are started elsewhere later.
  for (const std::size_t v : std::vector<std::size_t>(w.plan.helpers_on(h))) {
    const Change end{v, w.plan.placement(v).helped_on(kNowhere)};
    if (!w.eligible(v) || w.helped[v] || lasting_refusal(w.plan, end) || !w.spend()) {
      take_back(w, saved);
      option.changes.clear();
      return option;
    }
    option.gain += w.plan.evaluate(end).gain();
    option.changes.push_back(end);
    saved.push_back(w.plan.apply_saved(end));
  }
  for (const std::size_t v : vms) {
    Evaluation best;
    Change best_move;
    bool found = false;
    std::size_t accepted = 0;
    const Departure departure = w.plan.depart(v);
    targets.for_each(v, [&](std::size_t target) {
      // Filling a host that is empty, or asleep, empties nothing.
      if (w.plan.vms_on(target).empty()) return true;
      const Change move{v, w.plan.placement(v).on(target)};
      if (lasting_refusal(w.plan, move) || !w.spend()) return true;
      const Evaluation evaluation = w.plan.evaluate(move, departure);
      if (evaluation.hard_violations <= 0 && (!found || evaluation.gain() > best.gain())) {
        best = evaluation;
        best_move = move;
        found = true;
      }
      return w.thorough || ++accepted < kTargetsMax;
    });
    if (!found) {
      all_placed = false;
      break;
    }
    option.gain += best.gain() + price_spared * w.plan.move_price(v);
    option.price += best.delta.cost + best.delta.latency;
    touched_cost += w.plan.cost_of_host(best_move.to.host);
    option.changes.push_back(best_move);
    saved.push_back(w.plan.apply_saved(best_move));
    if (option.gain + at_rest + parted_for_now(w, option.changes, h) < 0) {
      all_placed = false;
      break;
    }
  }
  take_back(w, saved);
  // What is asked for beside that may take as long to come in.
  const Limits& limits = w.policy().limits;
  option.gain_required = w.model.gain_required(touched_cost) -
                         limits.gain_floor / w.model.payback_hours() * price_spared +
                         limits.emptying_floor / sleep_payback_hours(w) * static_cast<double>(option.changes.size());
  if (!all_placed || !option.sufficient() || option.gain <= 0) option.changes.clear();
  return option;
}

/// As much of the emptying as the limits allow now; the rest follows in later cycles. False: there is a rest.
bool take_what_is_allowed(Workspace& w, Targets& targets, const Option& option) {
  bool all = true;
  for (const Change& change : option.changes) {
    if (refusal(w.plan, change, false)) {
      all = false;
      continue;
    }
    Option part = option;
    part.changes = {change};
    const std::size_t from = w.plan.placement(change.vm).host;
    w.take(part);
    targets.update(from);
    targets.update(change.to.host);
  }
  return all;
}

/// Hosts that may be emptied, those with the fewest VMs first.
std::vector<std::size_t> drainable_hosts(const Workspace& w) {
  std::vector<std::size_t> hosts;
  for (std::size_t h = 0; h < w.model.hosts.size(); ++h) {
    const std::vector<std::size_t>& vms = w.plan.vms_on(h);
    if (vms.empty() || !takes_part(w.model.hosts[h]) || w.model.hosts[h].idle_watts <= 0) continue;
    if (rests(w.policy(), *w.model.hosts[h].state, w.model.state.now)) continue;
    // A host that others have been sent to in this plan stays, as does one with a VM that cannot leave.
    const bool whole = std::all_of(vms.begin(), vms.end(), [&](std::size_t v) {
      return w.eligible(v) && !w.plan.moved(v) && !w.reshaped[v] && !w.model.vms[v].state->unmovable;
    });
    if (whole) hosts.push_back(h);
  }
  std::stable_sort(hosts.begin(), hosts.end(),
                   [&](std::size_t a, std::size_t b) { return w.plan.vms_on(a).size() < w.plan.vms_on(b).size(); });
  if (hosts.size() > kDrainsMax) hosts.resize(kDrainsMax);
  return hosts;
}

/// The host of these whose emptying gains most.
struct Drain {
  std::size_t host = kNowhere;
  Option option;
};
Drain best_drain(Workspace& w, const Targets& targets, std::span<const std::size_t> hosts) {
  Drain best;
  for (const std::size_t h : hosts) {
    Option option = drain_option(w, targets, h);
    if (option.changes.empty() || (best.host != kNowhere && option.gain <= best.option.gain)) continue;
    best = {h, std::move(option)};
  }
  return best;
}

}  // namespace

void consolidate(Workspace& w) {
  Targets targets(w);
  while (true) {
    std::vector<std::size_t> hosts = drainable_hosts(w);
    // What was begun goes before what may be begun.
    const auto others = std::stable_partition(hosts.begin(), hosts.end(),
                                              [&](std::size_t h) { return w.model.hosts[h].state->emptying; });
    Drain best = best_drain(w, targets, {hosts.begin(), others});
    if (best.host == kNowhere) best = best_drain(w, targets, {others, hosts.end()});
    if (best.host == kNowhere) return;
    const bool all = take_what_is_allowed(w, targets, best.option);
    w.result.emptying.push_back(best.host);
    // One host after the other: those that are still there are no place for the next one's VMs.
    if (!all) return;
  }
}

void choose_power(Workspace& w) {
  std::vector<std::size_t> idle;
  std::vector<std::size_t> asleep;
  for (std::size_t h = 0; h < w.model.hosts.size(); ++h) {
    const HostModel& host = w.model.hosts[h];
    const bool used = !w.plan.vms_on(h).empty() || !w.plan.helpers_on(h).empty() || w.opened[h];
    if (host.state->asleep) {
      if (used) {
        w.result.wake.push_back(h);
      } else {
        asleep.push_back(h);
      }
    } else if (takes_part(host) && !used && w.plan.migrations_planned(h) == 0 && host.migrations_running == 0 &&
               host.transit_memory_bytes == 0 && host.idle_watts > 0) {
      idle.push_back(h);
    }
  }
  const auto by_power = [&](std::size_t a, std::size_t b) {
    return w.model.hosts[a].idle_watts > w.model.hosts[b].idle_watts;
  };
  std::stable_sort(idle.begin(), idle.end(), by_power);
  std::stable_sort(asleep.begin(), asleep.end(), by_power);
  const auto spare = static_cast<std::size_t>(w.model.policy.limits.spare_hosts);
  if (idle.size() > spare) {
    w.result.sleep.assign(idle.begin(), idle.end() - static_cast<std::ptrdiff_t>(spare));
  } else {
    // The most frugal first.
    for (std::size_t i = idle.size(); i < spare && !asleep.empty(); ++i) {
      w.result.wake.push_back(asleep.back());
      asleep.pop_back();
    }
  }
}

}  // namespace proteus::ham
