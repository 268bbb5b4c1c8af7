#include "controller/ham/score/memory.h"

#include <algorithm>

namespace proteus::ham {
namespace {

template <typename Kept, typename State>
void match(std::vector<Kept>& kept, const std::vector<State>& states) {
  const auto same = [](const Kept& k, const State& s) { return k.id == s.id; };
  if (std::equal(kept.begin(), kept.end(), states.begin(), states.end(), same)) return;
  kept.assign(states.size(), {});
  for (std::size_t i = 0; i < states.size(); ++i) kept[i].id = states[i].id;
}

}  // namespace

void Memory::begin(const ClusterState& state, const Horizon& horizon) {
  match(hosts_, state.hosts);
  match(vms_, state.vms);
  if (horizon.start == horizon_.start && horizon.length == horizon_.length) return;
  horizon_ = horizon;
  for (Vm& vm : vms_) vm.forecasts = 0;
}

std::shared_ptr<const Demand> Memory::demand_of(std::size_t v, const VmState& vm, const Horizon& horizon) {
  Vm& kept = vms_[v];
  const std::int32_t vcpus = std::max(vm.allocation.vcpus, vm.allocation.vcpus_max);
  kept.demand_kept = vm.forecasts_version != 0 && kept.forecasts == vm.forecasts_version && kept.vcpus == vcpus &&
                     kept.running == vm.running;
  if (kept.demand_kept) return kept.demand;
  kept.forecasts = vm.forecasts_version;
  kept.vcpus = vcpus;
  kept.running = vm.running;
  kept.demand = std::make_shared<const Demand>(make_demand(vm, horizon));
  return kept.demand;
}

std::uint64_t Memory::version_of(std::size_t h, const HostModel& model) {
  Host& kept = hosts_[h];
  const profile::Fingerprint& fingerprint = model.state->fingerprint;
  HostInputs inputs{.wait = model.wait,
                    .storage = fingerprint.storage.curve,
                    .network = fingerprint.network.curve,
                    .exits = fingerprint.exits.curve,
                    .memory = fingerprint.memory.curve,
                    .curve_trust = model.curve_trust,
                    .capacity_cores = model.capacity_cores,
                    .cpu_overhead_cores = model.state->cpu_overhead_cores,
                    .memory_bytes = model.memory_bytes,
                    .memory_other_bytes = model.memory_other_bytes,
                    .cpu_headroom = model.cpu_headroom,
                    .memory_headroom = model.memory_headroom,
                    .idle_watts = model.idle_watts,
                    .peak_watts = model.peak_watts};
  if (kept.version != 0 && kept.inputs == inputs) return kept.version;
  kept.inputs = std::move(inputs);
  return kept.version = ++versions_;
}

std::uint64_t Memory::version_of(std::size_t v, const VmModel& model, const ClusterModel& cluster) {
  Vm& kept = vms_[v];
  const VmState& state = *model.state;
  const VmInputs inputs{
      .allocation = state.allocation,
      .host = model.host,
      .active = model.active,
      .priority = model.priority,
      .reserved_cores = model.reserved_cores,
      .memory_need_bytes = model.memory_need_bytes,
      .memory_resident_bytes = state.memory_resident_bytes,
      .storage_requests_per_s = state.signature.storage_requests_per_s,
      .storage_lean_per_s = state.signature.storage_lean_per_s,
      .network_bytes_per_s = state.signature.network_bytes_per_s,
      .packets_per_s = state.signature.packets_per_s,
      .exits_per_s = state.signature.exits_per_s,
      .helper_host = model.helper_host,
      .helper_speed = model.helper_host == kNowhere ? 0 : cluster.hosts[model.helper_host].state->core_speed};
  if (kept.version != 0 && kept.demand_kept && kept.inputs == inputs) return kept.version;
  kept.inputs = inputs;
  return kept.version = ++versions_;
}

PlanState& Memory::plan_of(const ClusterModel& model) {
  if (!plan_ || !plan_->rebase(model)) plan_.emplace(model);
  return *plan_;
}

}  // namespace proteus::ham
