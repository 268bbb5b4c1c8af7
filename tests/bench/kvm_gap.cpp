// How far single decisions on the KVM-cluster benchmark are from the best placement of that step, on the same
// forecasts, and what a week costs that is decided by the exact solver:
//   bench_kvm_gap gap DATA_DIR FIRST LAST EVERY [NODES]   scenario small, seeds FIRST to LAST, each EVERYth decision
//   bench_kvm_gap run DATA_DIR FIRST LAST [NODES]         the whole of them, by ham::decide() and by the solver
// NODES: of the search tree of one decision (200000). What is compared: docs/simulate_kvm.md.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "controller/ham/rules/rule.h"
#include "controller/simulate/kvm/policies/ham_policy.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"
#include "controller/simulate/kvm/run.h"
#include "tests/bench/kvm_weeks.h"
#include "tests/controller/ham/exact/step_solver.h"

namespace proteus::simulate::kvm {
namespace {

constexpr int kNoLimit = 1'000'000;

std::vector<std::size_t> home_of(const ham::ClusterModel& model) {
  std::vector<std::size_t> hosts;
  for (const ham::VmModel& vm : model.vms) hosts.push_back(vm.host);
  return hosts;
}

/// Where the decision wants each VM in the end.
std::vector<std::size_t> placement_of(const ham::ClusterModel& model, const ham::Decision& decision) {
  std::vector<std::size_t> hosts = home_of(model);
  for (const ham::Action& action : decision.chosen.actions) {
    const auto* const move = std::get_if<Migrate>(&action.operation);
    if (move == nullptr) continue;
    const auto vm = static_cast<std::size_t>(model.state.find_vm(action.vm) - model.state.vms.data());
    hosts[vm] = static_cast<std::size_t>(model.state.find_host(move->target) - model.state.hosts.data());
  }
  return hosts;
}

int moves_between(const ham::ClusterModel& model, const std::vector<std::size_t>& hosts) {
  int moves = 0;
  for (std::size_t v = 0; v < hosts.size(); ++v) moves += static_cast<int>(hosts[v] != model.vms[v].host);
  return moves;
}

/// The rules of the search allow the moves, one after the other, in some order that is easily found.
bool has_order(const ham::ClusterModel& model, const std::vector<std::size_t>& hosts) {
  ham::PlanState plan(model);
  std::vector<std::size_t> left;
  for (std::size_t v = 0; v < hosts.size(); ++v) {
    if (hosts[v] != model.vms[v].host) left.push_back(v);
  }
  while (!left.empty()) {
    const auto next = std::find_if(left.begin(), left.end(), [&](std::size_t v) {
      return !ham::refusal(plan, {v, {hosts[v], plan.placement(v).allocation}}, false);
    });
    if (next == left.end()) return false;
    plan.apply({*next, {hosts[*next], plan.placement(*next).allocation}});
    left.erase(next);
  }
  return true;
}

std::string moves_of(const ham::ClusterModel& model, const std::vector<std::size_t>& hosts) {
  std::string text;
  for (std::size_t v = 0; v < hosts.size(); ++v) {
    if (hosts[v] == model.vms[v].host) continue;
    text += fmt::format(" {}:{}>{}", model.state.vms[v].id.value, model.vms[v].host, hosts[v]);
  }
  return text;
}

struct Gaps {
  int count = 0;
  int without_order = 0;  ///< of the solver's placements
  int proven = 0;
  double sum = 0;
  double sum_at_most = 0;
  double worst = 0;
  double worst_at_most = 0;
  double broken = 0;
  double score_error = 0;  ///< between the solver's sums and PlanState's, currency per hour
  void add(double ours, const ham::StepResult& result) {
    ++count;
    proven += static_cast<int>(result.proven());
    const double gap = (ours - result.optimum) / result.optimum;
    const double at_most = (ours - result.bound) / result.optimum;
    sum += gap;
    sum_at_most += at_most;
    worst = std::max(worst, gap);
    worst_at_most = std::max(worst_at_most, at_most);
    broken = std::max(broken, result.bound_broken);
  }
  void print(const char* what) const {
    fmt::print(
        "{}: {} decisions, {} of the solver's placements proven, {} without an order of moves; gap mean {:.3f} %, "
        "worst {:.2f} %; to the bound, so "
        "at most: mean {:.3f} %, worst {:.2f} %; bound broken by {:.2g}, scores differ by {:.2g}\n",
        what, count, proven, without_order, 100 * sum / count, 100 * worst, 100 * sum_at_most / count,
        100 * worst_at_most, broken, score_error);
    std::fflush(stdout);
  }
};

/// The plan of ham::decide(), all of it at once, against the best placement.
class Comparison {
 public:
  Comparison(int every, std::int64_t nodes_max) : every_(every), nodes_max_(nodes_max) {}

  ham::Decision decide(const ham::ClusterState& state, const ham::Policy& policy, std::uint64_t seed) {
    if (static_cast<int>(seed) % every_ == 0) compare(state, policy, seed);
    return ham::decide(state, policy, seed);
  }
  Gaps gaps;

