#include "controller/cluster_view.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "controller/forecast/cold_start.h"
#include "controller/forecast/staleness.h"

namespace proteus::controller {
namespace {

constexpr std::size_t kNoColumn = std::numeric_limits<std::size_t>::max();
constexpr std::int64_t kRunningState = 1;  // libvirt VIR_DOMAIN_RUNNING
// Share of a tick above which a vCPU that runs or waits is no longer taken to be idling of its own will.
constexpr double kBusyFrom = 0.85;
// Weight of the newest tick in smoothed figures of a host.
constexpr double kSmoothing = 0.2;

/// A counter's column with the last value seen, so that a step can be told from a restart.
struct Counter {
  std::size_t column = kNoColumn;
  std::optional<std::int64_t> last;

  /// Growth since the last frame; nullopt if absent, first seen or restarted.
  /// An absent reading begins anew: what follows it covers more than one tick.
  std::optional<double> step(const Frame& frame) {
    if (column == kNoColumn || frame.present[column] == 0) {
      last.reset();
      return std::nullopt;
    }
    const std::int64_t value = frame.values[column];
    const std::optional<std::int64_t> before = std::exchange(last, value);
    if (!before || value < *before) return std::nullopt;
    return static_cast<double>(value - *before);
  }
};

std::optional<std::int64_t> gauge(const Frame& frame, std::size_t column) {
  if (column == kNoColumn || frame.present[column] == 0) return std::nullopt;
  return frame.values[column];
}

std::string label(const Entity& entity, const std::string& key) {
  const auto found = entity.labels.find(key);
  return found == entity.labels.end() ? std::string() : found->second;
}

constexpr std::string_view kCapabilityPrefix = "capability.";
constexpr std::string_view kCalibrationPrefix = "calibration.";
constexpr std::string_view kGroupPrefix = "group.";
constexpr const char* kWakeUp = "wake_up_latency_ns";
constexpr Nanoseconds kAftermath = std::chrono::seconds(3);  // until what a migration held up has been caught up

}  // namespace

double vcpu_demand_cores(double run, double wait, double tick) {
  const double busy = (run + wait) / tick;
  const double saturation = std::clamp((busy - kBusyFrom) / (1.0 - kBusyFrom), 0.0, 1.0);
  return std::min((run + saturation * wait) / tick, 1.0);
}

/// Where one VM's figures stand in the frames of one catalog.
struct ClusterView::Columns {
  struct Vcpu {
    std::string name;
    Counter run;
    Counter wait;
  };
  VmId vm;
  std::vector<Vcpu> vcpus;
  Counter throttled;
  std::map<std::string, std::array<Counter, 2>> disks;  // by target: read, written bytes
  std::map<std::string, std::array<Counter, 2>> taps;   // by device: received, sent bytes
  std::optional<Timestamp> last_disk_change;
  std::vector<Counter> latency;  // by histogram bucket; empty without the trace lane
  std::size_t state = kNoColumn;
  std::size_t vcpus_count = kNoColumn;
  std::size_t vcpus_max = kNoColumn;
  std::size_t quota = kNoColumn;
  std::size_t period = kNoColumn;
  std::size_t shares = kNoColumn;
  std::size_t memory = kNoColumn;
  std::size_t memory_max = kNoColumn;
  std::size_t resident = kNoColumn;
  std::size_t usable = kNoColumn;
  std::size_t dirty = kNoColumn;
};

struct ClusterView::Host {
  std::shared_ptr<const Catalog> catalog;
  std::vector<Columns> vms;
  Counter cpu_time;
  std::size_t capacity = kNoColumn;
  std::size_t memory_total = kNoColumn;
  std::size_t memory_available = kNoColumn;
  std::uint64_t boot_id = 0;
  Timestamp last_time{};
  Timestamp received{};
  bool commandable = false;
  bool maintenance = false;
  ham::HostState figures;
  double tick_run = 0;   // of all vCPUs in the frame at hand, ns
  double tick_wait = 0;  // for a CPU, not for the VM's own quota
  std::optional<profile::CurveLearner> learner;
  double learner_cores = 0;
  std::int64_t learner_wake_up_ns = 0;
  Timestamp disturbed_until{};  // by a migration; controller's clock
};

struct ClusterView::Vm {
  ham::VmState state;
  Timestamp last_seen{};         // controller's clock
  double calm_demand_cores = 0;  // the last that no migration disturbed
  std::vector<std::int64_t> latency;
};

ClusterView::ClusterView(ViewOptions options)
    : options_(options), forecasts_(options.forecast, options.forecast_workers) {}
ClusterView::~ClusterView() = default;

void ClusterView::rebuild_columns(Host& host, const std::shared_ptr<const Catalog>& catalog) {
  std::vector<Columns> before = std::exchange(host.vms, {});
  std::map<std::uint32_t, std::size_t> vm_of_entity;
  const auto& entities = catalog->entities;
  for (std::uint32_t i = 0; i < entities.size(); ++i) {
    if (entities[i].kind != EntityKind::kVm) continue;
    vm_of_entity[i] = host.vms.size();
    host.vms.emplace_back().vm = VmId(entities[i].uuid);
  }
  const auto counters_before = [&](const VmId& vm) -> Columns* {
    const auto found = std::find_if(before.begin(), before.end(), [&](const Columns& c) { return c.vm == vm; });
    return found == before.end() ? nullptr : &*found;
  };
  const std::optional<std::int64_t> cpu_time_before = host.cpu_time.last;
  host.cpu_time = Counter{kNoColumn, cpu_time_before};
  host.capacity = host.memory_total = host.memory_available = kNoColumn;

  for (std::size_t column = 0; column < catalog->series.size(); ++column) {
    const Series& series = catalog->series[column];
    const Entity& entity = entities[series.entity];
    if (entity.kind == EntityKind::kHost) {
      if (series.kpi == Kpi::kHostCpuTimeNs) host.cpu_time.column = column;
      if (series.kpi == Kpi::kHostCpuCapacityMillicores) host.capacity = column;
      if (series.kpi == Kpi::kHostMemoryTotalBytes) host.memory_total = column;
      if (series.kpi == Kpi::kHostMemoryAvailableBytes) host.memory_available = column;
      continue;
    }
    const std::uint32_t vm_entity = entity.kind == EntityKind::kVm ? series.entity : entity.parent;
    const auto owner = vm_of_entity.find(vm_entity);
    if (owner == vm_of_entity.end()) continue;
    Columns& vm = host.vms[owner->second];
    if (entity.kind == EntityKind::kVcpu) {
      auto vcpu = std::find_if(vm.vcpus.begin(), vm.vcpus.end(), [&](const auto& v) { return v.name == entity.name; });
      if (vcpu == vm.vcpus.end()) vcpu = vm.vcpus.insert(vm.vcpus.end(), Columns::Vcpu{entity.name, {}, {}});
      if (series.kpi == Kpi::kCpuRunTimeNs) vcpu->run.column = column;
      if (series.kpi == Kpi::kRunQueueWaitNs) vcpu->wait.column = column;
    } else if (entity.kind == EntityKind::kDisk) {
      if (series.kpi == Kpi::kBlockReadBytes) vm.disks[entity.name][0].column = column;
      if (series.kpi == Kpi::kBlockWriteBytes) vm.disks[entity.name][1].column = column;
    } else if (entity.kind == EntityKind::kTap) {
      if (series.kpi == Kpi::kNetRxBytes) vm.taps[entity.name][0].column = column;
      if (series.kpi == Kpi::kNetTxBytes) vm.taps[entity.name][1].column = column;
    } else if (entity.kind == EntityKind::kVm) {
      switch (series.kpi) {
        case Kpi::kRunQueueLatencyNs:
          vm.latency.resize(kHistogramBucketCount);
          vm.latency[series.bucket].column = column;
          break;
        case Kpi::kCpuThrottledTimeNs: vm.throttled.column = column; break;
        case Kpi::kVmState: vm.state = column; break;
        case Kpi::kVmVcpusCount: vm.vcpus_count = column; break;
        case Kpi::kVmVcpusMaxCount: vm.vcpus_max = column; break;
        case Kpi::kVmCpuQuotaUs: vm.quota = column; break;
        case Kpi::kVmCpuPeriodUs: vm.period = column; break;
        case Kpi::kVmCpuShares: vm.shares = column; break;
        case Kpi::kVmMemoryBytes: vm.memory = column; break;
        case Kpi::kVmMemoryMaxBytes: vm.memory_max = column; break;
        case Kpi::kMemoryResidentBytes: vm.resident = column; break;
        case Kpi::kGuestMemoryUsableBytes: vm.usable = column; break;
        case Kpi::kMemoryDirtyBytesPerS: vm.dirty = column; break;
        default: break;
      }
    }
  }
  // Counters go on from their last value, unless the agent restarted and may have missed a restart of theirs.
  if (catalog->boot_id != host.boot_id) {
    host.cpu_time.last.reset();
    return;
  }
  for (Columns& vm : host.vms) {
    Columns* old = counters_before(vm.vm);
    if (old == nullptr) continue;
    for (auto& vcpu : vm.vcpus) {
      for (auto& was : old->vcpus) {
        if (was.name != vcpu.name) continue;
        vcpu.run.last = was.run.last;
        vcpu.wait.last = was.wait.last;
      }
    }
    const auto carry = [](auto& now, auto& was) {
      for (auto& [name, counters] : now) {
        const auto found = was.find(name);
        if (found == was.end()) continue;
        for (std::size_t i = 0; i < counters.size(); ++i) counters[i].last = found->second[i].last;
      }
    };
    carry(vm.disks, old->disks);
    carry(vm.taps, old->taps);
    for (std::size_t b = 0; b < std::min(vm.latency.size(), old->latency.size()); ++b)
      vm.latency[b].last = old->latency[b].last;
    vm.throttled.last = old->throttled.last;
    vm.last_disk_change = old->last_disk_change;
  }
}

void ClusterView::observe_vm(Host& host, Columns& columns, const Frame& frame, double tick_ns) {
  const HostId& host_id = host.catalog->host;
  const bool running = gauge(frame, columns.state).value_or(0) == kRunningState;
  Vm& vm = vms_[columns.vm];
  // During a migration two hosts list the VM; the one where it runs speaks for it.
  if (vm.state.host != host_id && !running && vm.state.running) return;
  vm.last_seen = host.received;
  ham::VmState& state = vm.state;
  state.id = columns.vm;
  state.host = host_id;
  state.running = running;
  ham::Allocation& allocation = state.allocation;
  allocation.vcpus = static_cast<std::int32_t>(gauge(frame, columns.vcpus_count).value_or(allocation.vcpus));
  allocation.vcpus_max = static_cast<std::int32_t>(gauge(frame, columns.vcpus_max).value_or(allocation.vcpus_max));
  allocation.cpu_quota_us = gauge(frame, columns.quota).value_or(allocation.cpu_quota_us);
  allocation.cpu_period_us = gauge(frame, columns.period).value_or(allocation.cpu_period_us);
  allocation.cpu_shares = gauge(frame, columns.shares).value_or(allocation.cpu_shares);
  allocation.memory_bytes = gauge(frame, columns.memory).value_or(allocation.memory_bytes);
  allocation.memory_max_bytes = gauge(frame, columns.memory_max).value_or(allocation.memory_max_bytes);
  state.memory_resident_bytes = gauge(frame, columns.resident).value_or(state.memory_resident_bytes);
  state.dirty_bytes_per_s = gauge(frame, columns.dirty).value_or(state.dirty_bytes_per_s);

  if (!columns.latency.empty()) vm.latency.resize(columns.latency.size());
  for (std::size_t bucket = 0; bucket < columns.latency.size(); ++bucket) {
    vm.latency[bucket] += static_cast<std::int64_t>(columns.latency[bucket].step(frame).value_or(0));
  }
  double run = 0;
  double wait = 0;
  double demand = 0;
  bool measured = false;
  for (auto& vcpu : columns.vcpus) {
    const std::optional<double> ran = vcpu.run.step(frame);
    const std::optional<double> waited = vcpu.wait.step(frame);
    if (!ran || tick_ns <= 0) continue;
    measured = true;
    run += *ran;
    wait += waited.value_or(0);
    demand += vcpu_demand_cores(*ran, waited.value_or(0), tick_ns);
  }
  const std::optional<double> throttled = columns.throttled.step(frame);
  double network = 0;
  bool network_measured = false;
  for (auto& [name, counters] : columns.taps) {
    for (Counter& counter : counters) {
      if (const auto step = counter.step(frame)) {
        network += *step;
        network_measured = true;
      }
    }
  }
  // Disk counters come from the slow lane: they step when it ran, and the step covers the time since the last one.
  double disk = 0;
  for (auto& [name, counters] : columns.disks) {
    for (Counter& counter : counters) disk += counter.step(frame).value_or(0);
  }
  if (tick_ns <= 0) return;

  if (measured) {
    state.cpu_used_cores = run / tick_ns;
    // A migration's copying takes CPU from the host's VMs: that they wait for it is no wish for more.
    if (host.received < host.disturbed_until) demand = std::max(run / tick_ns, std::min(demand, vm.calm_demand_cores));
    vm.calm_demand_cores = demand;
    state.cpu_demand_cores = demand;
    state.run_queue_wait_ratio = run > 0 ? wait / run : 0;
    if (throttled) state.throttled_ratio = std::min(1.0, *throttled / tick_ns);
    host.tick_run += run;
    // What a VM waits for its own quota says nothing about its host.
    const double waited = std::max(0.0, wait - throttled.value_or(0));
    host.tick_wait += waited;
    move_accuracy_.observe(columns.vm, host_id, host.received, run, waited);
    if (running) {
      forecasts_.observe(columns.vm, forecast::Resource::kCpu, frame.time, demand * cpu_speed(host_id));
    }
  }
  if (!running) return;
  if (network_measured)
    forecasts_.observe(columns.vm, forecast::Resource::kNetwork, frame.time, network / tick_ns * 1e9);
  if (disk > 0 || !columns.last_disk_change) {
    if (columns.last_disk_change) {
      const double seconds = to_seconds(frame.time - *columns.last_disk_change);
      if (seconds > 0) forecasts_.observe(columns.vm, forecast::Resource::kBlockIo, frame.time, disk / seconds);
    }
    columns.last_disk_change = frame.time;
  }
  const std::optional<std::int64_t> usable = gauge(frame, columns.usable);
  if (usable && allocation.memory_bytes > *usable) {
    forecasts_.observe(columns.vm, forecast::Resource::kMemory, frame.time,
                       static_cast<double>(allocation.memory_bytes - *usable));
  }
}

void ClusterView::on_sample(const Sample& sample, Timestamp received) {
  const Frame& frame = sample.frame;
  Host& host = hosts_[sample.catalog->host];
  const bool same_boot = host.catalog != nullptr && host.boot_id == frame.boot_id;
  if (host.catalog != sample.catalog) {
    rebuild_columns(host, sample.catalog);
    host.catalog = sample.catalog;
    host.boot_id = sample.catalog->boot_id;
  }
  host.received = received;
  // A clock set back or an agent's restart gives no rate for this tick; the next one does.
  const double tick_ns =
      same_boot && frame.time > host.last_time ? static_cast<double>((frame.time - host.last_time).count()) : 0;
  host.last_time = frame.time;

  const std::vector<Entity>& entities = sample.catalog->entities;
  ham::HostState& figures = host.figures;
  figures.id = sample.catalog->host;
  const std::optional<std::int64_t> millicores = gauge(frame, host.capacity);
  const double cores = millicores ? static_cast<double>(*millicores) / 1000.0 : figures.fingerprint.cpu_capacity_cores;
  read_labels(host, entities[0].labels);
  const auto calibrated = figures.fingerprint.calibration.find(kWakeUp);
  const std::int64_t wake_up_ns = calibrated == figures.fingerprint.calibration.end() ? 0 : calibrated->second;
  if (cores > 0 && (cores != host.learner_cores || wake_up_ns != host.learner_wake_up_ns)) {
    const profile::ResponseCurve prior = profile::prior_curve(cores, Nanoseconds(wake_up_ns));
    if (host.learner && cores == host.learner_cores) {
      host.learner->set_prior(prior);
    } else {
      // A host whose size changed answers differently: what was learned of it no longer holds.
      host.learner.emplace(prior, options_.curve_half_life);
    }
    host.learner_cores = cores;
    host.learner_wake_up_ns = wake_up_ns;
  }
  figures.fingerprint.host = figures.id;
  figures.fingerprint.cpu_capacity_cores = cores;
  figures.fingerprint.memory_capacity_bytes =
      gauge(frame, host.memory_total).value_or(figures.fingerprint.memory_capacity_bytes);
  figures.memory_available_bytes = gauge(frame, host.memory_available).value_or(figures.memory_available_bytes);
  figures.fingerprint.host_class = fmt::format("{} / {} / {} / {:.2f} cores", label(entities[0], "cpu_model"),
                                               label(entities[0], "kernel"), label(entities[0], "hypervisor"), cores);

  host.tick_run = host.tick_wait = 0;
  for (Columns& columns : host.vms) observe_vm(host, columns, frame, tick_ns);
  for (const Entity& entity : entities) {
    if (entity.kind != EntityKind::kVm) continue;
    const auto vm = vms_.find(VmId(entity.uuid));
    if (vm == vms_.end() || vm->second.state.host != figures.id) continue;
    ham::VmState& state = vm->second.state;
    state.name = entity.name;
    state.groups.clear();
    state.unmovable.reset();
    for (const auto& [key, value] : entity.labels) {
      if (key == "unmovable") state.unmovable = value;
      if (key.starts_with(kGroupPrefix)) state.groups[key.substr(kGroupPrefix.size())] = value;
    }
  }

  if (const auto used = host.cpu_time.step(frame); used && tick_ns > 0) {
    figures.cpu_used_cores = *used / tick_ns;
    figures.run_queue_wait_ratio = host.tick_run > 0 ? host.tick_wait / host.tick_run : 0;
    const double overhead = std::max(0.0, figures.cpu_used_cores - host.tick_run / tick_ns);
    figures.cpu_overhead_cores += kSmoothing * (overhead - figures.cpu_overhead_cores);
    if (host.learner && cores > 0 && host.tick_run > 0) {
      host.learner->observe(frame.time, figures.cpu_used_cores / cores,
                            Nanoseconds{static_cast<std::int64_t>(host.tick_run)},
                            Nanoseconds{static_cast<std::int64_t>(host.tick_wait)});
    }
  }
}

void ClusterView::read_labels(Host& host, const std::map<std::string, std::string>& labels) {
  profile::Fingerprint& fingerprint = host.figures.fingerprint;
  fingerprint.capabilities.clear();
  fingerprint.calibration.clear();
  for (const auto& [key, value] : labels) {
    if (key == "libvirt_uri") host.figures.libvirt_uri = value;
    if (key == "migrate_uri") host.figures.migrate_uri = value;
    if (key.starts_with(kCapabilityPrefix)) fingerprint.capabilities[key.substr(kCapabilityPrefix.size())] = value;
    if (key.starts_with(kCalibrationPrefix)) {
      std::int64_t figure = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), figure);
      // A host that says nonsense is taken to have said nothing.
      if (error != std::errc() || end != value.data() + value.size() || figure < 0) continue;
      fingerprint.calibration[key.substr(kCalibrationPrefix.size())] = figure;
    }
  }
}

