#include "controller/ham/learning/features.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace proteus::ham::learning {
namespace {

constexpr double kLargest = 3;
/// Cores waiting for a CPU all the time that are too few to matter: the least scale.
constexpr double kScaleFloorCores = 1e-3;
/// No more than this share of what a change promises may be memory and exits to user space, whose outcomes are not
/// measured as they are priced.
constexpr double kOtherShareMax = 0.1;
constexpr double kLongMigration_s = 600;
constexpr double kRecent_s = 600;
/// Below this wait ratio a curve's error is not looked at relative to it.
constexpr double kWaitFloor = 0.05;

double mean(const SlotValues& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(kSlots);
}

/// For CPUs, storage and network.
double contention(const PlanState& plan, std::size_t host, const Load& load) {
  const HostModel& model = plan.model().hosts[host];
  DeviceLoad unmeasured = load.devices;  // what is waited for exits and for memory
  unmeasured.storage_lean_per_s = unmeasured.packets_per_s = 0;
  return mean(score_host(plan.policy(), model, load).contention) - device_cost(plan.policy(), model, unmeasured).value;
}

/// Contention and work left undone that the change takes away, currency per hour.
double relief_of(const PlanState& plan, const Change& change) {
  const std::size_t v = change.vm;
  const Placement& now = plan.placement(v);
  const Load after = plan.load_if(v, change.to.allocation);
  double relief =
      mean(plan.score_if(v, now.allocation).unserved) - mean(plan.score_if(v, change.to.allocation).unserved);
  Load load = plan.load(now.host);
  relief += contention(plan, now.host, load);
  load.add(plan.load_of_vm(v), -1);
  if (change.to.host == now.host) {
    load.add(after, 1);
    return relief - contention(plan, now.host, load);
  }
  relief -= contention(plan, now.host, load);
  load = plan.load(change.to.host);
  relief += contention(plan, change.to.host, load);
  load.add(after, 1);
  return relief - contention(plan, change.to.host, load);
}

double utilisation(const PlanState& plan, std::size_t host, const Load& load) {
  const HostModel& model = plan.model().hosts[host];
  return model.capacity_cores > 0 ? (load.median[0] + model.state->cpu_overhead_cores) / model.capacity_cores : 0;
}

/// How far the score looks ahead.
Nanoseconds horizon(const ClusterModel& model) {
  const Scenarios* scenarios = model.service != nullptr ? model.state.scenarios.get() : nullptr;
  if (scenarios == nullptr || scenarios->tick.count() == 0) return model.horizon.length;
  return scenarios->tick * static_cast<std::int64_t>(scenarios->ticks);
}

/// Standard error of the host's curve there, relative to what it says; 1 where nothing has been seen.
double curve_error(const HostModel& host, double at) {
  const profile::ResponseCurve::Knot* nearest = nullptr;
  for (const profile::ResponseCurve::Knot& knot : host.state->fingerprint.run_queue_wait.knots()) {
    if (nearest == nullptr || std::abs(knot.load - at) < std::abs(nearest->load - at)) nearest = &knot;
  }
  if (nearest == nullptr || nearest->weight <= 0) return 1;
  return nearest->error / (nearest->response + kWaitFloor);
}

}  // namespace

const char* to_string(Kind kind) {
  switch (kind) {
    case Kind::kRaise: return "raise";
    case Kind::kLower: return "lower";
    case Kind::kMigrate: return "migrate";
  }
  return "?";
}

const std::array<const char*, kFeatureCount> kFeatureNames = {
    "raise",       "lower",       "migrate",          "raise_relief",       "lower_relief", "migrate_relief",
    "price",       "uncertainty", "host_utilisation", "target_utilisation", "curve_error",  "migration_duration",
    "dirty_share", "priority",    "recent_action",    "moves_in_plan"};

std::optional<Note> describe(const PlanState& plan, const Change& change, const Evaluation& evaluation) {
  const VmModel& vm = plan.model().vms[change.vm];
  const Placement& now = plan.placement(change.vm);
  const bool moves = change.to.host != now.host;
  const double before_cores = now.allocation.cpu_limit_cores();
  const double after_cores = change.to.allocation.cpu_limit_cores();
  if (!moves && before_cores == after_cores) return std::nullopt;
  const bool by_value = plan.model().service != nullptr;
  const double relief = by_value ? evaluation.delta.performance : relief_of(plan, change);
  if (std::abs(evaluation.delta.performance - relief) >
      kOtherShareMax * std::abs(evaluation.delta.performance) + 1e-6) {
    return std::nullopt;
  }

  Note described;
  described.kind = moves ? Kind::kMigrate : after_cores > before_cores ? Kind::kRaise : Kind::kLower;
  // A doubt is no price that anybody pays.
  const double cost = evaluation.delta.cost - evaluation.doubt;
  const double price = cost + evaluation.delta.latency;
  if (by_value) described.utilisation = evaluation.delta.utilisation;
  described.predicted = relief + described.utilisation - price;
  described.cost = cost;
  if (moves) described.copied_bytes = vm.migration.copied_bytes;
  described.gain = evaluation.gain();
  described.required = plan.model().gain_required(evaluation.present_cost_per_hour);
  described.horizon = horizon(plan.model());
  const double floor =
      by_value ? plan.model().gain_required(0) : plan.policy().prices.contention_per_core_hour * kScaleFloorCores;
  described.scale = floor + std::abs(relief) + std::abs(evaluation.delta.utilisation) + std::abs(price) + 1e-9;

  Features& x = described.features;
  const auto kind = static_cast<std::size_t>(described.kind);
  x[kind] = 1;
  x[3 + kind] = relief / described.scale;
  x[6] = price / described.scale;
  const forecast::Quantiles& demand = vm.demand->cpu_max;
  x[7] = (demand.p99 - demand.p50) / (demand.p99 + 0.01);
  x[8] = utilisation(plan, now.host, plan.load(now.host));
  std::size_t where = now.host;
  double there = x[8];
  if (moves) {
    Load load = plan.load(change.to.host);
    load.add(plan.load_if(change.vm, change.to.allocation), 1);
    where = change.to.host;
    there = utilisation(plan, where, load);
    x[9] = there;
    x[11] = std::log1p(vm.migration.duration_s) / std::log1p(kLongMigration_s);
    const auto bandwidth = plan.policy().limits.migration_bandwidth_bytes_per_s;
    x[12] =
        static_cast<double>(vm.state->dirty_bytes_per_s.value_or(bandwidth / 4)) /  // as predict_migration() assumes
        static_cast<double>(bandwidth);
  }
  x[10] = curve_error(plan.model().hosts[where], there);
  x[13] = vm.priority > 0 ? std::log2(vm.priority) / 3 : 0;
  if (vm.state->last_action_end) {
    const double age_s = to_seconds(plan.model().state.now - *vm.state->last_action_end);
    x[14] = std::exp(-std::max(0.0, age_s) / kRecent_s);
  }
  x[15] = plan.migrations_planned() / (plan.migrations_planned() + 2.0);
  for (double& value : x) value = std::clamp(value, -kLargest, kLargest);
  return described;
}

}  // namespace proteus::ham::learning