 private:
  void compare(const ham::ClusterState& state, ham::Policy policy, std::uint64_t seed) {
    policy.limits.concurrent_migrations_per_host = kNoLimit;
    const ham::ClusterModel model(state, policy);
    const std::vector<std::size_t> hosts = placement_of(model, ham::decide(state, policy, seed));
    ham::StepCosts costs(model);
    const ham::StepResult result = ham::solve_step(costs, hosts, nodes_max_);
    const std::vector<std::size_t> home = home_of(model);
    for (const auto& placement : {hosts, result.hosts}) {
      ham::PlanState plan(model);
      const double before = plan.total().total();
      for (std::size_t v = 0; v < placement.size(); ++v) {
        if (placement[v] != home[v]) plan.apply({v, {placement[v], plan.placement(v).allocation}});
      }
      const double difference = plan.total().total() - before + costs.bare_total(placement) - costs.bare_total(home);
      gaps.score_error = std::max(gaps.score_error, std::abs(difference));
    }
    gaps.add(result.known, result);
    const bool ordered = has_order(model, result.hosts);
    gaps.without_order += static_cast<int>(!ordered);
    fmt::print(
        "tick {}: nothing {:.5f}, ours {:.5f} ({} moves), solver {:.5f} ({} moves), bound {:.5f} EUR/h; gap {:.3f} %, "
        "at most {:.3f} %, {} sets{}{}\n",
        seed, costs.total(home), result.known, moves_between(model, hosts), result.optimum,
        moves_between(model, result.hosts), result.bound, 100 * (result.known - result.optimum) / result.optimum,
        100 * (result.known - result.bound) / result.optimum, result.priced, ordered ? "" : ", no order",
        moves_of(model, result.hosts));
    std::fflush(stdout);
  }

  int every_;
  std::int64_t nodes_max_;
};

/// The solver's placement in place of the search's; balloons as the search sets them.
ham::Decision decide_exactly(const ham::ClusterState& state, const ham::Policy& policy, std::uint64_t seed,
                             std::int64_t nodes_max) {
  ham::Policy unlimited = policy;
  unlimited.limits.concurrent_migrations_per_host = kNoLimit;
  ham::Decision decision = ham::decide(state, unlimited, seed);
  const ham::ClusterModel model(state, unlimited);
  ham::StepCosts costs(model);
  const ham::StepResult result = ham::solve_step(costs, placement_of(model, decision), nodes_max);
  std::vector<ham::Action> actions;
  for (std::size_t v = 0; v < result.hosts.size(); ++v) {
    if (result.hosts[v] == model.vms[v].host) continue;
    ham::Action& action = actions.emplace_back();
    action.vm = state.vms[v].id;
    action.host = state.vms[v].host;
    Migrate move;
    move.target = state.hosts[result.hosts[v]].id;
    action.operation = std::move(move);
  }
  for (ham::Action& action : decision.chosen.actions) {
    if (std::holds_alternative<SetMemory>(action.operation)) actions.push_back(std::move(action));
  }
  decision.chosen.actions = std::move(actions);
  decision.power.clear();
  decision.emptying.clear();
  for (std::size_t h = 0; h < state.hosts.size(); ++h) {
    const bool used = std::find(result.hosts.begin(), result.hosts.end(), h) != result.hosts.end();
    const ham::HostState& host = state.hosts[h];
    if (used && host.asleep) decision.power.push_back({host.id, true, {}});
    if (!used && host.fresh) decision.power.push_back({host.id, false, {}});
    if (!used && costs.home(h) != 0) decision.emptying.push_back(host.id);
  }
  return decision;
}

RunResult run_with(const Workload& workload, Decider decider) {
  HamPolicy policy(std::make_unique<RecentPaths>(RecentWeights{}), HamOptions{}, std::move(decider));
  return run(workload, policy);
}

int main_with(const std::vector<std::string>& arguments) {
  const bool whole = !arguments.empty() && arguments[0] == "run";
  if (arguments.size() < (whole ? 4 : 5) || (!whole && arguments[0] != "gap")) {
    fmt::print(stderr,
               "usage: bench_kvm_gap gap DATA_DIR FIRST LAST EVERY [NODES] | run DATA_DIR FIRST LAST [NODES]\n");
    return 2;
  }
  const Result<Weeks> weeks = read_weeks(arguments[1], "small", arguments[2], arguments[3]);
  if (!weeks) {
    fmt::print(stderr, "bench_kvm_gap: {}\n", weeks.error().message);
    return 1;
  }
  const std::size_t nodes_at = whole ? 4 : 5;
  const std::int64_t nodes = arguments.size() > nodes_at ? std::stoll(arguments[nodes_at]) : 200'000;
  std::uint64_t seed = weeks->first_seed - 1;
  for (const Workload& week : weeks->list) {
    ++seed;
    if (whole) {
      const double ours =
          run_with(week, [](const auto&... decision) { return ham::decide(decision...); }).metrics.cost_eur;
      const double exact =
          run_with(week, [&](const auto&... decision) { return decide_exactly(decision..., nodes); }).metrics.cost_eur;
      fmt::print("seed {}: {:.3f} EUR by ham::decide(), {:.3f} by the solver ({:+.2f} %)\n", seed, ours, exact,
                 100 * (ours - exact) / exact);
      std::fflush(stdout);
      continue;
    }
    Comparison comparison(std::stoi(arguments[4]), nodes);
    run_with(week, [&](const auto&... decision) { return comparison.decide(decision...); });
    comparison.gaps.print(fmt::format("seed {}", seed).c_str());
  }
  return 0;
}

}  // namespace
}  // namespace proteus::simulate::kvm

int main(int argc, char** argv) {
  return proteus::simulate::kvm::main_with({argv + 1, argv + argc});
}
