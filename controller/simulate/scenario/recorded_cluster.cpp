#include "controller/simulate/scenario/recorded_cluster.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <set>
#include <utility>
#include <variant>

#include "common/wire/telemetry_codec.h"
#include "controller/cluster_view.h"
#include "controller/device_ticks.h"
#include "controller/ham/rules/selector.h"
#include "controller/pipeline_options.h"
#include "controller/replay/recording.h"
#include "controller/simulate/kvm/cluster.h"

namespace proteus::simulate::scenario {
namespace {

constexpr std::int64_t kRunningState = 1;  // libvirt VIR_DOMAIN_RUNNING
constexpr std::string_view kGroupPrefix = "group.";
constexpr double kKib = 1024;
/// A VM whose telemetry ends so long before its host's has gone.
constexpr std::int64_t kGoneTicks = 2;

std::int64_t tick_of(Timestamp time) {
  return to_unix_ns(time) / Nanoseconds(std::chrono::seconds(kvm::kTick_s)).count();
}

kvm::VmClass class_of(const std::map<std::string, std::string>& tags) {
  const auto found = tags.find("class");
  if (found == tags.end()) return kvm::VmClass::kSilver;
  if (found->second == "gold") return kvm::VmClass::kGold;
  return found->second == "bronze" ? kvm::VmClass::kBronze : kvm::VmClass::kSilver;
}

/// What a scenario may call it.
std::string clean_name(std::string name) {
  for (char& c : name) {
    if (!is_good_name(std::string("x") + c)) c = '_';
  }
  return is_good_name(name) ? name : "_" + name.substr(std::min<std::size_t>(1, name.size()));
}

}  // namespace

Status RecordedCluster::on_started(const store::Started& started) {
  const Result<controller::PipelineOptions> options = controller::parse_pipeline_options(started.options_toml);
  if (!options) return with_context(options.error(), "the recorded options");
  speeds_ = options->view.cpu_speed;
  const Result<ham::Policy> policy = ham::parse_policy(started.policy_toml, "recorded policy");
  if (!policy) return policy.error();
  powers_ = policy->powers;
  return {};
}

void RecordedCluster::on_sample(const Sample& sample) {
  const Frame& frame = sample.frame;
  RecordedHost& host = hosts_[sample.catalog->host];
  const bool same_boot = host.catalog != nullptr && host.boot_id == frame.boot_id;
  if (host.catalog != sample.catalog) {
    host.columns = controller::find_columns(*sample.catalog, host.columns, same_boot);
    host.catalog = sample.catalog;
    host.boot_id = frame.boot_id;
  }
  const double tick_ns =
      same_boot && frame.time > host.last_time ? static_cast<double>((frame.time - host.last_time).count()) : 0;
  host.last_time = frame.time;
  if (tick_ns > 0) host.ticks.insert(tick_of(frame.time));
  if (const auto millicores = controller::gauge(frame, host.columns.capacity)) {
    host.cores = static_cast<double>(*millicores) / 1000;
  }
  host.memory_bytes = controller::gauge(frame, host.columns.memory_total).value_or(host.memory_bytes);
  for (controller::VmColumns& vm : host.columns.vms) on_vm(host, vm, frame, tick_ns);
}

void RecordedCluster::on_vm(const RecordedHost& host, controller::VmColumns& columns, const Frame& frame,
                            double tick_ns) {
  double demand = 0;
  bool measured = false;
  for (auto& vcpu : columns.vcpus) {
    const std::optional<double> ran = vcpu.run.step(frame);
    const std::optional<double> waited = vcpu.wait.step(frame);
    if (!ran || tick_ns <= 0) continue;
    measured = true;
    demand += controller::vcpu_demand_cores(*ran, waited.value_or(0), tick_ns);
  }
  const controller::NetworkTick network = controller::read_network(columns, frame);
  const controller::DiskTick disks = controller::read_disks(columns, frame);
  // During a migration two hosts list the VM; the one where it runs speaks for it.
  if (!measured || controller::gauge(frame, columns.state).value_or(0) != kRunningState) return;

  const Entity& entity = host.catalog->entities[columns.entity];
  RecordedVm& vm = vms_[columns.vm];
  vm.name = entity.name;
  vm.unmovable = entity.labels.contains("unmovable");
  vm.tags.clear();
  for (const auto& [key, value] : entity.labels) {
    if (key.starts_with(kGroupPrefix)) vm.tags[key.substr(kGroupPrefix.size())] = value;
  }
  vm.vcpus = static_cast<int>(controller::gauge(frame, columns.vcpus_count).value_or(vm.vcpus));
  const std::int64_t memory = controller::gauge(frame, columns.memory).value_or(0);
  vm.memory_bytes = controller::gauge(frame, columns.memory_max).value_or(std::max(vm.memory_bytes, memory));

  const double seconds = tick_ns * 1e-9;
  const auto speed = speeds_.find(host.catalog->host);
  Tick& tick = vm.ticks[tick_of(frame.time)];
  if (tick.host.empty()) tick.host = host.catalog->host;
  tick.measured_s += seconds;
  tick.cpu_core_s += demand * seconds * (speed == speeds_.end() ? 1 : speed->second);
  tick.disk_bytes += disks.bytes;
  tick.network_bytes += network.bytes;
  const std::optional<std::int64_t> usable = controller::gauge(frame, columns.usable);
  const std::int64_t used = usable ? memory - *usable : controller::gauge(frame, columns.resident).value_or(0);
  if (used > 0) {
    tick.used_s += seconds;
    tick.used_mib_s += static_cast<double>(used) / static_cast<double>(kMiB) * seconds;
  }
}

Host RecordedCluster::make_host(const HostId& id, const RecordedHost& from, double core_mhz) const {
  Host host;
  host.name = clean_name(id.value);
  host.cores = std::max(1, static_cast<int>(std::lround(from.cores)));
  const auto speed = speeds_.find(id);
  host.core_mhz = core_mhz * (speed == speeds_.end() ? 1 : speed->second);
  // Part of a CPU, by a limit on the host: as many cores as may run at once, each so much slower.
  if (from.cores > 0) host.core_mhz *= from.cores / host.cores;
  if (from.memory_bytes > 0) host.memory_mib = static_cast<double>(from.memory_bytes) / static_cast<double>(kMiB);
  for (const ham::PowerRule& rule : powers_) {
    if (!ham::selects_host(rule.hosts, id)) continue;
    host.idle_w = rule.idle_watts;
    host.peak_w = rule.peak_watts;
    break;
  }
  return host;
}

bool RecordedCluster::has_gone(const RecordedVm& vm) const {
  const auto& [last, tick] = *vm.ticks.rbegin();
  return last + kGoneTicks <= *hosts_.at(tick.host).ticks.rbegin();
}

/// first_tick: the one that history begins with.
Vm RecordedCluster::make_vm(const RecordedVm& from, std::int64_t first_tick, const Scenario& scenario) const {
  Vm vm;
  vm.name = clean_name(from.name);
  vm.vcpus = from.vcpus;
  double largest_mib = 0;
  for (const Host& host : scenario.hosts) largest_mib = std::max(largest_mib, host.memory_mib);
  vm.memory_mib = static_cast<double>(from.memory_bytes) / static_cast<double>(kMiB);
  vm.memory_mib = std::max(64.0, std::min(vm.memory_mib, largest_mib - kvm::kVmOverhead_mib));
  vm.vm_class = class_of(from.tags);
  vm.tags = from.tags;
  vm.pinned = from.unmovable;
  const std::int64_t decision = first_tick + scenario.history_ticks;
  const auto first = from.ticks.lower_bound(first_tick);
  vm.from = static_cast<int>(first->first - decision);
  // A VM that was there when its host was first heard of had been there before.
  if (first->first == *hosts_.at(first->second.host).ticks.begin()) vm.from = std::min(vm.from, 0);
  if (has_gone(from)) vm.until = static_cast<int>(from.ticks.rbegin()->first + 1 - decision);
  Tick known = first->second;
  vm.host = vm.from <= 0 ? clean_name(known.host.value) : "";
  auto next = first;
  for (std::int64_t t = first_tick; t < decision + scenario.ticks; ++t) {
    if (next != from.ticks.end() && next->first == t) {
      known = next->second;
      ++next;
      if (vm.from <= 0 && t <= decision) vm.host = clean_name(known.host.value);
    } else if (hosts_.at(known.host).ticks.contains(t) && t > first->first) {
      known.cpu_core_s = known.disk_bytes = known.network_bytes = 0;
    }
    const double seconds = std::max(known.measured_s, 1e-9);
    const std::array values = {known.cpu_core_s / seconds * scenario.core_mhz,
                               known.used_s > 0 ? known.used_mib_s / known.used_s : 0.0,
                               known.disk_bytes / seconds / kKib, known.network_bytes / seconds / kKib};
    for (std::size_t s = 0; s < values.size(); ++s) vm.demand[s].push_back(static_cast<float>(values[s]));
  }
  return vm;
}

Result<Scenario> RecordedCluster::scenario(std::string name, std::optional<int> history_ticks) const {
  std::optional<std::int64_t> begin;
  std::int64_t end = 0;
  for (const auto& [id, vm] : vms_) {
    begin = std::min(begin.value_or(vm.ticks.begin()->first), vm.ticks.begin()->first);
    end = std::max(end, vm.ticks.rbegin()->first + 1);
  }
  if (!begin) return Error{ErrorCode::kInvalidArgument, "no VM ran in it"};
  Scenario scenario;
  scenario.name = clean_name(std::move(name));
  std::int64_t ticks = end - *begin;
  const std::int64_t history = history_ticks.value_or(std::min<std::int64_t>(kvm::kDayTicks, ticks / 2));
  if (ticks < 2 || history >= ticks) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("it covers {} steps of {} min of telemetry, but {} are needed: {}", ticks,
                             kvm::kTick_s / 60, std::max<std::int64_t>(2, history + 1),
                             history_ticks ? "ask for less history, or record for longer" : "record for longer")};
  }
  ticks = std::min<std::int64_t>(ticks, history + kTicksMax);
  scenario.history_ticks = static_cast<int>(history);
  scenario.ticks = static_cast<int>(ticks - history);
  const std::int64_t first_tick = end - ticks;
  scenario.begins = Timestamp{std::chrono::seconds((first_tick + history) * kvm::kTick_s)};
  for (const auto& [id, host] : hosts_) scenario.hosts.push_back(make_host(id, host, scenario.core_mhz));
  std::set<std::string> names;
  for (const auto& [id, vm] : vms_) {
    if (has_gone(vm) && vm.ticks.rbegin()->first < first_tick + history) continue;  // before the first decision
    if (vm.ticks.rbegin()->first < first_tick) continue;                            // nothing is known of it
    Vm made = make_vm(vm, first_tick, scenario);
    if (!names.insert(made.name).second) names.insert(made.name += "-" + id.value.substr(0, 8));
    scenario.vms.push_back(std::move(made));
  }
  return scenario;
}

