#include "controller/simulate/kvm/cluster.h"

#include <algorithm>
#include <utility>

#include "controller/simulate/kvm/performance.h"

namespace proteus::simulate::kvm {
namespace {

constexpr int kSizingFrom = 1728;  ///< the last day before the first tick sizes the initial VMs
constexpr double kKernelShare = 0.1;
constexpr double kKillExcess = 0.10;
constexpr int kDownTicks = 2;
constexpr double kBalloonFloor_mib = 256;
constexpr double kBalloonFloorShare = 0.1;
constexpr double kBalloonStepShare = 0.25;
constexpr double kLinkShare = 0.8;

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

void insert_sorted(std::vector<int>& values, int value) {
  values.insert(std::lower_bound(values.begin(), values.end(), value), value);
}

void remove(std::vector<int>& values, int value) {
  values.erase(std::find(values.begin(), values.end(), value));
}

}  // namespace

double memory_need(const Workload& workload, std::size_t vm, int tick) {
  const double provisioned = workload.vms[vm].memory_mib;
  return std::min(provisioned, workload.sample(vm, Series::kMemory, tick) + kKernelShare * provisioned);
}

Cluster::Cluster(const Workload& workload)
    : workload_(&workload), vms_(workload.vms.size()), hosts_(workload.hosts.size()) {
  for (std::size_t v = 0; v < vms_.size(); ++v) {
    vms_[v].balloon_mib = workload.vms[v].memory_mib;
    if (workload.vms[v].arrives != kFirstTick) continue;
    for (int t = std::max(kSizingFrom, workload.vms[v].known_from); t < kFirstTick; ++t) {
      vms_[v].resident_mib = std::max(vms_[v].resident_mib, memory_need(workload, v, t));
    }
    if (workload.vms[v].first_host == kNever) continue;
    vms_[v].present = true;
    put(static_cast<int>(v), workload.vms[v].first_host);
  }
  // Beside those whose place is given.
  for (std::size_t v = 0; v < vms_.size(); ++v) {
    if (workload.vms[v].arrives != kFirstTick || vms_[v].present) continue;
    const int vm = static_cast<int>(v);
    const int host = default_place(vm, vms_[v].resident_mib);
    vms_[v].present = true;
    put(vm, host);
  }
}

void Cluster::put(int vm, int host) {
  vms_[index(vm)].host = host;
  HostState& h = hosts_[index(host)];
  insert_sorted(h.vms, vm);
  h.used_mib += vms_[index(vm)].resident_mib + kVmOverhead_mib;
  h.vcpus += workload_->vms[index(vm)].vcpus;
}

void Cluster::take(int vm, int host) {
  HostState& h = hosts_[index(host)];
  remove(h.vms, vm);
  h.used_mib -= vms_[index(vm)].resident_mib + kVmOverhead_mib;
  h.vcpus -= workload_->vms[index(vm)].vcpus;
}

void Cluster::cancel_migration(int vm) {
  VmState& v = vms_[index(vm)];
  if (!v.migrating()) return;
  HostState& target = hosts_[index(v.target)];
  remove(target.incoming, vm);
  target.used_mib -= v.resident_mib + kVmOverhead_mib;
  target.vcpus -= workload_->vms[index(vm)].vcpus;
  --hosts_[index(v.host)].outgoing;
  v.target = kNever;
}

void Cluster::set_resident(int vm, double resident_mib) {
  VmState& v = vms_[index(vm)];
  const double more = resident_mib - v.resident_mib;
  v.resident_mib = resident_mib;
  hosts_[index(v.host)].used_mib += more;
  if (v.migrating()) hosts_[index(v.target)].used_mib += more;
}

bool Cluster::anti_affinity_kept(int vm, int host) const {
  const int group = workload_->vms[index(vm)].group;
  if (group == kNever) return true;
  for (const int other : workload_->groups[index(group)]) {
    const VmState& v = vms_[index(other)];
    if (other != vm && v.present && (v.host == host || v.target == host)) return false;
  }
  return true;
}

int Cluster::default_place(int vm, double memory_mib) const {
  const Vm& own = workload_->vms[index(vm)];
  const auto filled = [&](std::size_t h) {
    return (hosts_[h].used_mib + memory_mib + kVmOverhead_mib) / workload_->hosts[h]->memory_mib;
  };
  const auto fits = [&](std::size_t h, double limit) {
    return hosts_[h].power == Power::kOn && anti_affinity_kept(vm, static_cast<int>(h)) && filled(h) <= limit;
  };
  constexpr double kComfortable = 0.8;
  if (own.partner != kNever && vms_[index(own.partner)].present) {
    const int host = vms_[index(own.partner)].host;
    if (fits(index(host), kComfortable)) return host;
  }
  for (const double limit : {kComfortable, 1.0}) {
    int best = kNever;
    double least = 0;
    for (std::size_t h = 0; h < hosts_.size(); ++h) {
      if (!fits(h, limit)) continue;
      const double crowded = static_cast<double>(hosts_[h].vcpus + own.vcpus) / workload_->hosts[h]->cores;
      if (best == kNever || crowded < least) {
        best = static_cast<int>(h);
        least = crowded;
      }
    }
    if (best != kNever) return best;
  }
  int best = kNever;
  for (std::size_t h = 0; h < hosts_.size(); ++h) {
    if (hosts_[h].power != Power::kOn) continue;
    if (best == kNever || filled(h) < filled(index(best))) best = static_cast<int>(h);
  }
  return best;
}

int Cluster::wake_for_arrival() {
  std::size_t best = 0;
  for (std::size_t h = 1; h < hosts_.size(); ++h) {
    const auto rank = [&](std::size_t i) {
      return std::pair(hosts_[i].power == Power::kWaking, workload_->hosts[i]->memory_mib);
    };
    if (rank(h) > rank(best)) best = h;
  }
  hosts_[best].power = Power::kWaking;
  return static_cast<int>(best);
}

Refusal Cluster::start_helper(int vm, int host) {
  VmState& v = vms_[index(vm)];
  HostState& target = hosts_[index(host)];
  if (!workload_->vms[index(vm)].scalable) return Refusal::kNotScalable;
  if (v.helper != kNever) return Refusal::kHelped;
  if (v.down(tick_)) return Refusal::kDown;
  if (target.power != Power::kOn) return Refusal::kHostOff;
  if (target.used_mib + kHelperMemory_mib + kVmOverhead_mib > workload_->hosts[index(host)]->memory_mib) {
    return Refusal::kMemory;
  }
  v.helper = host;
  v.helper_from = tick_ + 1;
  insert_sorted(target.helped, vm);
  target.used_mib += kHelperMemory_mib + kVmOverhead_mib;
  ++target.vcpus;
  return Refusal::kNone;
}

void Cluster::end_helper(int vm) {
  VmState& v = vms_[index(vm)];
  if (v.helper == kNever) return;
  HostState& host = hosts_[index(v.helper)];
  remove(host.helped, vm);
  host.used_mib -= kHelperMemory_mib + kVmOverhead_mib;
  --host.vcpus;
  v.helper = v.helper_from = kNever;
}

void Cluster::finish_wakes() {
  for (HostState& host : hosts_) {
    if (host.power == Power::kWaking) host.power = Power::kOn;
  }
}

void Cluster::depart() {
  for (std::size_t v = 0; v < vms_.size(); ++v) {
    if (!vms_[v].present || workload_->vms[v].departs != tick_) continue;
    cancel_migration(static_cast<int>(v));
    end_helper(static_cast<int>(v));
    take(static_cast<int>(v), vms_[v].host);
    vms_[v].present = false;
    vms_[v].host = kNever;
  }
}

std::vector<int> Cluster::arrivals() const {
  std::vector<int> arriving;
  if (tick_ == kFirstTick) return arriving;
  for (std::size_t v = 0; v < vms_.size(); ++v) {
    if (workload_->vms[v].arrives == tick_) arriving.push_back(static_cast<int>(v));
  }
  return arriving;
}

void Cluster::arrive(int vm, int host) {
  vms_[index(vm)].present = true;
  put(vm, host);
}

Refusal Cluster::migration_refusal(int vm, int host) const {
  const VmState& v = vms_[index(vm)];
  const HostState& target = hosts_[index(host)];
  if (workload_->vms[index(vm)].pinned) return Refusal::kPinned;
  if (v.migrating()) return Refusal::kMigrating;
  if (v.down(tick_)) return Refusal::kDown;
  if (v.host == host) return Refusal::kSameHost;
  if (target.power != Power::kOn) return Refusal::kHostOff;
  if (!anti_affinity_kept(vm, host)) return Refusal::kAntiAffinity;
  if (hosts_[index(v.host)].migrations() >= kHostMigrationsMax || target.migrations() >= kHostMigrationsMax) {
    return Refusal::kBusy;
  }
  if (target.used_mib + v.resident_mib + kVmOverhead_mib > workload_->hosts[index(host)]->memory_mib) {
    return Refusal::kMemory;
  }
  return Refusal::kNone;
}

Refusal Cluster::migrate(int vm, int host) {
  const Refusal refusal = migration_refusal(vm, host);
  if (refusal != Refusal::kNone) return refusal;
  VmState& v = vms_[index(vm)];
  HostState& target = hosts_[index(host)];
  v.target = host;
  v.moved_at = tick_;
  v.moved_from = v.host;
  v.moved_to = host;
  insert_sorted(target.incoming, vm);
  target.used_mib += v.resident_mib + kVmOverhead_mib;
  target.vcpus += workload_->vms[index(vm)].vcpus;
  ++hosts_[index(v.host)].outgoing;
  begun_.push_back(vm);
  return Refusal::kNone;
}

Refusal Cluster::sleep(int host) {
  HostState& h = hosts_[index(host)];
  if (h.power != Power::kOn) return Refusal::kHostOff;
  if (!h.vms.empty() || !h.incoming.empty() || !h.helped.empty()) return Refusal::kNotEmpty;
  h.power = Power::kAsleep;
  return Refusal::kNone;
}

Refusal Cluster::wake(int host) {
  HostState& h = hosts_[index(host)];
  if (h.power != Power::kAsleep) return Refusal::kHostOff;
  h.power = Power::kWaking;
  return Refusal::kNone;
}

Refusal Cluster::set_balloon(int vm, double ceiling_mib) {
  VmState& v = vms_[index(vm)];
  if (v.migrating()) return Refusal::kMigrating;
  if (v.down(tick_)) return Refusal::kDown;
  const double provisioned = workload_->vms[index(vm)].memory_mib;
  const double lowest = std::max({std::min(kBalloonFloor_mib, provisioned), kBalloonFloorShare * provisioned,
                                  std::min(v.balloon_mib, v.resident_mib) - kBalloonStepShare * provisioned});
  v.balloon_mib = std::clamp(ceiling_mib, lowest, provisioned);
  return Refusal::kNone;
}

void Cluster::set_weight(int vm, double weight) {
  vms_[index(vm)].weight = std::clamp(weight, 0.1, 10.0);
}

void Cluster::set_cap(int vm, double cap_mhz) {
  vms_[index(vm)].cap_mhz = std::max(0.0, cap_mhz);
}

MigrationTally Cluster::start_migrations() {
  MigrationTally tally;
  for (const int vm : begun_) {
    VmState& v = vms_[index(vm)];
    const auto rate = [&](int host) {
      return kLinkShare * workload_->hosts[index(host)]->network_kbs / 1024 / hosts_[index(host)].migrations();
    };
    v.rate_mibs = std::min(rate(v.host), rate(v.target));
    const PreCopy copy = pre_copy(v.resident_mib, workload_->sample(index(vm), Series::kCpu, tick_),
                                  workload_->sample(index(vm), Series::kMemory, tick_), v.rate_mibs);
    v.remaining_s = copy.duration_s;
    v.downtime_s = copy.downtime_s;
    ++tally.begun;
    tally.seconds += copy.duration_s;
    tally.downtime_s += copy.downtime_s;
    tally.copied_mib += copy.copied_mib;
  }
  begun_.clear();
  return tally;
}

double Cluster::memory_needed(int vm) const {
  return memory_need(*workload_, index(vm), tick_);
}

void Cluster::settle_memory() {
  for (std::size_t v = 0; v < vms_.size(); ++v) {
    if (!vms_[v].present || vms_[v].down(tick_)) continue;
    const double grown = std::max(vms_[v].resident_mib, memory_need(*workload_, v, tick_));
    set_resident(static_cast<int>(v), std::min(vms_[v].balloon_mib, grown));
  }
}

MemoryPressure Cluster::kill_for_memory() {
  MemoryPressure pressure;
  for (std::size_t h = 0; h < hosts_.size(); ++h) {
    while (hosts_[h].used_mib / workload_->hosts[h]->memory_mib - 1 > kKillExcess) {
      int largest = kNever;
      for (const int vm : hosts_[h].vms) {
        if (vms_[index(vm)].down(tick_)) continue;
        if (largest == kNever || vms_[index(vm)].resident_mib > vms_[index(largest)].resident_mib) largest = vm;
      }
      if (largest == kNever) break;
      cancel_migration(largest);
      set_resident(largest, 0);
      vms_[index(largest)].down_until = tick_ + kDownTicks;
      vms_[index(largest)].balloon_mib = workload_->vms[index(largest)].memory_mib;
      pressure.killed.push_back(largest);
    }
    pressure.excess.push_back(std::max(0.0, hosts_[h].used_mib / workload_->hosts[h]->memory_mib - 1));
  }
  return pressure;
}

void Cluster::advance() {
  for (std::size_t h = 0; h < hosts_.size(); ++h) {
    const std::vector<int> incoming = hosts_[h].incoming;
    for (const int vm : incoming) {
      VmState& v = vms_[index(vm)];
      v.remaining_s -= kTick_s;
      if (v.remaining_s > 0) continue;
      const int source = v.host;
      cancel_migration(vm);
      take(vm, source);
      put(vm, static_cast<int>(h));
    }
  }
  ++tick_;
}

}  // namespace proteus::simulate::kvm
