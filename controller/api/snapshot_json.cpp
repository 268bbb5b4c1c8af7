// What the cluster is like: status, hosts, VMs.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/api/forecast_json.h"
#include "controller/api/json_view.h"
#include "controller/api/learning_json.h"

namespace proteus::api {
namespace {

/// Of what is never 0: 0 says that nobody has measured it.
Json measured(std::int64_t value) {
  return value == 0 ? Json(nullptr) : Json(value);
}

/// Whether libvirt has told of it: a VM without memory there is none.
bool is_told(const ham::Allocation& allocation) {
  return allocation.memory_bytes > 0 || allocation.memory_max_bytes > 0;
}

Json to_json(const ham::Allocation& allocation) {
  if (!is_told(allocation)) {
    Json nothing = Json::object();
    for (const char* name : {"vcpus", "vcpus_max", "cpu_quota_us", "cpu_period_us", "cpu_shares", "cpu_limit_cores",
                             "memory_bytes", "memory_max_bytes"}) {
      nothing[name] = nullptr;
    }
    return nothing;
  }
  return {{"vcpus", allocation.vcpus},
          {"vcpus_max", allocation.vcpus_max},
          {"cpu_quota_us", allocation.cpu_quota_us},
          {"cpu_period_us", allocation.cpu_period_us},
          {"cpu_shares", allocation.cpu_shares},
          {"cpu_limit_cores", allocation.cpu_limit_cores()},
          {"memory_bytes", measured(allocation.memory_bytes)},
          {"memory_max_bytes", measured(allocation.memory_max_bytes)}};
}

/// Cores that a VM's vCPUs can run, those that can be plugged included. Until libvirt has told of them: what is seen.
double most_cores(const ham::VmState& vm) {
  return std::max(
      {static_cast<double>(vm.allocation.vcpus), static_cast<double>(vm.allocation.vcpus_max), vm.cpu_used_cores});
}

/// While no telemetry is taken, the state stands still.
bool is_fresh(const Snapshot& snapshot, const ham::HostState& host) {
  return host.fresh && snapshot.ingest_problem.empty();
}

}  // namespace

Json status_json(const Snapshot& snapshot) {
  const profile::MoveErrors errors = snapshot.state ? snapshot.state->move_errors : profile::MoveErrors{};
  const profile::MoveErrors of_storage = snapshot.state ? snapshot.state->storage_move_errors : profile::MoveErrors{};
  const profile::MoveErrors of_network = snapshot.state ? snapshot.state->network_move_errors : profile::MoveErrors{};
  std::size_t fresh = 0;
  std::size_t commandable = 0;
  if (snapshot.state) {
    for (const ham::HostState& host : snapshot.state->hosts) {
      fresh += is_fresh(snapshot, host) ? 1 : 0;
      commandable += host.commandable ? 1 : 0;
    }
  }
  return {
      {"controller", snapshot.controller},
      {"version", snapshot.version},
      {"term", snapshot.term},
      {"started_at", to_rfc3339(snapshot.started_at)},
      {"run_begun_at", to_rfc3339(snapshot.run_begun_at)},
      {"renewal", {{"problem", snapshot.renewal_problem}, {"kept_bytes", snapshot.kept_samples_bytes}}},
      {"paused", snapshot.paused},
      {"policy", snapshot.policy},
      {"automation", ham::to_string(snapshot.automation)},
      {"cycle",
       {{"number", snapshot.cycle},
        {"time", to_rfc3339(snapshot.cycle_time)},
        {"duration_ms", to_seconds(snapshot.cycle_duration) * 1e3}}},
      {"hosts",
       {{"known", snapshot.state ? snapshot.state->hosts.size() : 0}, {"fresh", fresh}, {"commandable", commandable}}},
      {"vms", snapshot.state ? snapshot.state->vms.size() : 0},
      {"ingest",
       {{"frames", snapshot.frames_count},
        {"repeats", snapshot.repeats_count},
        {"left_to_agents", snapshot.left_to_agents_count},
        {"refused", snapshot.refused_count},
        {"refused_keys", snapshot.refused_keys_count},
        {"surplus_connections", snapshot.surplus_connections_count},
        {"over_limit", snapshot.over_limit_count},
        {"over_limit_last", snapshot.over_limit_last},
        {"problem", snapshot.ingest_problem}}},
      {"words_passed_over", snapshot.words_passed_over_count},
      {"words_dropped", snapshot.words_dropped_count},
      {"forecasts",
       {{"rounds_behind", snapshot.forecasts_behind}, {"observations_dropped", snapshot.forecasts_shed_count}}},
      {"move_errors",
       {{"moves", errors.moves},
        {"bias", errors.bias},
        {"deviation", errors.deviation},
        {"storage", {{"moves", of_storage.moves}, {"bias", of_storage.bias}, {"deviation", of_storage.deviation}}},
        {"network", {{"moves", of_network.moves}, {"bias", of_network.bias}, {"deviation", of_network.deviation}}}}},
      {"store",
       {{"raw_messages", snapshot.store.raw_messages},
        {"raw_bytes", snapshot.store.raw_bytes},
        {"journal_entries", snapshot.store.journal_entries},
        {"disk_bytes", snapshot.store.disk_bytes},
        {"entities_forgotten_early", snapshot.store.entities_forgotten_early},
        {"frames_not_placed", snapshot.store.frames_not_placed},
        {"frames_undecoded", snapshot.store.frames_undecoded},
        {"series_unread", snapshot.store.series_unread},
        {"series_problem", snapshot.store.series_problem}}}};
}

Json hosts_json(const Snapshot& snapshot) {
  Json hosts = Json::array();
  if (!snapshot.state) return hosts;
  for (const ham::HostState& host : snapshot.state->hosts) {
    const double capacity = host.fingerprint.cpu_capacity_cores;
    double p90 = host.cpu_overhead_cores;
    Json vms = Json::array();
    for (const ham::VmState& vm : snapshot.state->vms) {
      if (vm.host != host.id) continue;
      vms.push_back(vm.name);
      const auto made = vm.forecasts.find(forecast::Resource::kCpu);
      // A model may expect more than a VM's vCPUs can run; a host is never asked for that.
      const double wanted = made == vm.forecasts.end() ? vm.cpu_demand_cores : made->second.window_max.p90;
      p90 += std::min(wanted, most_cores(vm));
    }
    Json answers = Json::object();
    for (const profile::Resource resource : profile::kCurveResources) {
      const profile::HostCurve& answer = *host.fingerprint.curve_of(resource);
      Json points = Json::array();
      for (const auto& knot : answer.curve.knots()) {
        if (knot.weight <= 0) continue;  // nobody has seen it
        points.push_back(
            {{"load", knot.load}, {"response", knot.response}, {"error", knot.error}, {"weight", knot.weight}});
      }
      answers[profile::to_string(resource)] = {
          {"prior", answer.prior}, {"evidence", answer.evidence}, {"curve", std::move(points)}};
    }
    Json knots = Json::array();
    for (const auto& knot : host.fingerprint.run_queue_wait.knots()) {
      knots.push_back({{"utilisation", knot.load},
                       {"wait_ratio", knot.response},
                       {"error", knot.error},
                       {"weight_s", knot.weight}});
    }
    Json factors = Json::array();
    for (const auto& knot : host.fingerprint.wait_factor.knots()) {
      factors.push_back(
          {{"utilisation", knot.load}, {"factor", knot.response}, {"error", knot.error}, {"weight_s", knot.weight}});
    }
    hosts.push_back({{"id", host.id.value},
                     {"fresh", is_fresh(snapshot, host)},
                     {"catching_up", host.catching_up},
                     {"lag_s", to_seconds(host.lag)},
                     {"commandable", host.commandable},
                     {"libvirt_trouble", host.libvirt_trouble},
                     {"maintenance", host.maintenance},
                     {"cpu",
                      {{"capacity_cores", capacity},
                       {"used_cores", host.cpu_used_cores},
                       {"overhead_cores", host.cpu_overhead_cores},
                       {"utilisation", capacity > 0 ? host.cpu_used_cores / capacity : 0},
                       {"forecast_p90_cores", p90}}},
                     {"memory",
                      {{"capacity_bytes", host.fingerprint.memory_capacity_bytes},
                       {"available_bytes", host.memory_available_bytes}}},
                     {"run_queue_wait_ratio", host.run_queue_wait_ratio},
                     {"vms", vms},
                     {"capabilities", host.fingerprint.capabilities},
                     {"calibration", host.fingerprint.calibration},
                     {"fingerprint",
                      {{"class", host.fingerprint.host_class},
                       {"evidence_s", host.fingerprint.evidence_s},
                       {"run_queue_wait", knots},
                       {"wait_factor", std::move(factors)},
                       {"answers", std::move(answers)}}}});
  }
  return hosts;
}

namespace {

Json signature_json(const profile::Signature& signature) {
  return {{"bound_by", profile::to_string(signature.bound_by())},
          {"run_cores", signature.run_cores},
          {"cpu_wait", signature.cpu_wait},
          {"memory_stall", signature.memory_stall},
          {"storage_wait", signature.storage_wait},
          {"storage_requests_per_s", signature.storage_requests_per_s},
          {"storage_factor", signature.storage_factor},
          {"network_bytes_per_s", signature.network_bytes_per_s},
          {"packets_per_s", signature.packets_per_s},
          {"packets_dropped_per_s", signature.packets_dropped_per_s},
          {"exits_per_s", signature.exits_per_s}};
}

}  // namespace

Json vms_json(const Snapshot& snapshot) {
  Json vms = Json::array();
  if (!snapshot.state) return vms;
  for (const ham::VmState& vm : snapshot.state->vms) {
    Json forecasts = Json::object();
    for (const auto& [resource, made] : vm.forecasts) {
      if (!vm.served) break;  // of nothing there is no forecast
      forecasts[forecast::to_string(resource)] = {
          {"window_max",
           to_json(resource == forecast::Resource::kCpu ? capped(made.window_max, most_cores(vm)) : made.window_max)},
          {"model", made.model},
          {"stale", made.stale}};
    }
    const auto latency = snapshot.run_queue_latency.find(vm.id);
    const ham::HostState* host = snapshot.state->find_host(vm.host);
    const auto once_measured = [&](double figure) { return vm.served ? Json(figure) : Json(nullptr); };
    vms.push_back({{"id", vm.id.value},
                   {"name", vm.name},
                   {"host", vm.host.value},
                   {"running", vm.running},
                   {"fresh", host != nullptr && is_fresh(snapshot, *host)},
                   {"cpu",
                    {{"used_cores", once_measured(vm.cpu_used_cores)},
                     {"demand_cores", once_measured(vm.cpu_demand_cores)},
                     {"limit_cores", is_told(vm.allocation) ? Json(vm.allocation.cpu_limit_cores()) : Json(nullptr)},
                     {"run_queue_wait_ratio", once_measured(vm.run_queue_wait_ratio)},
                     {"throttled_ratio", once_measured(vm.throttled_ratio)}}},
                   {"run_queue_latency",
                    latency == snapshot.run_queue_latency.end() || !vm.served ? Json(nullptr) : Json(latency->second)},
                   {"signature", vm.served ? signature_json(vm.signature) : Json(nullptr)},
                   {"memory_resident_bytes", measured(vm.memory_resident_bytes)},
                   {"dirty_bytes_per_s", vm.dirty_bytes_per_s ? Json(*vm.dirty_bytes_per_s) : Json(nullptr)},
                   {"allocation", to_json(vm.allocation)},
                   {"unmovable", vm.unmovable ? Json(*vm.unmovable) : Json(nullptr)},
                   {"groups", vm.groups},
                   {"forecasts", forecasts},
                   {"last_action_end", time_or_null(vm.last_action_end)}});
  }
  return vms;
}

}  // namespace proteus::api
