#include "controller/simulate/kvm/policies/learned_response.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

namespace proteus::simulate::kvm {
namespace {

constexpr Nanoseconds kHalfLife = std::chrono::hours(48);
constexpr int kRefreshTicks = 12;
constexpr double kSameDemand = 0.01;

}  // namespace

LearnedResponse::Curve::Curve(profile::ResponseCurve prior) : learner(std::move(prior), kHalfLife) {
  refresh();
}

void LearnedResponse::Curve::refresh() {
  curve = std::make_shared<const profile::ResponseCurve>(learner.curve());
}

void LearnedResponse::Half::observe(double rate_kbs, double share) {
  if (rate_kbs <= 0 || share <= 0 || share >= 1) return;
  rate_sum += rate_kbs;
  odds_sum += share / (1 - share);
}

void LearnedResponse::begin(const Console& console) {
  double best_ms = console.host_class(0).disk_latency_ms;
  for (std::size_t h = 0; h < console.host_count(); ++h) {
    best_ms = std::min(best_ms, console.host_class(static_cast<int>(h)).disk_latency_ms);
  }
  for (std::size_t h = 0; h < console.host_count(); ++h) {
    const HostClass& host = console.host_class(static_cast<int>(h));
    const profile::WaitFactorLearner wait_factor(kHalfLife);
    const auto [entry, added] =
        classes_.try_emplace(host.name, Class{Curve(profile::prior_curve(host.cores)), wait_factor, wait_factor.curve(),
                                              Curve(profile::prior_curve(1)), Curve(profile::prior_curve(1)),
                                              host.cpu_mhz(), host.core_mhz, host.disk_latency_ms / best_ms});
    class_of_.push_back(&entry->second);
  }
}

/// What was waited in the last tick, against what the VMs would have waited by theory. A host with a migration is left
/// out: who was there for how long is not seen.
void LearnedResponse::observe_waiting(const Console& console, std::size_t h, Timestamp time) {
  const HostTick& tick = console.last().hosts[h];
  const HostState& state = console.host(static_cast<int>(h));
  if (tick.overhead_mhz > 0 || !state.incoming.empty() || !state.helped.empty()) return;
  Class& host = *class_of_[h];
  profile::Contenders contenders;
  for (const int v : state.vms) {
    if (console.vm(v).helper != kNever) return;
    const int vcpus = console.vcpus(v);
    const double cores = std::min<double>(vcpus, console.newest(v, Series::kCpu) / host.core_mhz);
    contenders.add_vm(cores, vcpus);
  }
  // Somebody has left, or was down.
  if (std::abs(contenders.busy_cores * host.core_mhz - tick.demand_mhz) > kSameDemand * tick.demand_mhz) return;
  host.wait_factor.observe(time, contenders, host.cpu_mhz / host.core_mhz, tick.wait / (1 - tick.wait), kTick_s);
}

void LearnedResponse::observe(const Console& console) {
  if (class_of_.empty()) begin(console);
  const TickOutcome& last = console.last();
  const Timestamp time{std::chrono::seconds(kTick_s) * console.tick()};
  for (std::size_t h = 0; h < last.hosts.size(); ++h) {
    const HostTick& tick = last.hosts[h];
    if (tick.cpu_mhz <= 0) continue;
    Class& host = *class_of_[h];
    const auto feed = [&](Curve& curve, double utilisation, double run_s, double wait_ratio) {
      curve.learner.observe(time, utilisation, from_seconds(run_s), from_seconds(run_s * wait_ratio));
    };
    feed(host.cpu, (tick.cpu_mhz + tick.overhead_mhz) / host.cpu_mhz, tick.cpu_mhz / host.core_mhz * kTick_s,
         tick.wait / (1 - tick.wait));
    observe_waiting(console, h, time);
    const double rest_ms = console.host_class(static_cast<int>(h)).disk_latency_ms;
    feed(host.disk, tick.disk_load, std::min(1.0, tick.disk_load) * kTick_s, tick.disk_latency_ms / rest_ms - 1);
    feed(host.network, tick.network_load, std::min(1.0, tick.network_load) * kTick_s, tick.network_stretch - 1);
  }
  for (std::size_t v = 0; v < last.vms.size(); ++v) {
    const int vm = static_cast<int>(v);
    if (!console.vm(vm).present || console.first_sample(vm) >= console.tick()) continue;
    disk_.observe(console.newest(vm, Series::kDisk), last.vms[v].disk_share);
    network_.observe(console.newest(vm, Series::kNetwork), last.vms[v].network_share);
  }
  if (console.tick() % kRefreshTicks != 0) return;
  for (auto& [name, host] : classes_) {
    for (Curve* curve : {&host.cpu, &host.disk, &host.network}) curve->refresh();
    host.wait_factor_curve = host.wait_factor.curve();
  }
}

}  // namespace proteus::simulate::kvm