void ClusterView::on_presence(const HostId& host, bool commandable) {
  hosts_[host].commandable = commandable;
}

void ClusterView::set_maintenance(const HostId& host, bool on) {
  hosts_[host].maintenance = on;
}

void ClusterView::on_migrating(const HostId& host, Timestamp now) {
  hosts_[host].disturbed_until = now + kAftermath;
}

void ClusterView::on_action_end(const ham::Action& action, Timestamp when, bool verified) {
  const auto found = vms_.find(action.vm);
  if (found != vms_.end()) {
    found->second.state.last_action_end = when;
    found->second.state.last_action_failed = !verified;
  }
  if (const auto* move = std::get_if<Migrate>(&action.operation)) {
    recent_moves_.emplace_back(when, action.vm, action.host, move->target);
    if (verified && action.expected_wait_ratio) {
      move_accuracy_.arrived(action.vm, move->target, *action.expected_wait_ratio, when);
    }
  }
}

double ClusterView::cpu_speed(const HostId& host) const {
  const auto found = options_.cpu_speed.find(host);
  return found == options_.cpu_speed.end() ? 1 : found->second;
}

void ClusterView::expect(const VmId& vm, Timestamp now) {
  vms_[vm].last_seen = now;
}

double ClusterView::cpu_speed_of(const VmId& vm) const {
  const auto found = vms_.find(vm);
  return found == vms_.end() ? 1 : cpu_speed(found->second.state.host);
}

