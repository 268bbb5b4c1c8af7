#include "controller/ham/explain.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "controller/ham/score/helper.h"
#include "controller/ham/strategies/strategy.h"

namespace proteus::ham {
namespace {

/// Cores' worth of vCPUs that wait for storage, below which nobody wants to read of it.
constexpr double kStorageWaitTold = 0.02;
/// The same for packets that were dropped.
constexpr double kNetworkWaitTold = 0.02;
/// The same for exits to user space.
constexpr double kExitWaitTold = 0.02;
/// Share of the time in which some task of a host stalls for want of memory.
constexpr double kMemoryStallTold = 0.01;
constexpr double kNormal90 = 1.645;

std::string say_milliseconds(double seconds) {
  return fmt::format("{:.2g} ms", seconds * 1e3);
}

/// "needs 0.95 of 0.90 cores in 24 s", from the state of a host's own forecast sum.
std::string host_outlook(const PlanState& plan, std::size_t host) {
  const double peak = plan.cpu_peak_cores(host);
  const double capacity = plan.model().hosts[host].capacity_cores;
  const double seconds = plan.seconds_until_full(host);
  if (seconds > 0) {
    return fmt::format("{}'s VMs are forecast (p90) to need up to {:.2f} cores and to exceed its {:.2f} in {}",
                       host_name(plan, host), peak, capacity, say_seconds(seconds));
  }
  if (seconds == 0) {
    return fmt::format("{}'s VMs need more than its {:.2f} cores now, up to {:.2f} (forecast p90)",
                       host_name(plan, host), capacity, peak);
  }
  return fmt::format("{}'s VMs are forecast (p90) to need up to {:.2f} of its {:.2f} cores", host_name(plan, host),
                     peak, capacity);
}

std::string vm_outlook(const PlanState& plan, std::size_t v) {
  const VmModel& vm = plan.model().vms[v];
  const double limit = plan.placement(v).allocation.cpu_limit_cores();
  const auto until = time_until_above(*vm.state, plan.model().horizon, plan.model().state.now, limit);
  if (until && until->count() > 0) {
    return fmt::format("{}'s CPU demand is forecast ({} p90) to reach {:.2f} of {:.2f} cores; it exceeds them in {}",
                       name_of(plan, v), vm.demand->model, vm.demand->cpu_max.p90, limit,
                       say_seconds(to_seconds(*until)));
  }
  if (until) {
    return fmt::format("{}'s CPU demand exceeds its {:.2f} cores now and is forecast ({} p90) to reach {:.2f}",
                       name_of(plan, v), limit, vm.demand->model, vm.demand->cpu_max.p90);
  }
  return fmt::format("{}'s CPU demand may reach {:.2f} of {:.2f} cores ({} p99)", name_of(plan, v),
                     vm.demand->cpu_max.p99, limit, vm.demand->model);
}

std::string allocation_change(const Allocation& from, const Allocation& to) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : " and ") + part; };
  if (from.vcpus != to.vcpus) add(fmt::format("vCPUs {} -> {}", from.vcpus, to.vcpus));
  if (from.cpu_quota_us != to.cpu_quota_us) {
    add(fmt::format("CPU quota {:.2f} -> {:.2f} cores", from.cpu_limit_cores(), to.cpu_limit_cores()));
  }
  if (from.memory_bytes != to.memory_bytes) {
    add(fmt::format("memory {} -> {} MiB", from.memory_bytes / kMiB, to.memory_bytes / kMiB));
  }
  return text;
}

bool raises(const Allocation& from, const Allocation& to) {
  return to.cpu_limit_cores() > from.cpu_limit_cores() || to.memory_bytes > from.memory_bytes;
}

std::string money(const Evaluation& evaluation) {
  return fmt::format("costs {} and saves {}", say_rate(evaluation.delta.cost + evaluation.delta.latency),
                     say_rate(evaluation.delta.performance + evaluation.delta.utilisation));
}

