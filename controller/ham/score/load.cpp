#include "controller/ham/score/load.h"

#include <algorithm>
#include <cmath>

#include "controller/ham/score/contention.h"
#include "controller/profile/finite_queue.h"

namespace proteus::ham {
namespace {

constexpr double kBytesPerGib = static_cast<double>(kGiB);
constexpr double kWattsPerKilowatt = 1000;

double mean(const SlotValues& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(kSlots);
}

/// A quantile of a sum of demands whose forecast errors correlate by kErrorCorrelation.
double quantile_of_sum(double median, double spread, double square) {
  return median + std::sqrt(std::max(0.0, (1 - kErrorCorrelation) * square + kErrorCorrelation * spread * spread));
}

/// Two slots of a load ask the same of a host.
bool same_slots(const Load& load, std::size_t a, std::size_t b) {
  for (const SlotValues* values : {&load.median, &load.spread90, &load.square90, &load.spread99, &load.square99,
                                   &load.weighted, &load.peak.median, &load.peak.spread90, &load.peak.square90}) {
    if ((*values)[a] != (*values)[b]) return false;
  }
  return true;
}

double expectation(double p50, double p90, double p99) {
  return kQuantileWeights[0] * p50 + kQuantileWeights[1] * p90 + kQuantileWeights[2] * p99;
}

}  // namespace

void PeakLoad::add(const PeakLoad& other, double sign) {
  for (std::size_t i = 0; i < kSlots; ++i) {
    median[i] += sign * other.median[i];
    spread90[i] += sign * other.spread90[i];
    square90[i] += sign * other.square90[i];
  }
}

double PeakLoad::at(std::size_t slot) const {
  return quantile_of_sum(median[slot], spread90[slot], square90[slot]);
}

double PeakLoad::most() const {
  double peak = 0;
  for (std::size_t i = 0; i < kSlots; ++i) peak = std::max(peak, at(i));
  return peak;
}

void DeviceLoad::add(const DeviceLoad& other, double sign) {
  storage_requests_per_s += sign * other.storage_requests_per_s;
  storage_lean_per_s += sign * other.storage_lean_per_s;
  network_bytes_per_s += sign * other.network_bytes_per_s;
  packets_per_s += sign * other.packets_per_s;
  exits_per_s += sign * other.exits_per_s;
  mean_cores += sign * other.mean_cores;
  memory_used_bytes += sign * other.memory_used_bytes;
}

void Load::add(const Load& other, double sign) {
  for (std::size_t i = 0; i < kSlots; ++i) {
    median[i] += sign * other.median[i];
    spread90[i] += sign * other.spread90[i];
    square90[i] += sign * other.square90[i];
    spread99[i] += sign * other.spread99[i];
    square99[i] += sign * other.square99[i];
    weighted[i] += sign * other.weighted[i];
  }
  peak.add(other.peak, sign);
  vcpus += sign * other.vcpus;
  devices.add(other.devices, sign);
  memory_bytes += sign > 0 ? other.memory_bytes : -other.memory_bytes;
  vms += sign > 0 ? other.vms : -other.vms;
}

double HostScore::performance() const {
  return mean(contention) + memory_shortage + slowdown;
}
double VmScore::performance() const {
  return mean(unserved) + memory_shortage;
}

Load load_of(const VmModel& vm, const Allocation& allocation, const Demand& demand) {
  const double limit = allocation.cpu_limit_cores();
  const double reserved = std::min<double>(vm.reserved_cores, allocation.vcpus);
  Load load;
  load.vms = 1;
  load.vcpus = allocation.vcpus;
  for (std::size_t i = 0; i < kSlots; ++i) {
    const double p50 = std::min(demand.cpu_mean[i].p50, limit);
    const double s90 = std::min(demand.cpu_mean[i].p90, limit) - p50;
    const double s99 = std::min(demand.cpu_mean[i].p99, limit) - p50;
    load.median[i] = p50;
    load.spread90[i] = s90;
    load.square90[i] = s90 * s90;
    load.spread99[i] = s99;
    load.square99[i] = s99 * s99;
    load.weighted[i] = vm.priority * p50;
    const double peak = std::max(std::min(demand.cpu_peak[i].p50, limit), reserved);
    const double peak_spread = std::max(std::min(demand.cpu_peak[i].p90, limit), reserved) - peak;
    load.peak.median[i] = peak;
    load.peak.spread90[i] = peak_spread;
    load.peak.square90[i] = peak_spread * peak_spread;
  }
  const profile::Signature& signature = vm.state->signature;
  load.devices = {.storage_requests_per_s = signature.storage_requests_per_s,
                  .storage_lean_per_s = vm.priority * signature.storage_lean_per_s,
                  .network_bytes_per_s = signature.network_bytes_per_s,
                  .packets_per_s = vm.priority * signature.packets_per_s,
                  .exits_per_s = vm.priority * signature.exits_per_s,
                  .mean_cores = mean(load.median)};
  const auto memory = static_cast<double>(allocation.memory_bytes);
  const double used =
      demand.memory_known ? demand.memory_max.p99 : static_cast<double>(vm.state->memory_resident_bytes);
  load.devices.memory_used_bytes = std::min(memory, used);
  load.memory_bytes = promised_bytes(vm, allocation);
  return load;
}

VmScore score_vm(const Policy& policy, const VmModel& vm, const Allocation& allocation, const Demand& demand) {
  const Prices& prices = policy.prices;
  const double limit = allocation.cpu_limit_cores();
  VmScore score;
  for (std::size_t i = 0; i < kSlots; ++i) {
    const forecast::Quantiles& q = demand.cpu_mean[i];
    if (q.p50 <= limit && q.p90 <= limit && q.p99 <= limit) continue;
    const auto cost = [&](double cores) {
      return prices.contention_per_core_hour * held_back_cores(cores, limit, allocation.vcpus) +
             prices.shortfall_per_core_hour * std::max(0.0, cores - limit);
    };
    score.unserved[i] = vm.priority * expectation(cost(q.p50), cost(q.p90), cost(q.p99));
  }
  if (demand.memory_known) {
    const auto memory = static_cast<double>(allocation.memory_bytes);
    const auto shortage = [&](double used) { return std::max(0.0, used * (1 + kMemorySpare) - memory); };
    score.memory_shortage =
        vm.priority * prices.memory_shortage_per_gib_hour *
        expectation(shortage(demand.memory_max.p50), shortage(demand.memory_max.p90), shortage(demand.memory_max.p99)) /
        kBytesPerGib;
  }
  score.idle = prices.capacity_per_core_hour * std::max(0.0, limit - demand.cpu_max.p99);
  return score;
}

Uncertain waiting_cores(const HostModel& host, double vcpus, double cores) {
  if (host.capacity_cores <= 0) return {};
  const double overhead = host.state->cpu_overhead_cores;
  const double utilisation = (cores + overhead) / host.capacity_cores;
  const double ratio = host.wait->at(utilisation);
  // However full the host: a vCPU that runs does not wait.
  const double at_most = std::max(0.0, vcpus - std::min(cores, host.capacity_cores));
  const double by_curve = std::min(at_most, cores * ratio);
  const double if_worse = std::min(at_most, cores * (ratio + host.wait->error_at(utilisation)));
  if (host.curve_trust > 0.9) return {by_curve, if_worse - by_curve};
  const double finite = profile::finite_wait_cores(cores, vcpus, host.capacity_cores - overhead);
  const auto mixed = [&](double waiting) {
    return host.curve_trust * waiting + (1 - host.curve_trust) * std::min(waiting, finite);
  };
  return {mixed(by_curve), mixed(if_worse) - mixed(by_curve)};
}

double energy_cost(const Policy& policy, const HostModel& host, double used) {
  // A host that will not be put to sleep draws its idle power in any case.
  const double watts =
      (policy.strategies.consolidate ? host.idle_watts : 0) + (host.peak_watts - host.idle_watts) * used;
  return policy.prices.energy_per_kwh * watts / kWattsPerKilowatt;
}

Uncertain device_cost(const Policy& policy, const HostModel& host, const DeviceLoad& load) {
  Uncertain price;
  const profile::Fingerprint& answers = host.state->fingerprint;
  const auto add = [&](double price_per_answer, const profile::HostCurve& curve, double at) {
    const profile::ResponseCurve::Answer answer = curve.curve.answer(std::max(0.0, at));
    price.value += price_per_answer * answer.response;
    price.error += price_per_answer * answer.error;
  };
  // Taking a VM off leaves rounding behind.
  if (load.storage_lean_per_s > 1e-9) {
    add(policy.prices.storage_wait_per_core_hour * load.storage_lean_per_s, answers.storage,
        load.storage_requests_per_s);
  }
  if (load.packets_per_s > 1e-9) {
    add(policy.prices.network_wait_per_core_hour * load.packets_per_s * profile::kDropCost_s, answers.network,
        load.network_bytes_per_s);
  }
  if (load.exits_per_s > 1e-9 && host.capacity_cores > 0) {
    add(policy.prices.exit_wait_per_core_hour * load.exits_per_s, answers.exits,
        (load.mean_cores + host.state->cpu_overhead_cores) / host.capacity_cores);
  }
  if (host.memory_bytes > 0 && !answers.memory.curve.knots().empty()) {
    add(policy.prices.memory_wait_per_core_hour, answers.memory,
        (host.memory_other_bytes + load.memory_used_bytes) / static_cast<double>(host.memory_bytes));
  }
  return price;
}

HostScore score_host(const Policy& policy, const HostModel& host, const Load& load) {
  HostScore score;
  if (load.vms == 0) return score;
  const Prices& prices = policy.prices;
  const Uncertain devices = device_cost(policy, host, load.devices);
  score.contention.fill(devices.value);
  score.device_error = devices.error;
  if (host.capacity_cores > 0) {
    const double overhead = host.state->cpu_overhead_cores;
    // The roots of all slots first: they are independent of each other, which the processor likes. A forecast that is
    // the same all the time is priced once.
    SlotValues p90;
    SlotValues p99;
    SlotValues peak;
    std::array<bool, kSlots> repeats{};
    for (std::size_t i = 0; i < kSlots; ++i) {
      repeats[i] = i > 0 && same_slots(load, i - 1, i);
      if (repeats[i]) continue;
      p90[i] = quantile_of_sum(load.median[i], load.spread90[i], load.square90[i]);
      p99[i] = quantile_of_sum(load.median[i], load.spread99[i], load.square99[i]);
      peak[i] = load.peak.at(i);
    }
    const auto cost = [&](double cores) -> Uncertain {
      const Uncertain waiting = waiting_cores(host, load.vcpus, cores);
      return {prices.contention_per_core_hour * waiting.value +
                  prices.shortfall_per_core_hour * std::max(0.0, cores + overhead - host.capacity_cores),
              prices.contention_per_core_hour * waiting.error};
    };
    double beyond_headroom = 0;
    double used = 0;
    double slot_cost = 0;
    double slot_error = 0;
    double error = 0;
    double slot_beyond = 0;
    double slot_used = 0;
    for (std::size_t i = 0; i < kSlots; ++i) {
      if (!repeats[i]) {
        const bool weighted = load.median[i] > 0 && load.weighted[i] != load.median[i];
        const double priority = weighted ? load.weighted[i] / load.median[i] : 1;
        const Uncertain costs[] = {cost(load.median[i]), cost(p90[i]), cost(p99[i])};
        slot_cost = priority * expectation(costs[0].value, costs[1].value, costs[2].value);
        slot_error = priority * expectation(costs[0].error, costs[1].error, costs[2].error);
        slot_beyond = std::max(0.0, (peak[i] + overhead) / host.capacity_cores - (1 - host.cpu_headroom));
        slot_used = std::min(1.0, (load.median[i] + overhead) / host.capacity_cores);
      }
      score.contention[i] += slot_cost;
      error += slot_error;
      beyond_headroom += slot_beyond;
      used += slot_used;
    }
    score.cpu_error = error / static_cast<double>(kSlots);
    score.imbalance = prices.imbalance_per_host_hour * beyond_headroom / static_cast<double>(kSlots) /
                      std::max(host.cpu_headroom, 0.01);
    score.energy = energy_cost(policy, host, used / static_cast<double>(kSlots));
  }
  if (host.memory_bytes > 0) {
    const auto memory = static_cast<double>(host.memory_bytes);
    score.memory_shortage =
        prices.memory_shortage_per_gib_hour * std::max(0.0, load.devices.memory_used_bytes - memory) / kBytesPerGib;
    const double beyond = static_cast<double>(load.memory_bytes) / memory - (1 - host.memory_headroom);
    score.imbalance += prices.imbalance_per_host_hour * std::max(0.0, beyond) / std::max(host.memory_headroom, 0.01);
    score.imbalance += prices.crowding_per_host_hour *
                       std::max(0.0, static_cast<double>(load.memory_bytes) / memory - policy.limits.memory_comfort);
  }
  return score;
}

}  // namespace proteus::ham
