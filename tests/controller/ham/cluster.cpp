#include "tests/controller/ham/cluster.h"

#include <fmt/core.h>

#include <algorithm>

namespace proteus::ham {

Cluster::Cluster() {
  state.now = from_unix_ns(1'700'000'000'000'000'000);
}

HostState& Cluster::host(const std::string& id, double cores, std::int64_t memory_bytes) {
  HostState host;
  host.id = HostId(id);
  host.fingerprint.host = host.id;
  host.fingerprint.cpu_capacity_cores = cores;
  host.fingerprint.memory_capacity_bytes = memory_bytes;
  host.fingerprint.run_queue_wait = knee_curve();
  host.fingerprint.evidence_s = 3600;
  host.fresh = true;
  host.commandable = true;
  host.libvirt_uri = "qemu+tcp://" + id + "/system";
  state.hosts.push_back(host);
  return state.hosts.back();
}

VmState& Cluster::vm(const std::string& name, const std::string& host, int vcpus, double quota_cores,
                     std::int64_t memory_bytes) {
  VmState vm;
  vm.id = VmId(name);
  vm.name = name;
  vm.host = HostId(host);
  vm.running = true;
  vm.allocation.vcpus = vcpus;
  vm.allocation.vcpus_max = vcpus;
  vm.allocation.memory_bytes = memory_bytes;
  vm.allocation.memory_max_bytes = memory_bytes;
  vm.memory_resident_bytes = memory_bytes;
  vm.dirty_bytes_per_s = kMiB;
  if (quota_cores >= 0) {
    vm.allocation.cpu_quota_us =
        static_cast<std::int64_t>(quota_cores / vcpus * static_cast<double>(vm.allocation.cpu_period_us) + 0.5);
  }
  state.vms.push_back(vm);
  return state.vms.back();
}

VmState& Cluster::find(const std::string& name) {
  return *std::find_if(state.vms.begin(), state.vms.end(), [&](const VmState& vm) { return vm.name == name; });
}

HostState& Cluster::find_host(const std::string& id) {
  return *std::find_if(state.hosts.begin(), state.hosts.end(), [&](const HostState& h) { return h.id.value == id; });
}

const ClusterState& Cluster::ready() {
  std::sort(state.hosts.begin(), state.hosts.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  std::sort(state.vms.begin(), state.vms.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (HostState& host : state.hosts) {
    host.memory_available_bytes = host.fingerprint.memory_capacity_bytes;
    for (const VmState& vm : state.vms) {
      if (vm.host == host.id && vm.running) host.memory_available_bytes -= vm.memory_resident_bytes;
    }
  }
  return state;
}

forecast::Forecast ramp_forecast(Timestamp now, double from, double to, Nanoseconds step, double spread90,
                                 double spread99) {
  forecast::Forecast f;
  f.made_at = now;
  f.step = step;
  f.model = "holt_damped";
  for (int i = 0; i < kHorizonSteps; ++i) {
    const double p50 = from + (to - from) * i / (kHorizonSteps - 1);
    f.steps.push_back({p50 - spread90, p50, p50 + spread90, p50 + 0.5 * (spread90 + spread99), p50 + spread99});
  }
  f.window_max = from < to ? f.steps.back() : f.steps.front();
  return f;
}

forecast::Forecast flat_forecast(Timestamp now, double cores, double spread90, double spread99) {
  return ramp_forecast(now, cores, cores, kStep, spread90, spread99);
}

void set_cpu(VmState& vm, forecast::Forecast forecast) {
  vm.cpu_used_cores = std::min(forecast.steps.front().p50, vm.allocation.cpu_limit_cores());
  vm.cpu_demand_cores = forecast.steps.front().p50;
  vm.forecasts[forecast::Resource::kCpu] = std::move(forecast);
}

void set_flat_cpu(VmState& vm, Timestamp now, double cores) {
  set_cpu(vm, flat_forecast(now, cores));
}

void set_memory(VmState& vm, Timestamp now, std::int64_t bytes) {
  const auto used = static_cast<double>(bytes);
  vm.forecasts[forecast::Resource::kMemory] = flat_forecast(now, used, 0, 0);
}

profile::ResponseCurve knee_curve() {
  return profile::ResponseCurve({{0, 0, 100}, {0.8, 0.05, 100}, {1.0, 0.6, 100}, {2.0, 2.0, 100}});
}

std::string dump(const Decision& decision) {
  std::string text = fmt::format("policy {}\nsummary {}\n", decision.policy, decision.summary);
  const auto candidate = [&](const char* what, const Candidate& c) {
    text += fmt::format("{} {}: {:a} {:a} {:a} {:a}\n", what, c.label, c.score.performance, c.score.utilisation,
                        c.score.cost, c.score.latency);
    for (const Action& action : c.actions) {
      text += fmt::format("  {} on {} op {} present {} {} {} ns {} ms after", action.vm.value, action.host.value,
                          action.operation.index(), action.present_value.value_or(-2), to_string(action.automation),
                          action.expected_duration.count(), action.expected_downtime_ms);
      for (const std::uint32_t index : action.after) text += fmt::format(" {}", index);
      if (const auto* quota = std::get_if<SetCpuQuota>(&action.operation))
        text += fmt::format(" quota {}", quota->quota_us);
      if (const auto* vcpus = std::get_if<SetVcpus>(&action.operation)) text += fmt::format(" vcpus {}", vcpus->count);
      if (const auto* memory = std::get_if<SetMemory>(&action.operation))
        text += fmt::format(" memory {}", memory->bytes);
      if (const auto* move = std::get_if<Migrate>(&action.operation)) text += " to " + move->target.value;
      text += ": " + action.reason + "\n";
    }
  };
  candidate("chosen", decision.chosen);
  candidate("do_nothing", decision.do_nothing);
  for (const Candidate& c : decision.alternatives) candidate("alternative", c);
  for (const Rejection& r : decision.rejections)
    text += fmt::format("rejected {} by {}: {}\n", r.candidate, r.rule, r.reason);
  for (const Outlook& o : decision.outlooks) {
    text += fmt::format("outlook {} {:a} {:a} {:a} limit {:a} {} {}\n", o.vm.value, o.cpu_window_max.p50,
                        o.cpu_window_max.p90, o.cpu_window_max.p99, o.cpu_limit_cores, o.model,
                        o.until_limit ? o.until_limit->count() : -1);
  }
  for (const HelperChange& h : decision.helpers) {
    text += fmt::format("helper of {} on {} {} {:a} {}: {}\n", h.vm.value, h.host.value, h.start, h.gain,
                        to_string(h.automation), h.reason);
  }
  return text;
}

void carry_out(ClusterState& state, const std::vector<Action>& actions) {
  for (const Action& action : actions) {
    auto vm = std::find_if(state.vms.begin(), state.vms.end(), [&](const VmState& v) { return v.id == action.vm; });
    if (const auto* quota = std::get_if<SetCpuQuota>(&action.operation)) vm->allocation.cpu_quota_us = quota->quota_us;
    if (const auto* vcpus = std::get_if<SetVcpus>(&action.operation)) vm->allocation.vcpus = vcpus->count;
    if (const auto* memory = std::get_if<SetMemory>(&action.operation)) vm->allocation.memory_bytes = memory->bytes;
    if (const auto* move = std::get_if<Migrate>(&action.operation)) {
      for (HostState& host : state.hosts) {
        if (host.id == vm->host) host.memory_available_bytes += vm->memory_resident_bytes;
        if (host.id == move->target) host.memory_available_bytes -= vm->memory_resident_bytes;
      }
      vm->host = move->target;
      state.recent_moves.push_back(state.now);
    }
    vm->last_action_end = state.now;
  }
}

int count_migrations(const std::vector<Action>& actions) {
  return static_cast<int>(std::count_if(actions.begin(), actions.end(), [](const Action& action) {
    return std::holds_alternative<Migrate>(action.operation);
  }));
}

std::vector<std::string> moves_of(const Candidate& candidate) {
  std::vector<std::string> moves;
  for (const Action& action : candidate.actions) {
    if (const auto* move = std::get_if<Migrate>(&action.operation)) {
      moves.push_back(action.vm.value + "->" + move->target.value);
    }
  }
  return moves;
}

bool rejects(const Decision& decision, const std::string& rule) {
  return std::any_of(decision.rejections.begin(), decision.rejections.end(),
                     [&](const Rejection& rejection) { return rejection.rule.starts_with(rule); });
}

Policy eager_policy() {
  Policy policy;
  policy.name = "eager";
  policy.automation = Automation::kAutomatic;
  policy.limits.concurrent_migrations = 100;
  policy.limits.concurrent_migrations_per_host = 100;
  policy.limits.moves_per_hour = 1000;
  policy.limits.cooldown = Nanoseconds(0);
  return policy;
}

}  // namespace proteus::ham
