#include "controller/ham/score/cluster_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>

#include "common/prefetch.h"
#include "controller/ham/rules/selector.h"
#include "controller/ham/score/load.h"
#include "controller/ham/score/memory.h"
#include "controller/ham/score/service.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kAhead = 4;  ///< VMs whose figures are fetched before it is their turn

template <typename T>
std::size_t index_of(const std::vector<T>& items, const T* item) {
  return item == nullptr ? kNowhere : static_cast<std::size_t>(item - items.data());
}

SizeBounds size_bounds(const Policy& policy, const VmState& vm) {
  SizeBounds bounds;
  for (const SizeRule& rule : policy.sizes) {
    if (!selects_vm(rule.vms, vm)) continue;
    bounds.vcpus_min = std::max(bounds.vcpus_min, rule.vcpus_min);
    bounds.vcpus_max = std::min(bounds.vcpus_max, rule.vcpus_max);
    bounds.cpu_cores_min = std::max(bounds.cpu_cores_min, rule.cpu_cores_min);
    bounds.cpu_cores_max = std::min(bounds.cpu_cores_max, rule.cpu_cores_max);
    bounds.memory_bytes_min = std::max(bounds.memory_bytes_min, rule.memory_bytes_min);
    bounds.memory_bytes_max = std::min(bounds.memory_bytes_max, rule.memory_bytes_max);
    bounds.rule += (bounds.rule.empty() ? "size:" : ",") + rule.name;
  }
  // Rules that contradict each other: the lower bound gives way.
  bounds.vcpus_min = std::min(bounds.vcpus_min, bounds.vcpus_max);
  bounds.cpu_cores_min = std::min(bounds.cpu_cores_min, bounds.cpu_cores_max);
  bounds.memory_bytes_min = std::min(bounds.memory_bytes_min, bounds.memory_bytes_max);
  return bounds;
}

/// True if the window is open at the time.
bool is_open(const WindowRule& rule, Timestamp now) {
  const auto day = std::chrono::floor<std::chrono::days>(now);
  const auto minute = static_cast<int>((now - day) / std::chrono::minutes(1));
  const unsigned weekday = std::chrono::weekday(day).iso_encoding() - 1;  // 0: Monday
  const auto on = [&](unsigned d) { return (rule.days >> (d % 7) & 1) != 0; };
  if (rule.from_minute < rule.to_minute) return on(weekday) && minute >= rule.from_minute && minute < rule.to_minute;
  return (on(weekday) && minute >= rule.from_minute) || (on(weekday + 6) && minute < rule.to_minute);
}

/// Which window rule keeps the VM from being changed now, if any. One about everything goes before one about
/// migrations.
void apply_windows(const Policy& policy, const VmState& state, Timestamp now, VmModel& model) {
  const WindowRule* against = nullptr;
  for (const bool migrate_only : {true, false}) {
    bool has_allowing = false;
    bool allowed = false;
    const WindowRule* closed = nullptr;
    for (const WindowRule& rule : policy.windows) {
      if (rule.migrate_only != migrate_only || !selects_vm(rule.vms, state)) continue;
      if (rule.forbid) {
        if (is_open(rule, now)) against = &rule;
        continue;
      }
      has_allowing = true;
      if (is_open(rule, now)) allowed = true;
      if (closed == nullptr) closed = &rule;
    }
    if (has_allowing && !allowed) against = closed;
  }
  if (against == nullptr) return;
  model.window = against->name;
  model.window_migrate_only = against->migrate_only;
}

/// Which affinity rules a VM may match: those with patterns, and those that name it. In a large cluster most rules
/// name a few VMs, and asking each rule about each VM would take longer than the decision.
class AffinityIndex {
 public:
  explicit AffinityIndex(const std::vector<AffinityRule>& rules) {
    for (std::uint32_t i = 0; i < rules.size(); ++i) {
      const auto is_name = [](const std::string& text) {
        return text.find_first_of("*?[\\") == std::string::npos && !text.starts_with('@');
      };
      if (std::all_of(rules[i].vms.begin(), rules[i].vms.end(), is_name)) {
        for (const std::string& name : rules[i].vms) by_name_[name].push_back(i);
      } else {
        patterned_.push_back(i);
      }
    }
  }
  /// In ascending order.
  std::vector<std::uint32_t> of(const VmState& vm, const std::vector<AffinityRule>& rules) const {
    std::set<std::uint32_t> found;
    for (const std::string* name : {&vm.name, &vm.id.value}) {
      const auto named = by_name_.find(*name);
      if (named != by_name_.end()) found.insert(named->second.begin(), named->second.end());
    }
    for (const std::uint32_t rule : patterned_) {
      if (selects_vm(rules[rule].vms, vm)) found.insert(rule);
    }
    return {found.begin(), found.end()};
  }

