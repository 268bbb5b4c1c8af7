#include "controller/simulate/planetlab/sketch.h"

#include <algorithm>

namespace proteus::simulate::planetlab {

Sketch::Sketch(const Cluster& cluster, const Detector& detector)
    : cluster_(cluster), detector_(detector), hosts_(kHosts) {
  for (std::size_t h = 0; h < kHosts; ++h) {
    for (const planetlab::Host::Slot& slot : cluster.host(h).vms) hosts_[h].vms.push_back(slot.vm);
    share(h);
  }
}

void Sketch::add_history(std::size_t host, std::size_t vm, History& history) const {
  const Vm& v = cluster_.vm(vm);
  const std::size_t count = std::min(v.history.size(), history.size());
  for (std::size_t i = 0; i < count; ++i) {
    history[i] += v.history[v.history.size() - 1 - i] * v.type.mips / cluster_.host(host).type.mips();
  }
}

/// Everything is summed in the order of the list: the last bits count.
void Sketch::share(std::size_t host) {
  Host& sketch = hosts_[host];
  shares_.clear();
  sketch.requested = 0;
  sketch.history = {};
  for (const std::size_t vm : sketch.vms) {
    shares_.push_back({.requested = cluster_.vm(vm).requested});
    sketch.requested += cluster_.vm(vm).requested;
    if (detector_.needs_history()) add_history(host, vm, sketch.history);
  }
  sketch.free = share_cpu(cluster_.host(host).type, shares_);
  sketch.allocated = 0;
  for (const Share& vm : shares_) sketch.allocated += vm.allocated;
}

void Sketch::add(std::size_t host, std::size_t vm) {
  hosts_[host].vms.push_back(vm);
  share(host);
}

void Sketch::remove(std::size_t host, std::size_t vm) {
  std::erase(hosts_[host].vms, vm);
  share(host);
}

bool Sketch::fits(std::size_t host, std::size_t vm) const {
  const double requested = cluster_.vm(vm).requested;
  return cluster_.host(host).type.core_mips >= requested && hosts_[host].free >= requested;
}

bool Sketch::overloaded(std::size_t host) const {
  return detector_.overloaded(hosts_[host].requested / cluster_.host(host).type.mips(), hosts_[host].history);
}

bool Sketch::overloaded_with(std::size_t host, std::size_t vm) const {
  History history = hosts_[host].history;
  if (detector_.needs_history()) add_history(host, vm, history);
  const double requested = hosts_[host].requested + cluster_.vm(vm).requested;
  return detector_.overloaded(requested / cluster_.host(host).type.mips(), history);
}

}  // namespace proteus::simulate::planetlab
