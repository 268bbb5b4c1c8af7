// What ClusterView has learned of hosts, for a run after this one.
#include <algorithm>
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

}  // namespace proteus::controller