 private:
  std::map<std::string, std::vector<std::uint32_t>> by_name_;
  std::vector<std::uint32_t> patterned_;
};

/// What the policy says about one VM.
void apply_vm_rules(const Policy& p, const AffinityIndex& affinities, const VmState& vm, VmModel& model) {
  model.automation = p.automation;
  for (const AutomationRule& rule : p.automation_rules) {
    if (selects_vm(rule.vms, vm)) model.automation = std::min(model.automation, rule.level);
  }
  model.size = size_bounds(p, vm);
  for (const PriorityRule& rule : p.priorities) {
    if (selects_vm(rule.vms, vm)) model.priority *= rule.weight;
  }
  for (const ValueRule& rule : p.values) {
    if (!selects_vm(rule.vms, vm)) continue;
    model.value_per_hour += rule.per_vcpu_hour * vm.allocation.vcpus +
                            rule.per_gib_hour * static_cast<double>(vm.allocation.memory_max_bytes) / kGiB;
  }
  for (const ExcludeRule& rule : p.exclusions) {
    if (model.exclusion.empty() && selects_vm(rule.vms, vm)) model.exclusion = rule.name;
  }
  model.affinity = affinities.of(vm, p.affinity);
  for (std::uint32_t i = 0; i < p.pins.size(); ++i) {
    if (selects_vm(p.pins[i].vms, vm)) model.pins.push_back(i);
  }
}

/// Who may have a helper, and who has one.
void apply_helpers(const ClusterState& state, const Policy& policy, ClusterModel& model) {
  static const HelperRule kUnruled;
  if (policy.helpers.empty() && state.helpers.empty()) return;
  for (VmModel& vm : model.vms) {
    const auto rule = std::find_if(policy.helpers.begin(), policy.helpers.end(),
                                   [&](const HelperRule& r) { return selects_vm(r.vms, *vm.state); });
    if (rule == policy.helpers.end()) continue;
    vm.helper_rule = &*rule;
    vm.scalable = model.helpers = true;
  }
  for (const HelperState& helper : state.helpers) {
    const std::size_t v = index_of(state.vms, state.find_vm(helper.vm));
    const std::size_t h = index_of(state.hosts, state.find_host(helper.host));
    if (v == kNowhere || h == kNowhere || model.vms[v].helper_host != kNowhere) continue;
    VmModel& vm = model.vms[v];
    vm.helper_host = h;
    vm.helper_since = helper.since;
    // One that no rule is about any more is ended; until then it is taken for one as rules have by default.
    if (vm.helper_rule == nullptr) vm.helper_rule = &kUnruled;
    model.hosts[h].memory_other_bytes -= static_cast<double>(vm.helper_rule->memory_bytes);
    model.helpers = true;
  }
}

/// Reservations are bounds like those of size rules: nothing is taken below them.
void apply_reservations(const Policy& p, const VmState& vm, VmModel& model) {
  for (const ReservationRule& rule : p.reservations) {
    if (!selects_vm(rule.vms, vm)) continue;
    model.reserved_cores = std::max(model.reserved_cores, rule.cpu_cores);
    SizeBounds& bounds = model.size;
    bounds.cpu_cores_min = std::max(bounds.cpu_cores_min, std::min(rule.cpu_cores, bounds.cpu_cores_max));
    bounds.memory_bytes_min = std::max(bounds.memory_bytes_min, std::min(rule.memory_bytes, bounds.memory_bytes_max));
    bounds.rule += (bounds.rule.empty() ? "reservation:" : ",reservation:") + rule.name;
  }
}

