#include "controller/simulate/planetlab/cluster.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace proteus::simulate::planetlab {

const char* to_string(Mode mode) {
  return mode == Mode::kCloudsim ? "cloudsim" : "keep";
}

Result<Cluster> Cluster::create(const TraceTable& traces, Mode mode) {
  if (traces.steps != kSamples) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the traces have {} samples, but a day of the benchmark has {}", traces.steps, kSamples)};
  }
  for (std::size_t vm = 0; vm < traces.series(); ++vm) {
    const double* samples = traces.row(vm);
    if (std::any_of(samples, samples + traces.steps, [](double percent) { return percent > 100; })) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("the trace of '{}' goes beyond 100 %", traces.names[vm])};
    }
  }
  return Cluster(traces, mode);
}

Cluster::Cluster(const TraceTable& traces, Mode mode)
    : mode_(mode), previous_utilisation_(kHosts, 0), vms_(traces.series()), accounts_(kHosts, traces.series()) {
  for (std::size_t i = 0; i < kHosts; ++i) hosts_.push_back({.type = host_type(i), .vms = {}});
  demand_.reserve(traces.series() * (kSamples + 1));
  for (std::size_t i = 0; i < traces.series(); ++i) {
    vms_[i].name = traces.names[i];
    vms_[i].type = vm_type(i, traces.series());
    const double* samples = traces.row(i);
    for (std::size_t k = 0; k < kSamples; ++k) demand_.push_back(samples[k] / 100);
    demand_.push_back(samples[kSamples - 1] / 100);
  }
}

std::size_t Cluster::active_hosts() const {
  return static_cast<std::size_t>(
      std::count_if(hosts_.begin(), hosts_.end(), [](const Host& host) { return host.utilisation > 0; }));
}

std::size_t Cluster::vms_alive() const {
  return static_cast<std::size_t>(std::count_if(vms_.begin(), vms_.end(), [](const Vm& vm) { return vm.alive(); }));
}

void Cluster::place(std::size_t vm, std::size_t host) {
  vms_[vm].host = host;
  hosts_[host].vms.push_back({vm, false});
}

double Cluster::demand(std::size_t vm, double t) const {
  const double step = std::floor(t / kSampleS);
  const double* sample = demand_.data() + vm * (kSamples + 1) + static_cast<std::size_t>(step);
  const double slope = (sample[1] - sample[0]) / kSampleS;
  return sample[0] + slope * (t - step * kSampleS);
}

void Cluster::refresh(std::size_t host) {
  Host& state = hosts_[host];
  previous_utilisation_[host] = state.utilisation;
  shares_.clear();
  for (const Host::Slot& slot : state.vms) {
    const Vm& vm = vms_[slot.vm];
    const Transit transit = slot.incoming ? Transit::kIn : vm.migrating ? Transit::kOut : Transit::kNone;
    shares_.push_back({.requested = vm.requested, .transit = transit});
  }
  share_cpu(state.type, shares_);
  double used = 0;
  double requested = 0;
  for (std::size_t i = 0; i < shares_.size(); ++i) {
    const Share& share = shares_[i];
    used += share.used();
    requested += share.requested;
    if (share.transit == Transit::kIn) continue;
    accounts_.record_vm(state.vms[i].vm, t_, share.allocated, share.requested, share.transit == Transit::kOut);
  }
  accounts_.record_host(host, t_, used, requested);
  state.utilisation = used / state.type.mips();
  if (state.utilisation > 1 && state.utilisation < 1.01) state.utilisation = 1;
}

void Cluster::refresh_all() {
  for (std::size_t host = 0; host < kHosts; ++host) refresh(host);
}

void Cluster::advance(double t, bool control_step) {
  const double passed_s = t - t_;
  t_ = t;
  for (std::size_t i = 0; i < vms_.size(); ++i) {
    if (!vms_[i].alive()) continue;
    const double share = demand(i, t);
    vms_[i].requested = share * vms_[i].type.mips;
    if (control_step) vms_[i].history.push_back(share);
  }
  refresh_all();
  double joules = 0;
  for (std::size_t i = 0; i < kHosts; ++i) {
    // Quirk: a frame that begins with the host off is free, the one before the first control step for all.
    if (previous_utilisation_[i] == 0) continue;
    const double from = hosts_[i].type.power(previous_utilisation_[i]);
    const double to = hosts_[i].type.power(hosts_[i].utilisation);
    joules += (from + (to - from) / 2) * passed_s;
  }
  accounts_.add_energy(joules);
  remove_dead();
}

void Cluster::remove_dead() {
  if (mode_ == Mode::kKeep) return;
  for (Host& host : hosts_) {
    std::erase_if(host.vms, [&](const Host::Slot& slot) {
      Vm& vm = vms_[slot.vm];
      if (slot.incoming || vm.migrating || vm.requested != 0) return false;
      vm.host = kHosts;
      return true;
    });
  }
}

void Cluster::start(const Move& move) {
  vms_[move.vm].migrating = true;
  hosts_[move.target].vms.push_back({move.vm, true});
  accounts_.add_migration();
  refresh(move.target);
  refresh(vms_[move.vm].host);
}

void Cluster::finish(const std::vector<Move>& moves, double migration_s) {
  const auto leave = [&](std::size_t host, std::size_t vm) {
    std::erase_if(hosts_[host].vms, [&](const Host::Slot& slot) { return slot.vm == vm; });
  };
  for (const Move& move : moves) {
    Vm& vm = vms_[move.vm];
    if (vm.migration_s() != migration_s) continue;
    leave(vm.host, move.vm);
    leave(move.target, move.vm);
    hosts_[move.target].vms.push_back({move.vm, false});
    vm.host = move.target;
    vm.migrating = false;
  }
  refresh_all();
  remove_dead();
}

}  // namespace proteus::simulate::planetlab
