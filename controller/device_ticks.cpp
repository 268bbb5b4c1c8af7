#include "controller/device_ticks.h"

#include <cmath>

namespace proteus::controller {
namespace {

constexpr double kSecondsPerNanosecond = 1e-9;

template <typename AnyCounter>
double sum_of(std::array<AnyCounter, 2>& counters, const Frame& frame, bool* measured = nullptr) {
  double sum = 0;
  for (AnyCounter& counter : counters) {
    const auto step = counter.step(frame);
    sum += step.value_or(0);
    if (measured != nullptr && step) *measured = true;
  }
  return sum;
}

}  // namespace

NetworkTick read_network(VmColumns& vm, const Frame& frame) {
  NetworkTick tick;
  for (auto& [name, tap] : vm.taps) {
    tick.bytes += sum_of(tap.bytes, frame, &tick.measured);
    tick.packets += tap.packets.step(frame).value_or(0);
    tick.drops += sum_of(tap.drops, frame);
  }
  return tick;
}

DiskTick read_disks(VmColumns& vm, const Frame& frame) {
  DiskTick tick;
  for (auto& [name, disk] : vm.disks) {
    tick.bytes += sum_of(disk.bytes, frame);
    const double requests = sum_of(disk.requests, frame);
    if (const auto time = disk.time.step(frame)) {
      tick.requests += requests;
      tick.time_s += *time * kSecondsPerNanosecond;
    }
  }
  return tick;
}

ExitTick read_exits(VmColumns& vm, const Frame& frame) {
  ExitTick tick;
  for (VmColumns::Vcpu& vcpu : vm.vcpus) tick.count += sum_of(vcpu.exits, frame);
  for (std::size_t b = 0; b < vm.exit_latency.size(); ++b) {
    const double exits = vm.exit_latency[b].step(frame).value_or(0);
    tick.timed_count += exits;
    tick.time_s += exits * 1.5 * std::ldexp(kSecondsPerNanosecond, static_cast<int>(b));  // the bucket's middle
  }
  return tick;
}

}  // namespace proteus::controller