/// What the policy says about one host.
void apply_host_rules(const Policy& p, std::size_t h, HostModel& model) {
  const HostState& host = *model.state;
  model.cpu_headroom = p.limits.cpu_headroom;
  model.memory_headroom = p.limits.memory_headroom;
  double cpu = -1;
  double memory = -1;
  for (const HeadroomRule& rule : p.headrooms) {
    if (!selects_host(rule.hosts, host.id)) continue;
    cpu = std::max(cpu, rule.cpu);
    memory = std::max(memory, rule.memory);
  }
  if (cpu >= 0) model.cpu_headroom = cpu;
  if (memory >= 0) model.memory_headroom = memory;
  model.idle_watts = host.idle_watts;
  model.peak_watts = host.peak_watts;
  for (const PowerRule& rule : p.powers) {
    if (model.peak_watts > 0 || !selects_host(rule.hosts, host.id)) continue;
    model.idle_watts = rule.idle_watts;
    model.peak_watts = rule.peak_watts;
  }
  model.fault_domain = p.fault_domains.size() + h;
  for (std::size_t i = p.fault_domains.size(); i-- > 0;) {
    if (selects_host(p.fault_domains[i].hosts, host.id)) model.fault_domain = i;
  }
}

/// memory_other_bytes: less what its VMs hold. It changes a little all the time; what depends on it must not.
void finish_memory(HostModel& host) {
  const double step = static_cast<double>(host.memory_bytes) / 256;
  const double in_use = static_cast<double>(host.memory_bytes - host.state->memory_available_bytes);
  host.memory_other_bytes = step > 0 ? step * std::max(0.0, std::round((in_use + host.memory_other_bytes) / step)) : 0;
}

}  // namespace