ham::HostState ClusterView::host_state(const Host& host, Timestamp now, const profile::Evidence& of_class) const {
  ham::HostState state = host.figures;
  state.commandable = host.commandable;
  state.maintenance = host.maintenance;
  // A clock set back makes the newest frame seem to come from the future: that proves nothing about the host.
  const Nanoseconds age = now - host.received;
  state.fresh = host.catalog != nullptr && age <= options_.staleness && age >= -options_.staleness;
  if (host.learner) {
    profile::Evidence others = of_class;
    others.remove(host.learner->evidence());
    state.fingerprint.run_queue_wait = host.learner->curve(others);
    state.fingerprint.evidence_s = host.learner->evidence().run_s();
  } else {
    state.fingerprint.run_queue_wait = profile::prior_curve(std::max(1.0, state.fingerprint.cpu_capacity_cores));
  }
  return state;
}

ham::VmState ClusterView::vm_state(const VmId& id, const Vm& vm, Timestamp now) const {
  ham::VmState state = vm.state;
  for (const forecast::Resource resource : forecast::kResources) {
    auto made = forecasts_.forecast(id, resource, now);
    if (!made && resource == forecast::Resource::kCpu && vm.state.running) {
      // Its first forecast is being made.
      made = forecast::cold_start(now, options_.forecast.step, options_.forecast.horizon_steps,
                                  vm.state.cpu_demand_cores * cpu_speed(vm.state.host), 0);
    }
    if (!made) continue;
    if (resource == forecast::Resource::kCpu) scale(*made, 1 / cpu_speed(vm.state.host));
    state.forecasts.emplace(resource, std::move(*made));
  }
  return state;
}