/// What the move is expected to do to the VM's own waiting; empty where it hardly waits before or after.
std::string waiting_change(const PlanState& plan, const Change& change) {
  const double before = plan.wait_ratio(plan.placement(change.vm).host).value;
  const Uncertain after = plan.wait_ratio_after(change);
  if (std::max(before, after.value) < profile::MoveErrors::kFloor) return {};
  const profile::MoveErrors& errors = plan.model().state.move_errors;
  const profile::MoveErrors::Interval interval =
      errors.interval(after.value, after.error / (after.value + errors.floor));
  // Of one that next to nothing is known of, the signature says nothing.
  const profile::Signature& vm = plan.model().vms[change.vm].state->signature;
  const bool bound = vm.run_cores > 0 && vm.bound_by() == profile::Resource::kCpu;
  return fmt::format(
      "; {}for each second that it runs it is expected to wait {:.2f} s there (90 %: {:.2f} to {:.2f}{}), "
      "{:.2f} s where it is",
      bound ? name_of(plan, change.vm) + " is CPU-bound: " : std::string(), after.value, interval.low, interval.high,
      errors.moves < 0.5 ? std::string() : fmt::format(", after {:.0f} moves followed", errors.moves), before);
}

/// What a resource answers where the VM is and where it would go, there with the VM's own load.
struct Answers {
  profile::Expected here;
  profile::Expected there;
  bool differ() const { return std::abs(here.response - there.response) >= 0.1 * here.response; }
  /// Where the answer there will be in nine of ten cases.
  profile::MoveErrors::Interval interval(const profile::MoveErrors& errors) const {
    return errors.interval(there.response, there.response > 0 ? there.response_error / there.response : 0);
  }
};

/// own: what the VM adds to that load.
Answers answers_of(const PlanState& plan, const Change& change, profile::Resource resource,
                   profile::Expected (*expected)(const profile::Signature&, const profile::HostCurve&, double, double),
                   double DeviceLoad::*load, double own) {
  const profile::Signature& vm = plan.model().vms[change.vm].state->signature;
  const auto answer_of = [&](std::size_t host, double at) {
    return expected(vm, *plan.model().hosts[host].state->fingerprint.curve_of(resource), at,
                    plan.placement(change.vm).allocation.vcpus);
  };
  const std::size_t from = plan.placement(change.vm).host;
  return {answer_of(from, plan.load(from).devices.*load),
          answer_of(change.to.host, plan.load(change.to.host).devices.*load + own)};
}

/// What storage answers there and here, if the VM waits for it and the two differ; else empty.
std::string storage_change(const PlanState& plan, const Change& change) {
  const profile::Signature& vm = plan.model().vms[change.vm].state->signature;
  if (vm.storage_wait < kStorageWaitTold) return {};
  const Answers answers = answers_of(plan, change, profile::Resource::kStorage, profile::expected_storage,
                                     &DeviceLoad::storage_requests_per_s, vm.storage_requests_per_s);
  if (!answers.differ()) return {};
  const bool bound = vm.bound_by() == profile::Resource::kStorage;
  const profile::MoveErrors::Interval interval = answers.interval(plan.model().state.storage_move_errors);
  return fmt::format("; {} {}: storage of {} answers in {} (90 %: {} to {}), here in {}", name_of(plan, change.vm),
                     bound ? "is I/O-bound" : "waits for storage", host_name(plan, change.to.host),
                     say_milliseconds(answers.there.response), say_milliseconds(interval.low),
                     say_milliseconds(interval.high), say_milliseconds(answers.here.response));
}

