#include "controller/cluster_view.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "common/prefetch.h"
#include "controller/cluster_view_parts.h"

namespace proteus::controller {
namespace {

constexpr std::int64_t kRunningState = 1;  // libvirt VIR_DOMAIN_RUNNING
// Share of a tick above which a vCPU that runs or waits is no longer taken to be idling of its own will.
constexpr double kBusyFrom = 0.85;
// Weight of the newest tick in smoothed figures of a host.
constexpr double kSmoothing = 0.2;
// A host's overhead is told anew when it has changed by this share of its capacity: less makes no other decision.
constexpr double kOverheadTold = 0.002;
constexpr std::string_view kCapabilityPrefix = "capability.";
constexpr std::string_view kCalibrationPrefix = "calibration.";
constexpr const char* kWakeUp = "wake_up_latency_ns";
constexpr std::string_view kGroupPrefix = "group.";
// Waiting for a CPU of the host by more than this share of the time is being kept waiting.
constexpr double kKeptWaiting = 0.05;
constexpr Nanoseconds kCatchingUp = std::chrono::seconds(10);  // after the last sign of it, or `staleness` if less
constexpr Nanoseconds kSteady = std::chrono::minutes(2);       // a lag that has changed little for so long is a clock's
constexpr Nanoseconds kAftermath = std::chrono::seconds(3);    // until what a migration held up has been caught up
// The host's answers on what is not its CPU, and its wait factor, are fitted anew this often.
constexpr Nanoseconds kFitInterval = std::chrono::seconds(10);
// Disks of which nothing new has come for so long are idle, though the slow lane may be slower.
constexpr Nanoseconds kDisksQuiet = std::chrono::seconds(20);

std::string label(const Entity& entity, const std::string& key) {
  const auto found = entity.labels.find(key);
  return found == entity.labels.end() ? std::string() : found->second;
}

void take_labels(const Entity& entity, ham::HostState& state) {
  state.libvirt_uri = label(entity, "libvirt_uri");
  state.migrate_uri = label(entity, "migrate_uri");
  state.libvirt_trouble = label(entity, "libvirt_trouble");
  profile::Fingerprint& fingerprint = state.fingerprint;
  fingerprint.capabilities.clear();
  fingerprint.calibration.clear();
  for (const auto& [key, value] : entity.labels) {
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

std::string class_of(const Entity& host, double cores) {
  return fmt::format("{} / {} / {} / {:.2f} cores", label(host, "cpu_model"), label(host, "kernel"),
                     label(host, "hypervisor"), cores);
}

void take_labels(const Entity& entity, ham::VmState& state) {
  state.name = entity.name;
  state.groups.clear();
  state.unmovable.reset();
  for (const auto& [key, value] : entity.labels) {
    if (key == "unmovable") state.unmovable = value;
    if (key.starts_with(kGroupPrefix)) state.groups[key.substr(kGroupPrefix.size())] = value;
  }
}

/// Of what its vCPUs would have run (all in ns), what they ran; its own quota is what it was given, and no loss.
/// Storage is no loss either: what it takes at best is not known.
ham::Served served_of(double run, double cpu_wait, double memory_stall, double network_wait) {
  const double wanted = run + cpu_wait + memory_stall + network_wait;
  ham::Served served;
  served.performance = wanted > 0 ? run / wanted : 1;
  served.kept_waiting = cpu_wait > kKeptWaiting * (run + cpu_wait);
  return served;
}

/// Where libvirt says nothing of the VM, it runs if a vCPU has run since the frame before, and else if it did before.
bool runs(const VmColumns& columns, const Frame& frame, bool before) {
  if (const auto state = gauge(frame, columns.state)) return *state == kRunningState;
  return before || std::any_of(columns.vcpus.begin(), columns.vcpus.end(), [&](const VmColumns::Vcpu& vcpu) {
           return vcpu.run.seen && gauge(frame, vcpu.run.column).value_or(0) > vcpu.run.last;
         });
}

}  // namespace

double vcpu_demand_cores(double run, double wait, double tick) {
  const double busy = (run + wait) / tick;
  const double saturation = std::clamp((busy - kBusyFrom) / (1.0 - kBusyFrom), 0.0, 1.0);
  return std::min((run + saturation * wait) / tick, 1.0);
}

ClusterView::ClusterView(ViewOptions options)
    : options_(options), forecasts_(options.forecast, options.forecast_workers), spares_(std::make_shared<Spares>()) {}
ClusterView::~ClusterView() = default;

ClusterView::Vm& ClusterView::vm_of(const VmId& id) {
  Vm& vm = vms_[id];
  if (vm.serial == 0) {
    vm.serial = ++serials_;
    vm.forecasts = &forecasts_.vm(id);
    vm.state.id = id;
    in_order_.clear();
  }
  return vm;
}

void ClusterView::forget(const VmId& id) {
  const auto vm = vms_.find(id);
  for (auto& [name, host] : hosts_)
    std::replace(host.vms.begin(), host.vms.end(), &vm->second, static_cast<Vm*>(nullptr));
  move_accuracy_.forget(id);
  storage_accuracy_.forget(id);
  network_accuracy_.forget(id);
  forecasts_.forget(id);
  vms_.erase(vm);
  in_order_.clear();
}

const std::vector<ClusterView::Vm*>& ClusterView::in_order() {
  if (in_order_.empty()) {
    for (auto& [id, vm] : vms_) in_order_.push_back(&vm);
  }
  return in_order_;
}

/// Telemetry that was held up (no network, no controller) tells of the past: its lag is more than it was, until it has
/// been caught up with. A clock that is wrong, of either machine, makes a lag that stays as it is and says nothing.
void ClusterView::observe_lag(Host& host, Timestamp measured, Timestamp received) const {
  host.lag = received - measured;
  const bool first = host.received == Timestamp{};
  // Falls as fast are of a backlog, too: the first that is seen of a host may be one.
  const bool jumped = !first && std::chrono::abs(host.lag - host.glanced_lag) > options_.staleness;
  if (jumped) host.unsettled_until = received + std::min(options_.staleness, kCatchingUp);
  if (first || jumped || std::chrono::abs(received - host.glanced_at) > options_.staleness) {
    host.glanced_lag = host.lag;
    host.glanced_at = received;
  }
  if (first || std::chrono::abs(host.lag - host.steady_lag) > options_.staleness / 2 || received < host.steady_since) {
    host.steady_lag = host.lag;
    host.steady_since = received;
  }
  const bool steady = received - host.steady_since >= kSteady;
  if (first || steady || host.lag < host.usual_lag) host.usual_lag = host.lag;
  if (host.lag - host.usual_lag > options_.staleness) {
    host.unsettled_until = received + std::min(options_.staleness, kCatchingUp);
  }
  host.received = received;
}

void ClusterView::observe_vm(Host& host, std::size_t index, const Frame& frame, double tick_ns) {
  VmColumns& columns = host.columns.vms[index];
  if (host.vms[index] == nullptr) host.vms[index] = &vm_of(columns.vm);
  Vm& vm = *host.vms[index];
  const bool running = runs(columns, frame, vm.speaker == &host && vm.state.running);
  // During a migration two hosts list the VM; the one where it runs speaks for it.
  // So does the one whose telemetry is not of the past, where a VM has moved meanwhile.
  if (vm.speaker != &host && vm.state.running && (!running || (!host.settled() && vm.listed()))) return;
  vm.last_seen = host.received;
  ham::VmState& state = vm.state;
  if (vm.listed_in != host.catalog_serial) {
    vm.speaker = &host;
    vm.listed_in = host.catalog_serial;
    state.host = host.catalog->host;
    take_labels(host.catalog->entities[columns.entity], state);
  }
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
  state.dirty_bytes_per_s = gauge(frame, columns.dirty);

  if (!columns.latency.empty()) vm.latency.resize(columns.latency.size());
  for (std::size_t bucket = 0; bucket < columns.latency.size(); ++bucket) {
    vm.latency[bucket] += static_cast<std::int64_t>(columns.latency[bucket].step(frame).value_or(0));
  }
  double run = 0;
  double wait = 0;
  double demand = 0;
  bool measured = false;
  bool waits_told = true;
  for (auto& vcpu : columns.vcpus) {
    const std::optional<double> ran = vcpu.run.step(frame);
    const std::optional<double> waited = vcpu.wait.step(frame);
    if (!ran || tick_ns <= 0) continue;
    measured = true;
    waits_told = waits_told && waited;
    run += *ran;
    wait += waited.value_or(0);
    demand += vcpu_demand_cores(*ran, waited.value_or(0), tick_ns);
  }
  const std::optional<double> throttled = columns.throttled.step(frame);
  const NetworkTick network = read_network(columns, frame);
  const DiskTick disks = read_disks(columns, frame);
  const ExitTick exits = read_exits(columns, frame);
  const double stalled = columns.memory_stalled.step(frame).value_or(0);
  host.tick_whole = host.tick_whole && waits_told && (measured || !running);
  if (tick_ns <= 0) return;
  const double tick_s = tick_ns * 1e-9;
  const double cpu_wait = std::max(0.0, wait - throttled.value_or(0));
  if (measured) {
    vm.signature.observe({.seconds = tick_s,
                          .run_s = run * 1e-9,
                          .cpu_wait_s = cpu_wait * 1e-9,
                          .memory_stall_s = stalled * 1e-9,
                          .network_bytes = network.bytes,
                          .packets = network.packets,
                          .packets_dropped = network.drops,
                          .exits = exits.count});
  }
  // What is of the past says nothing of a move that has been made since.
  if (network.measured && host.settled()) {
    network_accuracy_.observe(columns.vm, host.catalog->host, host.received, network.packets + network.drops,
                              network.drops);
  }
  observe_disks(host, vm, columns, disks, frame.time);
  host.add(network, disks, exits);
  host.storage_requests_per_s += vm.storage_requests_per_s;
  state.signature = vm.signature.signature();

  if (measured) {
    state.cpu_used_cores = run / tick_ns;
    // A migration's copying takes CPU from the host's VMs: that they wait for it is no wish for more.
    if (host.received < host.disturbed_until) demand = std::max(run / tick_ns, std::min(demand, vm.calm_demand_cores));
    vm.calm_demand_cores = demand;
    state.cpu_demand_cores = demand;
    state.run_queue_wait_ratio = run > 0 ? wait / run : 0;
    if (throttled) state.throttled_ratio = std::min(1.0, *throttled / tick_ns);
    state.stalls.memory = stalled / tick_ns;
    state.stalls.network = network.drops / tick_s * profile::kDropCost_s;
    state.served = served_of(run, cpu_wait, stalled, state.stalls.network * tick_ns);
    host.tick_run += run;
    const double wanted = std::min(demand, allocation.cpu_limit_cores());
    if (wanted > 0) host.tick_contenders.add_vm(wanted, allocation.vcpus);
    // What a VM waits for its own quota says nothing about its host.
    host.tick_wait += cpu_wait;
    if (host.settled()) move_accuracy_.observe(columns.vm, host.catalog->host, host.received, run, cpu_wait);
    if (running) {
      forecasts_.observe(*vm.forecasts, forecast::Resource::kCpu, frame.time, demand * cpu_speed(host.catalog->host));
    }
  }
  if (!running) return;
  if (network.measured)
    forecasts_.observe(*vm.forecasts, forecast::Resource::kNetwork, frame.time, network.bytes / tick_ns * 1e9);
  if (disks.bytes > 0 || !columns.last_disk_change) {
    if (columns.last_disk_change) {
      const double seconds = to_seconds(frame.time - *columns.last_disk_change);
      if (seconds > 0)
        forecasts_.observe(*vm.forecasts, forecast::Resource::kBlockIo, frame.time, disks.bytes / seconds);
    }
    columns.last_disk_change = frame.time;
  }
  const std::optional<std::int64_t> usable = gauge(frame, columns.usable);
  if (usable && allocation.memory_bytes > *usable) {
    forecasts_.observe(*vm.forecasts, forecast::Resource::kMemory, frame.time,
                       static_cast<double>(allocation.memory_bytes - *usable));
  }
}

void ClusterView::observe_disks(Host& host, Vm& vm, VmColumns& columns, const DiskTick& tick, Timestamp time) {
  if (!columns.last_storage_tick) columns.last_storage_tick = time;
  const Nanoseconds since = time - *columns.last_storage_tick;
  if (since <= Nanoseconds::zero() || (tick.requests <= 0 && since < kDisksQuiet)) return;
  columns.last_storage_tick = time;
  const double seconds = to_seconds(since);
  vm.storage_requests_per_s = tick.requests / seconds;
  vm.state.stalls.storage = std::min(tick.time_s / seconds, static_cast<double>(vm.state.allocation.vcpus));
  if (host.settled()) {
    storage_accuracy_.observe(columns.vm, host.catalog->host, host.received, tick.requests, tick.time_s);
  }
  const profile::HostCurve& storage = host.figures.fingerprint.storage;
  vm.signature.observe(profile::SignatureLearner::StorageTick{
      .seconds = seconds,
      .requests = tick.requests,
      .bytes = tick.bytes,
      .request_time_s = tick.time_s,
      .host_response_s = storage.evidence > 0 ? storage.curve.at(host.last_storage_requests_per_s) : 0,
      .vcpus = static_cast<double>(vm.state.allocation.vcpus)});
}

/// What the frame says of the host's answers beside that of its CPU.
void ClusterView::observe_answers(Host& host, const Frame& frame, double tick_ns) {
  const std::optional<double> stalled = host.columns.memory_stalled.step(frame);
  host.last_storage_requests_per_s = host.storage_requests_per_s;
  // What a migration disturbs is not the host's own.
  if (tick_ns <= 0 || host.received < host.disturbed_until || host.received <= host.learned_until) return;
  if (!host.settled()) return;  // VMs that have moved since are missing
  using profile::Resource;
  profile::HostLearner& answers = *host.answers;
  const ham::HostState& figures = host.figures;
  const double tick_s = tick_ns * 1e-9;
  const auto memory = static_cast<double>(figures.fingerprint.memory_capacity_bytes);
  if (stalled && memory > 0) {
    const double used = 1 - static_cast<double>(figures.memory_available_bytes) / memory;
    answers.observe(Resource::kMemory, frame.time, std::max(0.0, used), tick_s, *stalled * 1e-9);
  }
  if (host.tick_disks.requests > 0) {
    answers.observe(Resource::kStorage, frame.time, host.storage_requests_per_s, host.tick_disks.requests,
                    host.tick_disks.time_s);
  }
  if (host.tick_network.packets > 0) {
    answers.observe(Resource::kNetwork, frame.time, host.tick_network.bytes / tick_s,
                    host.tick_network.packets + host.tick_network.drops, host.tick_network.drops);
  }
  if (host.tick_exits.timed_count > 0 && figures.fingerprint.cpu_capacity_cores > 0) {
    answers.observe(Resource::kExits, frame.time, figures.cpu_used_cores / figures.fingerprint.cpu_capacity_cores,
                    host.tick_exits.timed_count, host.tick_exits.time_s);
  }
}

/// What the host's VMs have waited, against what the very same would have waited by theory.
void ClusterView::observe_waiting(Host& host, double overhead_cores, Timestamp time, double tick_ns) {
  if (!host.wait_factor || !host.tick_whole || host.tick_run <= 0 || !host.settled()) return;
  // What a migration disturbs is not the host's own.
  if (host.received < host.disturbed_until || host.received <= host.learned_until) return;
  profile::Contenders contenders = host.tick_contenders;
  contenders.add_others(overhead_cores);
  host.wait_factor->observe(time, contenders, host.learner_cores, host.tick_wait / host.tick_run, tick_ns * 1e-9);
}

void ClusterView::fit_answers(Timestamp now) {
  // A host that has just come must not wait for its priors.
  const bool all_fitted = std::all_of(hosts_.begin(), hosts_.end(),
                                      [](const auto& host) { return host.second.fitted || !host.second.answers; });
  if (all_fitted && last_fit_ && now >= *last_fit_ && now - *last_fit_ < kFitInterval) return;
  last_fit_ = now;
  struct OfClass {
    profile::EvidenceByResource answers;
    profile::Evidence waiting;
  };
  std::map<std::string, OfClass> classes;
  for (const auto& [id, host] : hosts_) {
    if (!host.answers) continue;
    OfClass& of_class = classes[host.figures.fingerprint.host_class];
    host.answers->add_evidence(of_class.answers);
    if (host.wait_factor) of_class.waiting.add(host.wait_factor->evidence());
  }
  for (auto& [id, host] : hosts_) {
    if (!host.answers) continue;
    host.fitted = true;
    profile::Fingerprint& fingerprint = host.figures.fingerprint;
    const OfClass& of_class = classes[fingerprint.host_class];
    host.answers->write(of_class.answers, fingerprint);
    if (host.wait_factor) fingerprint.wait_factor = host.wait_factor->known(of_class.waiting);
  }
}

/// Once a step, to the forecasts of the VMs that are on the host: how long its vCPUs have waited per time that they
/// ran.
void ClusterView::tell_pressure(Host& host, Timestamp time) {
  host.step_run += host.tick_run;
  host.step_wait += host.tick_wait;
  const std::int64_t step = to_unix_ns(time) / std::max<std::int64_t>(1, options_.forecast.step.count());
  if (step == host.step) return;
  const Timestamp begun{host.step * options_.forecast.step};
  host.step = step;
  const double run = std::exchange(host.step_run, 0);
  const double waited = std::exchange(host.step_wait, 0);
  if (!(run > 0)) return;
  for (const Vm* vm : host.vms) {
    if (vm != nullptr && vm->speaker == &host) forecasts_.observe_pressure(vm->state.id, begun, waited / run);
  }
}

void ClusterView::on_sample(const Sample& sample, Timestamp received) {
  const Frame& frame = sample.frame;
  Host& host = hosts_[sample.catalog->host];
  const bool same_boot = host.catalog != nullptr && host.boot_id == frame.boot_id;
  const bool new_catalog = host.catalog != sample.catalog;
  if (new_catalog) {
    host.columns = find_columns(*sample.catalog, host.columns, sample.catalog->boot_id == host.boot_id);
    host.vms.assign(host.columns.vms.size(), nullptr);
    host.catalog = sample.catalog;
    host.catalog_serial = ++serials_;
    host.boot_id = sample.catalog->boot_id;
    host.figures.id = host.figures.fingerprint.host = sample.catalog->host;
    take_labels(sample.catalog->entities[0], host.figures);
  }
  observe_lag(host, frame.time, received);
  // A clock set back or an agent's restart gives no rate for this tick; the next one does.
  const double tick_ns =
      same_boot && frame.time > host.last_time ? static_cast<double>((frame.time - host.last_time).count()) : 0;
  host.last_time = frame.time;

  ham::HostState& figures = host.figures;
  const HostColumns& columns = host.columns;
  const std::optional<std::int64_t> millicores = gauge(frame, columns.capacity);
  const double cores = millicores ? static_cast<double>(*millicores) / 1000.0 : figures.fingerprint.cpu_capacity_cores;
  const auto calibrated = figures.fingerprint.calibration.find(kWakeUp);
  const std::int64_t wake_up_ns = calibrated == figures.fingerprint.calibration.end() ? 0 : calibrated->second;
  if (cores > 0 && (cores != host.learner_cores || wake_up_ns != host.learner_wake_up_ns)) {
    const profile::ResponseCurve prior = profile::prior_curve(cores, Nanoseconds(wake_up_ns));
    if (host.learner && cores == host.learner_cores) {
      host.learner->set_prior(prior);
    } else {
      // A host whose size changed answers differently: what was learned of it no longer holds.
      host.learner.emplace(prior, options_.curve_half_life);
      host.wait_factor.emplace(options_.curve_half_life);
      host.fitted = false;
    }
    host.learner_cores = cores;
    host.learner_wake_up_ns = wake_up_ns;
  }
  if (!host.answers) host.answers.emplace(options_.curve_half_life);
  if (new_catalog) host.answers->set_calibration(figures.fingerprint.calibration);
  if (new_catalog || cores != figures.fingerprint.cpu_capacity_cores) {
    figures.fingerprint.host_class = class_of(host.catalog->entities[0], cores);
  }
  figures.fingerprint.cpu_capacity_cores = cores;
  figures.fingerprint.memory_capacity_bytes =
      gauge(frame, columns.memory_total).value_or(figures.fingerprint.memory_capacity_bytes);
  figures.memory_available_bytes = gauge(frame, columns.memory_available).value_or(figures.memory_available_bytes);
  host.begin_tick();
  for (std::size_t i = 0; i < host.vms.size(); ++i) {
    if (i + 1 < host.vms.size()) prefetch(host.vms[i + 1]);
    observe_vm(host, i, frame, tick_ns);
  }
  tell_pressure(host, frame.time);

  if (const auto used = host.columns.cpu_time.step(frame); used && tick_ns > 0) {
    figures.cpu_used_cores = *used / tick_ns;
    figures.run_queue_wait_ratio = host.tick_run > 0 ? host.tick_wait / host.tick_run : 0;
    const double overhead = std::max(0.0, figures.cpu_used_cores - host.tick_run / tick_ns);
    // Of the past, a VM that another host runs by now is in none of its ticks.
    if (host.settled()) host.overhead_cores += kSmoothing * (overhead - host.overhead_cores);
    if (std::abs(host.overhead_cores - figures.cpu_overhead_cores) > kOverheadTold * cores) {
      figures.cpu_overhead_cores = host.overhead_cores;
    }
    if (host.learner && cores > 0 && host.tick_run > 0 && received > host.learned_until) {
      host.learner->observe(frame.time, figures.cpu_used_cores / cores,
                            Nanoseconds{static_cast<std::int64_t>(host.tick_run)},
                            Nanoseconds{static_cast<std::int64_t>(host.tick_wait)});
    }
    observe_waiting(host, overhead, frame.time, tick_ns);
  }
  observe_answers(host, frame, tick_ns);
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
    if (verified && action.expected_storage_s) {
      storage_accuracy_.arrived(action.vm, move->target, *action.expected_storage_s, when);
    }
    if (verified && action.expected_drop_share) {
      network_accuracy_.arrived(action.vm, move->target, *action.expected_drop_share, when);
    }
  }
}

double ClusterView::cpu_speed(const HostId& host) const {
  const auto found = options_.cpu_speed.find(host);
  return found == options_.cpu_speed.end() ? 1 : found->second;
}

void ClusterView::expect(const VmId& vm, Timestamp now) {
  vm_of(vm).last_seen = now;
}

double ClusterView::cpu_speed_of(const VmId& vm) const {
  const auto found = vms_.find(vm);
  return found == vms_.end() ? 1 : cpu_speed(found->second.state.host);
}

}  // namespace proteus::controller
