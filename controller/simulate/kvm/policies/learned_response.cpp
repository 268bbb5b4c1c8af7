#include "controller/simulate/kvm/policies/learned_response.h"

#include <algorithm>
#include <chrono>

namespace proteus::simulate::kvm {
namespace {

constexpr Nanoseconds kHalfLife = std::chrono::hours(48);
constexpr int kRefreshTicks = 12;

}  // namespace

LearnedResponse::Curve::Curve(double cpus) : learner(profile::prior_curve(cpus), kHalfLife) {
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
    const auto [entry, added] = classes_.try_emplace(
        host.name,
        Class{Curve(host.cores), Curve(1), Curve(1), host.cpu_mhz(), host.core_mhz, host.disk_latency_ms / best_ms});
    class_of_.push_back(&entry->second);
  }
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
  }
}

}  // namespace proteus::simulate::kvm
