#include "controller/simulate/scenario/scenario.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace proteus::simulate::scenario {
namespace {

constexpr double kKernelShare = 0.1;  ///< of a guest's memory, its kernel's own: the model adds it to what is active
constexpr double kVcpuValue = 0.01;   ///< EUR/h, as in the KVM-cluster benchmark
constexpr double kGibValue = 0.003;

Error invalid(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

/// Sorted by name; the first name that occurs twice, or an empty text.
template <typename Named>
std::string sort_by_name(std::vector<Named>& list) {
  std::sort(list.begin(), list.end(), [](const Named& a, const Named& b) { return a.name < b.name; });
  const auto twice =
      std::adjacent_find(list.begin(), list.end(), [](const Named& a, const Named& b) { return a.name == b.name; });
  return twice == list.end() ? "" : twice->name;
}

int index_of(const std::vector<std::string>& sorted, const std::string& name) {
  const auto found = std::lower_bound(sorted.begin(), sorted.end(), name);
  return found != sorted.end() && *found == name ? static_cast<int>(found - sorted.begin()) : kvm::kNever;
}

}  // namespace

bool is_good_name(std::string_view name) {
  constexpr std::string_view kBad = "*?[]\\,\"";
  return !name.empty() && name.front() != '@' && std::none_of(name.begin(), name.end(), [&](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || kBad.find(c) != std::string_view::npos;
  });
}

Result<std::unique_ptr<Cluster>> Cluster::make(Scenario scenario) {
  if (scenario.hosts.empty()) return invalid("the scenario has no host");
  if (scenario.vms.empty()) return invalid("the scenario has no VM");
  if (scenario.hosts.size() > kHostsMax || scenario.vms.size() > kVmsMax) {
    return invalid(fmt::format("{} hosts and {} VMs, but at most {} and {} can be simulated", scenario.hosts.size(),
                               scenario.vms.size(), kHostsMax, kVmsMax));
  }
  for (const std::string& twice : {sort_by_name(scenario.hosts), sort_by_name(scenario.vms)}) {
    if (!twice.empty()) return invalid("'" + twice + "' is there twice");
  }
  std::unique_ptr<Cluster> cluster(new Cluster());
  cluster->workload_.traces = &cluster->traces_;
  cluster->workload_.end_tick = kvm::kFirstTick + scenario.ticks;
  cluster->workload_.begins = scenario.begins;
  cluster->add_hosts(scenario.hosts);
  if (Status added = cluster->add_vms(scenario); !added) return added.error();
  return cluster;
}

void Cluster::add_hosts(const std::vector<Host>& hosts) {
  workload_.best_disk_latency_ms = hosts.front().disk_latency_ms;
  for (const Host& host : hosts) {
    workload_.names.hosts.push_back(host.name);
    workload_.best_disk_latency_ms = std::min(workload_.best_disk_latency_ms, host.disk_latency_ms);
    // Hosts that are alike are of one class, and learned of as one.
    const std::string kind =
        fmt::format("{} x {} MHz, {} MiB, {} KB/s at {} ms, {} KB/s, {} to {} W", host.cores, host.core_mhz,
                    host.memory_mib, host.disk_kbs, host.disk_latency_ms, host.network_kbs, host.idle_w, host.peak_w);
    const auto [entry, added] = classes_.try_emplace(kind);
    if (added) {
      entry->second = {entry->first,         host.cores,       host.core_mhz, host.memory_mib, host.disk_kbs,
                       host.disk_latency_ms, host.network_kbs, host.idle_w,   host.peak_w};
    }
    workload_.hosts.push_back(&entry->second);
    // A VM has no fewer cores than vCPUs anywhere.
    workload_.core_mhz = std::max(workload_.core_mhz, host.core_mhz);
  }
}

Status Cluster::add_vms(Scenario& scenario) {
  std::map<std::string, int> groups;
  for (const Vm& vm : scenario.vms) workload_.names.vms.push_back(vm.name);
  for (auto& samples : traces_.samples) samples.assign(scenario.vms.size() * kvm::kTraceTicks, 0);
  for (std::size_t v = 0; v < scenario.vms.size(); ++v) {
    Vm& from = scenario.vms[v];
    workload_.names.tags.push_back(from.tags);
    traces_.machines.push_back({from.vcpus, from.memory_mib});
    kvm::Vm& vm = workload_.vms.emplace_back();
    vm.machine = v;
    vm.vcpus = from.vcpus;
    vm.memory_mib = from.memory_mib;
    vm.vm_class = from.vm_class;
    vm.pinned = from.pinned;
    vm.scalable = from.scalable;
    vm.value = (kVcpuValue * vm.vcpus + kGibValue * vm.memory_mib / 1024) * kvm::class_factor(vm.vm_class);
    vm.known_from = kvm::kFirstTick + std::clamp(from.from, -scenario.history_ticks, 0);
    vm.arrives = kvm::kFirstTick + std::max(from.from, 0);
    if (from.until != kvm::kNever) vm.departs = kvm::kFirstTick + from.until;
    if (!from.host.empty()) {
      vm.first_host = index_of(workload_.names.hosts, from.host);
      if (vm.first_host == kvm::kNever) {
        return invalid(fmt::format("VM '{}' is to be on host '{}', which there is not", from.name, from.host));
      }
    }
    if (!from.talks_to.empty()) {
      vm.partner = index_of(workload_.names.vms, from.talks_to);
      if (vm.partner == kvm::kNever || vm.partner == static_cast<int>(v)) {
        return invalid(fmt::format("VM '{}' is to talk to '{}', which is no other VM", from.name, from.talks_to));
      }
    }
    if (!from.apart.empty()) {
      vm.group = groups.try_emplace(from.apart, static_cast<int>(groups.size())).first->second;
      workload_.groups.resize(groups.size());
      workload_.groups[static_cast<std::size_t>(vm.group)].push_back(static_cast<int>(v));
    }
    for (const kvm::Series series : kvm::kAllSeries) {
      const std::vector<float> demand = std::move(from.demand[static_cast<std::size_t>(series)]);
      float* const to = &traces_.samples[static_cast<std::size_t>(series)][v * kvm::kTraceTicks];
      const float kernel = series == kvm::Series::kMemory ? static_cast<float>(kKernelShare * from.memory_mib) : 0;
      float last = 0;
      for (int t = kvm::kFirstTick - scenario.history_ticks; t < kvm::kTraceTicks; ++t) {
        const auto i = static_cast<std::size_t>(t - kvm::kFirstTick + scenario.history_ticks);
        if (i < demand.size()) last = std::max(0.0F, demand[i] - kernel);
        to[t] = last;
      }
    }
  }
  return {};
}

}  // namespace proteus::simulate::scenario