/// How many packets are dropped there and here, if the VM waits for those that are and the two differ; else empty.
std::string network_change(const PlanState& plan, const Change& change) {
  const profile::Signature& vm = plan.model().vms[change.vm].state->signature;
  if (vm.packets_dropped_per_s * profile::kDropCost_s < kNetworkWaitTold) return {};
  const Answers answers = answers_of(plan, change, profile::Resource::kNetwork, profile::expected_network,
                                     &DeviceLoad::network_bytes_per_s, vm.network_bytes_per_s);
  if (!answers.differ()) return {};
  const profile::MoveErrors::Interval interval = answers.interval(plan.model().state.network_move_errors);
  return fmt::format(
      "; {} waits for dropped packets: {} drops {:.2g} of a thousand (90 %: {:.2g} to {:.2g}), here {:.2g}",
      name_of(plan, change.vm), host_name(plan, change.to.host), 1e3 * answers.there.response, 1e3 * interval.low,
      1e3 * interval.high, 1e3 * answers.here.response);
}

/// What an exit to user space takes there and here, if the VM makes many and the two differ; else empty.
std::string exit_change(const PlanState& plan, const Change& change) {
  const VmState& vm = *plan.model().vms[change.vm].state;
  const auto answer_of = [&](std::size_t h, double cores) {
    const HostModel& host = plan.model().hosts[h];
    const double used = host.capacity_cores > 0 ? (cores + host.state->cpu_overhead_cores) / host.capacity_cores : 0;
    return host.state->fingerprint.exits.curve.answer(used);
  };
  const std::size_t from = plan.placement(change.vm).host;
  const double own = plan.load_of_vm(change.vm).devices.mean_cores;
  const profile::ResponseCurve::Answer here = answer_of(from, plan.load(from).devices.mean_cores);
  const profile::ResponseCurve::Answer there =
      answer_of(change.to.host, plan.load(change.to.host).devices.mean_cores + own);
  if (vm.signature.exits_per_s * std::max(here.response, there.response) < kExitWaitTold) return {};
  if (std::abs(here.response - there.response) < 0.1 * here.response) return {};
  return fmt::format("; {} leaves to user space {:.0f} times a second: that takes {} on {} (90 %: {} to {}), here {}",
                     name_of(plan, change.vm), vm.signature.exits_per_s, say_milliseconds(there.response),
                     host_name(plan, change.to.host),
                     say_milliseconds(std::max(0.0, there.response - kNormal90 * there.error)),
                     say_milliseconds(there.response + kNormal90 * there.error), say_milliseconds(here.response));
}

/// How much tasks of both hosts stall for want of memory, with the VM there and here, if the two differ; else empty.
std::string memory_change(const PlanState& plan, const Change& change) {
  const double price = plan.policy().prices.memory_wait_per_core_hour;
  if (price <= 0) return {};
  const auto stalls_of = [&](std::size_t h, double own_bytes) {
    DeviceLoad memory;
    memory.memory_used_bytes = plan.load(h).devices.memory_used_bytes + own_bytes;
    return device_cost(plan.policy(), plan.model().hosts[h], memory).value / price;
  };
  const std::size_t from = plan.placement(change.vm).host;
  const double here = stalls_of(from, 0);
  const double there = stalls_of(change.to.host, plan.load_of_vm(change.vm).devices.memory_used_bytes);
  if (std::max(here, there) < kMemoryStallTold || std::abs(here - there) < 0.1 * here) return {};
  return fmt::format("; for want of memory tasks stall {:.2g} % of the time on {} with it, {:.2g} % on {}", 100 * there,
                     host_name(plan, change.to.host), 100 * here, host_name(plan, from));
}

/// What the VM's devices and memory have to do with the move.
std::string device_change(const PlanState& plan, const Change& change) {
  return storage_change(plan, change) + network_change(plan, change) + exit_change(plan, change) +
         memory_change(plan, change);
}

std::string move_price(const PlanState& plan, std::size_t v) {
  const MigrationPrediction& migration = plan.model().vms[v].migration;
  return fmt::format("about {} with {:.0f} ms of downtime", say_seconds(migration.duration_s),
                     migration.downtime_s * 1e3);
}

