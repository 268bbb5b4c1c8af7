// What ClusterView tells.
#include <algorithm>
#include <utility>

#include "common/prefetch.h"
#include "controller/cluster_view_parts.h"
#include "controller/forecast/cold_start.h"
#include "controller/forecast/staleness.h"

namespace proteus::controller {
namespace {

constexpr std::size_t kAhead = 4;  // VMs that are fetched before it is their turn

}  // namespace

void ClusterView::write(Host& host, Timestamp now, const profile::Evidence& of_class, ham::HostState& state) const {
  state = host.figures;
  state.commandable = host.commandable && host.figures.libvirt_trouble.empty();
  state.maintenance = host.maintenance;
  // A clock set back makes the newest frame seem to come from the future: that proves nothing about the host.
  const Nanoseconds age = now - host.received;
  const bool speaks = host.catalog != nullptr && age <= options_.staleness && age >= -options_.staleness;
  state.catching_up = speaks && !host.settled();
  state.fresh = speaks && !state.catching_up;
  state.lag = host.lag;
  if (host.learner) {
    state.fingerprint.run_queue_wait = host.curve.of(*host.learner, of_class);
    state.fingerprint.evidence_s = host.curve.weight();
  } else {
    state.fingerprint.run_queue_wait = profile::prior_curve(std::max(1.0, state.fingerprint.cpu_capacity_cores));
  }
}

/// What the state holds already is left as it is.
void ClusterView::write(Vm& vm, Timestamp now, Written& written, std::size_t index) {
  Written::Slot& slot = written.slots[index];
  ham::VmState& state = written.state.vms[index];
  if (slot.vm == vm.serial && slot.listed_in == vm.listed_in) {
    static_cast<ham::VmFigures&>(state) = vm.state;
  } else {
    state = vm.state;
    slot = {.vm = vm.serial, .listed_in = vm.listed_in};
  }
  write_forecasts(vm, now, written, index);
}

void ClusterView::write_forecasts(Vm& vm, Timestamp now, Written& written, std::size_t index) {
  Written::Slot& slot = written.slots[index];
  ham::VmState& state = written.state.vms[index];
  const forecast::EnginePool::Taken& made = vm.forecasts->taken;
  const double speed = cpu_speed(vm.state.host);
  if (slot.speed != speed) {
    slot.speed = speed;
    slot.rounds = {};
    state.forecasts.clear();
  }
  bool of_this_moment = false;
  for (const forecast::Resource resource : forecast::kResources) {
    const auto r = static_cast<std::size_t>(resource);
    const bool is_cpu = resource == forecast::Resource::kCpu;
    if (made.rounds[r] == 0 && !is_cpu) continue;  // never forecast, nor written
    // The forecast itself is not looked at: it is in no cache.
    if (made.rounds[r] != 0 && slot.rounds[r] == made.rounds[r] && now <= made.stale_after[r]) continue;
    if (made.forecasts[r]) {
      const forecast::Forecast& newest = *made.forecasts[r];
      const bool stale = now > made.stale_after[r];
      of_this_moment = of_this_moment || stale;
      slot.rounds[r] = stale ? 0 : made.rounds[r];
      forecast::Forecast& forecast = state.forecasts[resource];
      forecast = newest;
      if (stale) forecast = forecast::aged(std::move(forecast), now);
      if (is_cpu) scale(forecast, 1 / speed);
      continue;
    }
    slot.rounds[r] = 0;
    if (is_cpu && vm.state.running) {
      // Its first forecast is being made.
      of_this_moment = true;
      state.forecasts[resource] = forecast::cold_start(now, options_.forecast.step, options_.forecast.horizon_steps,
                                                       vm.state.cpu_demand_cores * speed, 0);
      scale(state.forecasts[resource], 1 / speed);
    } else {
      state.forecasts.erase(resource);
    }
  }
  if (vm.told_version == 0 || vm.told_rounds != slot.rounds || vm.told_speed != speed) {
    vm.told_rounds = slot.rounds;
    vm.told_speed = speed;
    vm.told_version = ++serials_;
  }
  state.forecasts_version = of_this_moment ? 0 : vm.told_version;
}

std::shared_ptr<ham::ClusterState> ClusterView::state(Timestamp now) {
  std::erase_if(recent_moves_, [&](const ham::RecentMove& move) { return now - move.end > std::chrono::hours(1); });
  std::unique_ptr<Written> written = spares_->take();
  ham::ClusterState& state = written->state;
  state.now = now;
  state.in_flight.clear();
  state.recent_moves = recent_moves_;
  state.paused = false;
  state.move_errors = move_accuracy_.errors();
  state.storage_move_errors = storage_accuracy_.errors();
  state.network_move_errors = network_accuracy_.errors();
  fit_answers(now);
  std::map<std::string, profile::Evidence> of_class;
  for (const auto& [id, host] : hosts_) {
    if (host.learner) of_class[host.figures.fingerprint.host_class].add(host.learner->evidence());
  }
  std::size_t hosts = 0;
  state.hosts.resize(hosts_.size());
  for (auto& [id, host] : hosts_) {
    if (host.catalog != nullptr) write(host, now, of_class[host.figures.fingerprint.host_class], state.hosts[hosts++]);
  }
  state.hosts.resize(hosts);

  std::size_t vms = 0;
  std::vector<VmId> gone;
  state.vms.resize(vms_.size());
  written->slots.resize(vms_.size());
  const std::vector<Vm*>& known = in_order();
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (i + 2 * kAhead < known.size()) prefetch(known[i + 2 * kAhead]);
    if (i + kAhead < known.size()) prefetch(&known[i + kAhead]->forecasts->taken.rounds);
    Vm& vm = *known[i];
    if (vm.listed()) {
      write(vm, now, *written, vms++);
      continue;
    }
    vm.state.running = false;  // whichever host lists it next speaks for it
    // Its history waits a while for its return.
    if (now - vm.last_seen > options_.forget_after) gone.push_back(vm.state.id);
  }
  for (const VmId& id : gone) forget(id);
  state.vms.resize(vms);
  written->slots.resize(vms);
  return {&state, [spares = spares_, whole = written.release()](ham::ClusterState*) {
            spares->give(std::unique_ptr<Written>(whole));
          }};
}

std::map<VmId, std::vector<std::int64_t>> ClusterView::run_queue_latency() const {
  std::map<VmId, std::vector<std::int64_t>> histograms;
  for (const auto& [id, vm] : vms_) {
    if (!vm.latency.empty()) histograms.emplace(id, vm.latency);
  }
  return histograms;
}

void ClusterView::take_run_queue_latency(const ClusterView& before) {
  for (auto& [id, vm] : vms_) {
    const auto counted = before.vms_.find(id);
    if (counted != before.vms_.end()) vm.latency = counted->second.latency;
  }
}

Timestamp ClusterView::last_frame_time(const HostId& host) const {
  const auto found = hosts_.find(host);
  return found == hosts_.end() ? Timestamp{} : found->second.last_time;
}

std::vector<HostId> ClusterView::maintenance() const {
  std::vector<HostId> on;
  for (const auto& [id, host] : hosts_) {
    if (host.maintenance) on.push_back(id);
  }
  return on;
}

VmId ClusterView::find_vm(const std::string& name_or_uuid) const {
  for (const auto& [id, vm] : vms_) {
    if (id.value == name_or_uuid || vm.state.name == name_or_uuid) return id;
  }
  return {};
}

}  // namespace proteus::controller
