#include <algorithm>
#include <utility>

#include "controller/ham/search/targets.h"

namespace proteus::ham {
namespace {

/// VMs that are looked for to fill a host with, in one cycle.
constexpr std::size_t kFillMax = 8;
/// VMs that are looked at for that.
constexpr std::size_t kLeaversMax = 64;

/// Without VMs, and able to take some, at once or once it is awake.
bool may_open(const Workspace& w, std::size_t h) {
  const HostModel& host = w.model.hosts[h];
  if (!w.plan.vms_on(h).empty() || host.state->maintenance || host.idle_watts <= 0) return false;
  return host.state->asleep || (host.state->fresh && host.state->commandable);
}

/// The VMs whose leaving gains most where they are, the best first.
std::vector<std::size_t> leavers(const Workspace& w) {
  std::vector<std::pair<double, std::size_t>> found;
  for (std::size_t from = 0; from < w.model.hosts.size(); ++from) {
    if (w.plan.cost_of_host(from) <= w.price_min()) continue;
    for (const std::size_t v : w.plan.vms_on(from)) {
      if (!w.eligible(v) || w.plan.moved(v) || w.reshaped[v]) continue;
      const Departure departure = w.plan.depart(v);
      const double gain_at_most = departure.performance + departure.utilisation - w.plan.move_price(v);
      if (gain_at_most > 0) found.emplace_back(-gain_at_most, v);
    }
  }
  std::sort(found.begin(), found.end());
  if (found.size() > kLeaversMax) found.resize(kLeaversMax);
  std::vector<std::size_t> vms;
  for (const auto& [loss, v] : found) vms.push_back(v);
  return vms;
}

/// The VMs that gain most by being on the host together, each given those before it. changes empty: it does not pay.
Option fill_option(Workspace& w, std::size_t h, const std::vector<std::size_t>& candidates) {
  Option option;
  option.cause = Step::Cause::kOpen;
  std::vector<PlanState::Saved> saved;
  double touched_cost = 0;
  while (option.changes.size() < kFillMax) {
    Evaluation best;
    Change best_move;
    double best_gain = 0;
    for (const std::size_t v : candidates) {
      const Change move{v, w.plan.placement(v).on(h)};
      if (w.plan.moved(v) || lasting_refusal(w.plan, move) || !w.spend()) continue;
      const Evaluation evaluation = w.plan.evaluate(move);
      // The first one pays what the host draws at rest; others share that.
      const double gain =
          evaluation.gain() + (option.changes.empty() ? energy_cost(w.policy(), w.model.hosts[h], 0) : 0);
      // Each has to be worth its move.
      if (evaluation.hard_violations > 0 || gain <= best_gain || gain <= w.model.gain_required(0)) continue;
      best = evaluation;
      best_gain = gain;
      best_move = move;
    }
    if (best_gain <= 0) break;
    option.gain += best.gain();
    option.price += best.delta.cost + best.delta.latency;
    touched_cost += w.plan.cost_of_host(w.plan.placement(best_move.vm).host);
    option.changes.push_back(best_move);
    saved.push_back(w.plan.apply_saved(best_move));
  }
  for (auto it = saved.rbegin(); it != saved.rend(); ++it) w.plan.restore(*it);
  option.gain_required = w.model.gain_required(touched_cost);
  if (!option.sufficient() || option.gain <= 0) option.changes.clear();
  return option;
}

}  // namespace

void open_host(Workspace& w) {
  if (w.moves_left() <= 0) return;
  Option best;
  std::size_t host = kNowhere;
  std::vector<std::size_t> candidates;
  std::vector<std::pair<HostKind, bool>> tried;  // hosts without VMs are mostly alike
  for (std::size_t h = 0; h < w.model.hosts.size(); ++h) {
    if (!may_open(w, h)) continue;
    const std::pair kind(kind_of(w.model.hosts[h]), w.model.hosts[h].state->asleep);
    if (std::find(tried.begin(), tried.end(), kind) != tried.end()) continue;
    if (tried.empty()) candidates = leavers(w);
    tried.push_back(kind);
    Option option = fill_option(w, h, candidates);
    if (option.changes.empty() || (host != kNowhere && option.gain <= best.gain)) continue;
    best = std::move(option);
    host = h;
  }
  if (host == kNowhere) return;
  w.opened[host] = true;
  for (const Change& change : best.changes) {
    if (refusal(w.plan, change, false)) continue;
    Option part = best;
    part.changes = {change};
    w.take(part);
  }
}

}  // namespace proteus::ham