std::string reshape_reason(const PlanState& plan, const Change& change, const Evaluation& evaluation) {
  const Allocation& from = plan.placement(change.vm).allocation;
  const Allocation& to = change.to.allocation;
  const VmModel& vm = plan.model().vms[change.vm];
  const std::string what = allocation_change(from, to);
  if (to.memory_bytes != from.memory_bytes) {
    return fmt::format("{} is forecast (p99) to use {:.0f} of its {} MiB; {} {}", name_of(plan, change.vm),
                       vm.demand->memory_max.p99 / static_cast<double>(kMiB), from.memory_bytes / kMiB, what,
                       money(evaluation));
  }
  if (raises(from, to)) return fmt::format("{}; {} {}", vm_outlook(plan, change.vm), what, money(evaluation));
  return fmt::format("{} is forecast ({} p99) to need {:.2f} of its {:.2f} cores at most; {} {}",
                     name_of(plan, change.vm), vm.demand->model, vm.demand->cpu_max.p99, from.cpu_limit_cores(), what,
                     money(evaluation));
}

}  // namespace

namespace {

std::string helper_label(const PlanState& plan, const Change& change) {
  const std::size_t from = plan.placement(change.vm).helper;
  const std::string& vm = name_of(plan, change.vm);
  if (from == kNowhere) return fmt::format("start a helper of {} on {}", vm, host_name(plan, change.to.helper));
  if (change.to.helper == kNowhere) return fmt::format("end the helper of {} on {}", vm, host_name(plan, from));
  return fmt::format("put the helper of {} elsewhere {} -> {}", vm, host_name(plan, from),
                     host_name(plan, change.to.helper));
}

std::string helper_reason(const PlanState& plan, const Option& option, const Change& change,
                          const Evaluation& evaluation) {
  const std::size_t v = change.vm;
  const Placement& now = plan.placement(v);
  const VmModel& vm = plan.model().vms[v];
  if (change.to.helper == kNowhere) {
    const std::string& host = host_name(plan, now.helper);
    if (option.cause == Step::Cause::kConsolidate) {
      return fmt::format(
          "{} is to be emptied so that it may sleep, which gains {} when done; the helper of {} there is ended", host,
          say_rate(option.gain), name_of(plan, v));
    }
    if (plan.model().hosts[now.helper].state->maintenance) {
      return fmt::format("{} is in maintenance; the helper of {} there is ended", host, name_of(plan, v));
    }
    if (!vm.scalable) return fmt::format("no helper rule is about {} any more; its helper is ended", name_of(plan, v));
    return fmt::format("the helper of {} saves less than it costs; ending it gains {}", name_of(plan, v),
                       say_rate(evaluation.gain()));
  }
  const HelperRule& rule = *vm.helper_rule;
  const double speed = plan.model().hosts[change.to.helper].state->core_speed;
  const double work = std::min(rule.share * vm.demand->cpu_max.p90, helper_work_most(rule, speed));
  return fmt::format("{}; a helper on {} would do up to {:.2f} cores of {}'s work (p90) and {}",
                     wants_cpu(plan, v) ? vm_outlook(plan, v) : host_outlook(plan, now.host),
                     host_name(plan, change.to.helper), work, name_of(plan, v), money(evaluation));
}

}  // namespace

std::string say_seconds(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  return fmt::format("{:.1f} min", seconds / 60);
}

std::string say_rate(double per_hour) {
  return std::abs(per_hour) < 10 ? fmt::format("{:.2f}/h", per_hour) : fmt::format("{:.1f}/h", per_hour);
}

std::string label_of(const PlanState& plan, const Change& change) {
  const Placement& now = plan.placement(change.vm);
  if (now.helper != change.to.helper) return helper_label(plan, change);
  const std::string what = allocation_change(now.allocation, change.to.allocation);
  const char* verb = raises(now.allocation, change.to.allocation) ? "raise" : "lower";
  if (change.to.host == now.host) return fmt::format("{} {} of {}", verb, what, name_of(plan, change.vm));
  std::string label = fmt::format("migrate {} {} -> {}", name_of(plan, change.vm), host_name(plan, now.host),
                                  host_name(plan, change.to.host));
  if (!what.empty()) label += fmt::format(", {} its {} there", verb, what);
  return label;
}