ham::ClusterState ClusterView::state(Timestamp now) {
  std::erase_if(recent_moves_, [&](const ham::RecentMove& move) { return now - move.end > std::chrono::hours(1); });
  ham::ClusterState state;
  state.now = now;
  state.move_errors = move_accuracy_.errors();
  std::map<std::string, profile::Evidence> of_class;
  for (const auto& [id, host] : hosts_) {
    if (host.learner) of_class[host.figures.fingerprint.host_class].add(host.learner->evidence());
  }
  for (const auto& [id, host] : hosts_) {
    if (host.catalog != nullptr) {
      state.hosts.push_back(host_state(host, now, of_class[host.figures.fingerprint.host_class]));
    }
  }
  for (auto vm = vms_.begin(); vm != vms_.end();) {
    const auto host = hosts_.find(vm->second.state.host);
    // A VM that its fresh host no longer lists is gone from there; its history waits a while for its return.
    const bool listed = host != hosts_.end() && std::any_of(host->second.vms.begin(), host->second.vms.end(),
                                                            [&](const Columns& c) { return c.vm == vm->first; });
    if (!listed && now - vm->second.last_seen > options_.forget_after) {
      forecasts_.forget(vm->first);
      move_accuracy_.forget(vm->first);
      vm = vms_.erase(vm);
      continue;
    }
    if (listed) {
      state.vms.push_back(vm_state(vm->first, vm->second, now));
    } else {
      vm->second.state.running = false;  // whichever host lists it next speaks for it
    }
    ++vm;
  }
  state.recent_moves = recent_moves_;
  return state;
}

std::map<VmId, std::vector<std::int64_t>> ClusterView::run_queue_latency() const {
  std::map<VmId, std::vector<std::int64_t>> histograms;
  for (const auto& [id, vm] : vms_) {
    if (!vm.latency.empty()) histograms.emplace(id, vm.latency);
  }
  return histograms;
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
