// What ClusterView has learned of hosts, and seen of actions and VMs, for a run after this one.
#include <algorithm>
#include <tuple>
#include <utility>

#include "controller/cluster_view_parts.h"

namespace proteus::controller {
namespace {

/// Half-lives after which what was learned of a host that says nothing any more is a thousandth.
constexpr int kFadedHalfLives = 10;

}  // namespace

profile::SavedProfile ClusterView::saved_profile(Timestamp now) const {
  profile::SavedProfile saved;
  saved.moves = {move_accuracy_.sums(), storage_accuracy_.sums(), network_accuracy_.sums()};
  for (const auto& [id, host] : hosts_) {
    const Timestamp learned_until = std::max(host.received, host.learned_until);
    if (!host.answers || now - learned_until > kFadedHalfLives * options_.curve_half_life) continue;
    profile::SavedHost& to = saved.hosts.emplace_back();
    to.host = id;
    to.host_class = host.figures.fingerprint.host_class;
    to.learned_until = learned_until;
    if (host.learner) {
      to.cpu_capacity_cores = host.learner_cores;
      to.cpu = host.learner->saved();
      to.wait_factor = host.wait_factor->saved();
    }
    to.answers = host.answers->saved();
  }
  return saved;
}

void ClusterView::restore_profile(profile::SavedProfile saved, Timestamp now) {
  if (saved.moves) {
    move_accuracy_.restore(saved.moves->cpu);
    storage_accuracy_.restore(saved.moves->storage);
    network_accuracy_.restore(saved.moves->network);
  }
  for (profile::SavedHost& from : saved.hosts) {
    Host& host = hosts_[from.host];
    // A clock that was set back must not keep anything from being learned.
    host.learned_until = std::min(from.learned_until, now);
    host.figures.fingerprint.host_class = std::move(from.host_class);
    host.answers.emplace(options_.curve_half_life).restore(from.answers);
    if (from.cpu_capacity_cores <= 0) continue;
    // Until the host says what it was calibrated to.
    host.learner.emplace(profile::prior_curve(from.cpu_capacity_cores), options_.curve_half_life);
    host.learner->restore(std::move(from.cpu));
    host.wait_factor.emplace(options_.curve_half_life).restore(std::move(from.wait_factor));
    host.learner_cores = from.cpu_capacity_cores;
  }
}

std::vector<store::EndedAction> ClusterView::ended() const {
  std::vector<store::EndedAction> all;
  for (const ham::RecentMove& move : recent_moves_) {
    const auto vm = vms_.find(move.vm);
    const bool last = vm != vms_.end() && vm->second.state.last_action_end == move.end;
    // Whether a move that is not the VM's last was verified matters to nobody.
    all.push_back({move.vm, move.source, move.target, move.end, last && !vm->second.state.last_action_failed});
  }
  for (const auto& known : vms_) {
    const VmId& id = known.first;
    const auto& vm = known.second;
    const std::optional<Timestamp>& end = vm.state.last_action_end;
    if (!end) continue;
    const bool moved = std::any_of(recent_moves_.begin(), recent_moves_.end(),
                                   [&](const ham::RecentMove& move) { return move.vm == id && move.end == *end; });
    if (!moved) all.push_back({id, {}, {}, *end, !vm.state.last_action_failed});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return std::tie(a.vm, a.ended) < std::tie(b.vm, b.ended); });
  return all;
}

void ClusterView::restore_ended(const std::vector<store::EndedAction>& ended) {
  for (const store::EndedAction& action : ended) {
    if (!action.target.empty()) recent_moves_.emplace_back(action.ended, action.vm, action.source, action.target);
    const auto found = vms_.find(action.vm);
    if (found == vms_.end()) continue;
    ham::VmState& state = found->second.state;
    if (state.last_action_end && *state.last_action_end > action.ended) continue;
    state.last_action_end = action.ended;
    state.last_action_failed = !action.verified;
  }
  std::stable_sort(recent_moves_.begin(), recent_moves_.end(),
                   [](const ham::RecentMove& a, const ham::RecentMove& b) { return a.end < b.end; });
}

std::vector<store::MissingVm> ClusterView::missing() const {
  std::vector<store::MissingVm> all;
  for (const auto& [id, vm] : vms_) {
    if (!vm.listed()) all.push_back({id, vm.last_seen});
  }
  return all;
}

void ClusterView::restore_missing(const std::vector<store::MissingVm>& missing) {
  for (const store::MissingVm& told : missing) {
    const auto vm = vms_.find(told.vm);
    if (vm != vms_.end() && !vm->second.listed()) vm->second.last_seen = std::min(vm->second.last_seen, told.last_seen);
  }
}

}  // namespace proteus::controller