Result<Scenario> read_recorded_scenario(const std::string& path, std::optional<int> history_ticks) {
  RecordedCluster cluster;
  wire::TelemetryReader reader;
  Status status;
  store::Store::Visitor visitor;
  visitor.raw = [&](const store::RawMessage& message) {
    const Result<std::optional<Sample>> sample = reader.read(message.host, message.bytes);
    if (sample) {
      if (*sample) cluster.on_sample(**sample);
      return true;
    }
    // A cut may begin between a frame and its base; the stream is whole again from its next keyframe.
    const ErrorCode code = sample.error().code;
    if (code == ErrorCode::kNotFound || code == ErrorCode::kFailedPrecondition) return true;
    status = with_context(sample.error(), "telemetry of " + message.host.value);
    return false;
  };
  visitor.journal = [&](const store::JournalEntry& entry) {
    if (const auto* started = std::get_if<store::Started>(&entry.payload)) status = cluster.on_started(*started);
    return static_cast<bool>(status);
  };
  const Result<replay::RecordingSummary> summary = replay::read_recording(path, visitor);
  if (!status) return with_context(status.error(), path);
  if (!summary) return summary.error();
  Result<Scenario> scenario = cluster.scenario(std::filesystem::path(path).stem().string(), history_ticks);
  if (!scenario) return with_context(scenario.error(), path);
  return scenario;
}

}  // namespace proteus::simulate::scenario