ClusterModel::ClusterModel(const ClusterState& s, const Policy& p, Memory* memory)
    : state(s),
      policy(p),
      horizon(make_horizon(s, p)),
      hosts(s.hosts.size()),
      vms(s.vms.size()),
      rule_vms(p.affinity.size()) {
  if (memory != nullptr) memory->begin(s, horizon);
  std::map<double, std::shared_ptr<const WaitTable>> priors;
  for (std::size_t h = 0; h < hosts.size(); ++h) {
    const HostState& host = s.hosts[h];
    hosts[h].state = &host;
    hosts[h].curve_trust = host.fingerprint.evidence_s / (host.fingerprint.evidence_s + kCurveTrustRun_s);
    hosts[h].capacity_cores = host.fingerprint.cpu_capacity_cores;
    hosts[h].memory_bytes = host.fingerprint.memory_capacity_bytes;
    apply_host_rules(p, h, hosts[h]);
    if (host.fingerprint.run_queue_wait.knots().empty()) {
      auto& prior = priors[hosts[h].capacity_cores];
      if (prior == nullptr) {
        prior = std::make_shared<const WaitTable>(profile::prior_curve(hosts[h].capacity_cores));
      }
      hosts[h].wait = prior;
    } else {
      hosts[h].wait = host.fingerprint.run_queue_wait.table();
    }
    if (!host.fingerprint.wait_factor.knots().empty()) hosts[h].wait_factor = host.fingerprint.wait_factor.table();
  }

  std::map<const profile::ResponseCurve*, std::shared_ptr<const WaitTable>> devices;
  const auto table_of = [&](const Device& device) {
    if (device.capacity_bytes_per_s <= 0 || device.wait == nullptr) return std::shared_ptr<const WaitTable>();
    auto& table = devices[device.wait.get()];
    if (table == nullptr) table = std::make_shared<const WaitTable>(*device.wait);
    return table;
  };
  for (HostModel& host : hosts) {
    host.disk_wait = table_of(host.state->disk);
    host.network_wait = table_of(host.state->network);
  }

  for (const PinRule& pin : p.pins) {
    std::vector<bool>& allows = pin_allows.emplace_back();
    for (const HostState& host : s.hosts) allows.push_back(selects_host(pin.hosts, host.id));
  }

  std::unordered_map<std::string_view, std::size_t> host_indices;
  for (std::size_t h = 0; h < hosts.size(); ++h) host_indices.emplace(s.hosts[h].id.value, h);
  const AffinityIndex affinities(p.affinity);
  for (std::size_t v = 0; v < vms.size(); ++v) {
    if (v + kAhead < vms.size()) prefetch(static_cast<const VmFigures*>(&s.vms[v + kAhead]));
    const VmState& vm = s.vms[v];
    VmModel& model = vms[v];
    model.state = &vm;
    const auto host = host_indices.find(vm.host.value);
    model.host = host == host_indices.end() ? kNowhere : host->second;
    model.active = vm.running && model.host != kNowhere;
    model.demand = memory != nullptr ? memory->demand_of(v, vm, horizon)
                                     : std::make_shared<const Demand>(make_demand(vm, horizon));
    const auto memory_bytes =
        static_cast<double>(vm.memory_resident_bytes > 0 ? vm.memory_resident_bytes : vm.allocation.memory_bytes);
    model.migration = predict_migration(memory_bytes, std::optional<double>(vm.dirty_bytes_per_s),
                                        static_cast<double>(p.limits.migration_bandwidth_bytes_per_s),
                                        static_cast<double>(p.limits.downtime_ms_max) * 1e-3);
    if (p.limits.memory_promise > 0 && model.demand->memory_known) {
      model.memory_need_bytes =
          std::max(vm.memory_resident_bytes, static_cast<std::int64_t>(model.demand->memory_max.p99));
    }
    apply_vm_rules(p, affinities, vm, model);
    apply_reservations(p, vm, model);
    apply_windows(p, vm, s.now, model);
    if (!model.active) continue;
    hosts[model.host].memory_other_bytes -= memory_bytes;
    for (const std::uint32_t rule : model.affinity) rule_vms[rule].push_back(v);
  }

  apply_helpers(s, p, *this);
  if (memory != nullptr) {
    for (std::size_t v = 0; v < vms.size(); ++v) vms[v].version = memory->version_of(v, vms[v], *this);
  }
  for (std::size_t h = 0; h < hosts.size(); ++h) {
    finish_memory(hosts[h]);
    if (memory != nullptr) hosts[h].version = memory->version_of(h, hosts[h]);
  }

  for (const InFlight& flight : s.in_flight) {
    const std::size_t v = index_of(s.vms, s.find_vm(flight.vm));
    if (v != kNowhere) {
      vms[v].in_flight = true;
      vms[v].awaiting_approval = flight.awaiting_approval;
    }
    if (!flight.target) continue;
    const std::size_t target = index_of(s.hosts, s.find_host(*flight.target));
    if (!flight.awaiting_approval) {
      ++migrations_running;
      const std::size_t source = index_of(s.hosts, s.find_host(flight.source));
      if (source != kNowhere) ++hosts[source].migrations_running;
      if (target != kNowhere && target != source) ++hosts[target].migrations_running;
    }
    // Until it has arrived, the target must keep its room; an approval may come at any time.
    if (v != kNowhere && target != kNowhere && vms[v].host != target) {
      hosts[target].transit_cpu_cores +=
          std::min(vms[v].demand->cpu_max.p90, vms[v].state->allocation.cpu_limit_cores());
      hosts[target].transit_memory_bytes += promised_bytes(vms[v], vms[v].state->allocation);
    }
  }
  for (const RecentMove& move : s.recent_moves) {
    if (move.end <= s.now - std::chrono::hours(1)) continue;
    ++moves_last_hour;
    const std::size_t v = index_of(s.vms, s.find_vm(move.vm));
    if (v != kNowhere) ++vms[v].moves_last_hour;
    for (const HostId& id : {move.source, move.target}) {
      const std::size_t h = index_of(s.hosts, s.find_host(id));
      if (h != kNowhere) ++hosts[h].moves_last_hour;
    }
  }
  if (!p.values.empty()) service = std::make_unique<const ServicePrices>(*this);
}

ClusterModel::~ClusterModel() = default;

double ClusterModel::payback_hours() const {
  return to_seconds(policy.limits.payback) / 3600;
}

double ClusterModel::gain_required(double present_cost_per_hour) const {
  return policy.limits.gain_min * present_cost_per_hour + policy.limits.gain_floor / payback_hours();
}

bool ClusterModel::pins_allow(std::size_t vm, std::size_t host) const {
  return std::all_of(vms[vm].pins.begin(), vms[vm].pins.end(),
                     [&](std::uint32_t pin) { return pin_allows[pin][host]; });
}

}  // namespace proteus::ham
