#include "controller/simulate/planetlab/benchmark.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <set>

#include "controller/simulate/planetlab/heuristic_policy.h"
#include "controller/simulate/planetlab/proteus_policy.h"

namespace proteus::simulate::planetlab {
namespace {

constexpr std::string_view kNpa = "npa";

struct NamedPolicy {
  std::string name;
  std::function<std::unique_ptr<Policy>()> make;
};

std::function<std::unique_ptr<Policy>()> heuristic(Detector::Kind kind, double parameter,
                                                   TargetRule rule = TargetRule::kPabfd) {
  return [=] { return std::make_unique<HeuristicPolicy>(Detector{kind, parameter}, rule); };
}

const std::vector<NamedPolicy>& named_policies() {
  static const std::vector<NamedPolicy> kPolicies = {
      {"dvfs", [] { return std::make_unique<StaticPolicy>(); }},
      {"thr", heuristic(Detector::Kind::kThr, 0.8)},
      {"iqr", heuristic(Detector::Kind::kIqr, 1.5)},
      {"mad", heuristic(Detector::Kind::kMad, 2.5)},
      {"lr", heuristic(Detector::Kind::kLr, 1.2)},
      {"lrr", heuristic(Detector::Kind::kLr, 1.2)},  // quirk: the robust weights are computed and not used
      {"mfped", heuristic(Detector::Kind::kLr, 1.2, TargetRule::kMfped)},
      {"proteus",
       [] {
         const ProteusParameters parameters;
         return std::make_unique<ProteusPolicy>(parameters, std::make_unique<EngineOutlook>(parameters.young_spread));
       }},
  };
  return kPolicies;
}

}  // namespace

const std::vector<std::string>& policy_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names{std::string(kNpa)};
    for (const NamedPolicy& policy : named_policies()) names.push_back(policy.name);
    return names;
  }();
  return kNames;
}

Result<Outcome> run_day(const TraceTable& traces, Mode mode, std::string_view policy, const Progress& progress) {
  const bool npa = policy == kNpa;
  const auto& policies = named_policies();
  const auto found = std::find_if(policies.begin(), policies.end(), [&](const auto& p) { return p.name == policy; });
  if (!npa && found == policies.end()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("no policy is called '{}'; there are {}", policy, fmt::join(policy_names(), ", "))};
  }
  const std::unique_ptr<Policy> live = npa ? std::make_unique<StaticPolicy>() : found->make();
  Result<Outcome> outcome = run_day(traces, mode, *live, progress);
  if (outcome && npa) {
    // All hosts at full power, whatever the VMs do; nothing is measured but that.
    outcome->metrics = {.energy_kwh = energy_kwh_all_on(), .mean_active_hosts = kHosts};
    outcome->steps.clear();
  }
  return outcome;
}

Result<Outcome> run_day(const TraceTable& traces, Mode mode, Policy& policy, const Progress& progress) {
  Result<Cluster> created = Cluster::create(traces, mode);
  if (!created) return created.error();
  Cluster& cluster = *created;
  const Result<std::vector<std::size_t>> placed = policy.place(cluster);
  if (!placed) return placed.error();
  for (std::size_t i = 0; i < cluster.vm_count(); ++i) cluster.place(i, (*placed)[i]);

  Outcome outcome;
  outcome.vms = cluster.vm_count();
  for (std::size_t k = 1; k < kSamples; ++k) {
    const double t = static_cast<double>(k) * kSampleS + kStepOffsetS;
    cluster.advance(t, true);
    const Decision decision = policy.decide(cluster);
    outcome.steps.push_back({.k = k,
                             .energy_j = cluster.accounts().energy_j(),
                             .active_hosts = cluster.active_hosts(),
                             .vms = cluster.vms_alive(),
                             .overloaded = decision.overloaded,
                             .taken = decision.taken,
                             .moves = decision.moves.size()});
    std::set<double> durations_s;
    for (const Move& move : decision.moves) {
      durations_s.insert(cluster.vm(move.vm).migration_s());
      cluster.start(move);
    }
    for (const double duration_s : durations_s) {
      cluster.advance(t + duration_s, false);
      cluster.finish(decision.moves, duration_s);
    }
    if (progress) progress(static_cast<double>(k) / (kSamples - 1));
  }
  outcome.vms_left = cluster.vms_alive();
  outcome.metrics = cluster.accounts().metrics();
  return outcome;
}

}  // namespace proteus::simulate::planetlab