std::string broken_rule(const PlanState& plan, std::size_t v) {
  const ClusterModel& model = plan.model();
  const std::size_t host = plan.placement(v).host;
  if (model.hosts[host].state->maintenance) return fmt::format("{} is in maintenance", host_name(plan, host));
  for (const std::uint32_t pin : model.vms[v].pins) {
    if (model.pin_allows[pin][host]) continue;
    return fmt::format("pin:{} does not allow {} on {}", model.policy.pins[pin].name, name_of(plan, v),
                       host_name(plan, host));
  }
  for (const std::uint32_t index : model.vms[v].affinity) {
    const AffinityRule& rule = model.policy.affinity[index];
    if (!rule.hard) continue;
    for (const std::size_t other : model.rule_vms[index]) {
      if (other == v) continue;
      const bool together = model.zone(index, plan.placement(other).host) == model.zone(index, host);
      if (together != rule.apart) continue;
      return fmt::format("{}:{} wants {} {} {}", rule.apart ? "anti_affinity" : "affinity", rule.name, name_of(plan, v),
                         rule.apart ? "apart from" : "together with", name_of(plan, other));
    }
  }
  return {};
}

std::string exchange_reason(double gain) {
  return fmt::format(" it belongs to a rearrangement that gains {} in all", say_rate(gain));
}

std::string reason_of(const PlanState& plan, const Option& option, const Change& change, const Evaluation& evaluation) {
  const std::size_t v = change.vm;
  const std::size_t from = plan.placement(v).host;
  if (is_helper_change(plan, change)) return helper_reason(plan, option, change, evaluation);
  if (option.cause == Step::Cause::kShareMemory) {
    return fmt::format("{} holds what it may need, and the guests of {} must not outgrow it together: {}",
                       name_of(plan, v), host_name(plan, from),
                       allocation_change(plan.placement(v).allocation, change.to.allocation));
  }
  if (change.to.host == from) {
    if (option.cause != Step::Cause::kMakeRoom) return reshape_reason(plan, change, evaluation);
    return fmt::format("{}; {} uses the room made by the move before it and {}", vm_outlook(plan, v),
                       allocation_change(plan.placement(v).allocation, change.to.allocation), money(evaluation));
  }
  const std::string move =
      fmt::format("moving {} to {} ({})", name_of(plan, v), host_name(plan, change.to.host), move_price(plan, v));
  switch (option.cause) {
    case Step::Cause::kRepair:
      if (option.changes.back().vm != v) {
        return fmt::format("{}; {} is out of the way for {}", broken_rule(plan, option.changes.back().vm), move,
                           name_of(plan, option.changes.back().vm));
      }
      return fmt::format("{}; {} mends it", broken_rule(plan, v), move);
    case Step::Cause::kMakeRoom: {
      const std::size_t wants = option.changes.back().vm;
      return fmt::format("{}, for which {} has no room; {} makes it", vm_outlook(plan, wants), host_name(plan, from),
                         move);
    }
    case Step::Cause::kStop:
      return fmt::format("no order of moves takes {} straight to {}; {} lets others pass first;", name_of(plan, v),
                         host_name(plan, option.changes.back().to.host), move);
    case Step::Cause::kSwap:
      return fmt::format("{}; {}{}{};", host_outlook(plan, from), move, device_change(plan, change),
                         waiting_change(plan, change));
    case Step::Cause::kOpen:
      return fmt::format("{}; {} VMs together gain {} on {}, what it draws paid for; {}", host_outlook(plan, from),
                         option.changes.size(), say_rate(option.gain), host_name(plan, change.to.host), move);
    case Step::Cause::kConsolidate:
      return fmt::format("{} is to be emptied so that it may sleep, which gains {} when done; {}",
                         host_name(plan, from), say_rate(option.gain), move);
    default:
      return fmt::format("{}; {} {}{}{}", host_outlook(plan, from), move, money(evaluation),
                         device_change(plan, change), waiting_change(plan, change));
  }
}

}  // namespace proteus::ham
