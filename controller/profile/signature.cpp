#include "controller/profile/signature.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace proteus::profile {
namespace {

/// What is this old counts about half.
constexpr double kHalfLife_s = 300;
/// The VM's requests are taken to be like others' until there are so many.
constexpr double kFactorPriorRequests = 300;
constexpr double kFactorMax = 8;
/// Waiting or running less than this much of a core is nothing to be bound by.
constexpr double kIdle = 0.05;

/// Of what is left after `seconds`; a hyperbola is near enough to the power of two, and cheaper.
double faded(double seconds) {
  return 1 / (1 + seconds / kHalfLife_s);
}

}  // namespace

Resource Signature::bound_by() const {
  const std::pair<double, Resource> leanings[] = {{run_cores + cpu_wait, Resource::kCpu},
                                                  {storage_wait, Resource::kStorage},
                                                  {memory_stall, Resource::kMemory},
                                                  {packets_dropped_per_s * kDropCost_s, Resource::kNetwork}};
  Resource bound = Resource::kCpu;
  double most = kIdle;
  for (const auto& [time, resource] : leanings) {
    if (time <= most) continue;
    most = time;
    bound = resource;
  }
  return bound;
}

const char* bound_name(Resource resource) {
  switch (resource) {
    case Resource::kCpu: return "CPU-bound";
    case Resource::kMemory: return "memory-bound";
    case Resource::kStorage: return "I/O-bound";
    case Resource::kNetwork: return "network-bound";
    case Resource::kExits: return "bound by exits";
  }
  return "unknown";
}

namespace {

/// What each of `per_s` waits for, at most `vcpus` at once.
Expected expected(double per_s, const HostCurve& host, double load, double vcpus) {
  Expected e;
  e.response = host.curve.at(load);
  e.response_error = host.curve.error_at(load);
  e.wait = std::min(vcpus, per_s * e.response);
  e.wait_error = std::min(vcpus, per_s * e.response_error);
  return e;
}

}  // namespace

Expected expected_storage(const Signature& vm, const HostCurve& host, double requests_per_s, double vcpus) {
  return expected(vm.storage_lean_per_s, host, requests_per_s, vcpus);
}

Expected expected_network(const Signature& vm, const HostCurve& host, double bytes_per_s, double vcpus) {
  return expected(vm.packets_per_s * kDropCost_s, host, bytes_per_s, vcpus);
}

Expected expected_exits(const Signature& vm, const HostCurve& host, double utilisation) {
  return expected(vm.exits_per_s, host, utilisation, vm.run_cores);
}

void SignatureLearner::observe(const Tick& tick) {
  if (!(tick.seconds > 0)) return;
  const double kept = faded(tick.seconds);
  const auto add = [&](double Tick::*what) { sums_.*what = kept * sums_.*what + std::max(0.0, tick.*what); };
  for (const auto what : {&Tick::seconds, &Tick::run_s, &Tick::cpu_wait_s, &Tick::memory_stall_s, &Tick::network_bytes,
                          &Tick::packets, &Tick::packets_dropped, &Tick::exits}) {
    add(what);
  }
}

void SignatureLearner::observe(const StorageTick& tick) {
  if (!(tick.seconds > 0)) return;
  const double kept = faded(tick.seconds);
  storage_.seconds = kept * storage_.seconds + tick.seconds;
  storage_.requests = kept * storage_.requests + tick.requests;
  storage_.bytes = kept * storage_.bytes + tick.bytes;
  storage_.request_time_s = kept * storage_.request_time_s + tick.request_time_s;
  // Without the host's answer the VM's own counts: it is then taken to be like others.
  const double per_request = tick.requests > 0 ? tick.request_time_s / tick.requests : 0;
  const double response = tick.host_response_s > 0 ? tick.host_response_s : per_request;
  storage_.host_response_s = kept * storage_.host_response_s + tick.requests * response;
  storage_wait_ = kept * storage_wait_ + std::min(tick.request_time_s, tick.vcpus * tick.seconds);
}

Signature SignatureLearner::signature() const {
  Signature s;
  if (sums_.seconds > 0) {
    s.seconds = sums_.seconds;
    s.run_cores = sums_.run_s / sums_.seconds;
    s.cpu_wait = sums_.cpu_wait_s / sums_.seconds;
    s.memory_stall = sums_.memory_stall_s / sums_.seconds;
    s.network_bytes_per_s = sums_.network_bytes / sums_.seconds;
    s.packets_per_s = sums_.packets / sums_.seconds;
    s.packets_dropped_per_s = sums_.packets_dropped / sums_.seconds;
    s.exits_per_s = sums_.exits / sums_.seconds;
  }
  if (storage_.seconds > 0 && storage_.requests > 0) {
    s.storage_requests_per_s = storage_.requests / storage_.seconds;
    s.storage_bytes_per_request = storage_.bytes / storage_.requests;
    s.storage_wait = storage_wait_ / storage_.seconds;
    const double waited_for = storage_.request_time_s > 0 ? storage_wait_ / storage_.request_time_s : 1;
    const double prior_s = kFactorPriorRequests * storage_.host_response_s / storage_.requests;
    const double expected_s = storage_.host_response_s + prior_s;
    const double factor = expected_s > 0 ? (storage_.request_time_s + prior_s) / expected_s : 1;
    s.storage_factor = std::clamp(factor, 1 / kFactorMax, kFactorMax);
    s.storage_lean_per_s = s.storage_requests_per_s * waited_for * s.storage_factor;
  }
  return s;
}

}  // namespace proteus::profile
