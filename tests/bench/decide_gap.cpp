// How far decisions are from the exact optimum, on 200 random clusters of up to 20 hosts and 100 VMs:
// `bench_decide_gap`. Prints one line a cluster and a summary; exit code 1 if a bound of docs/benchmarks.md is missed.
// Arguments: number of clusters (200), tree nodes for each (2000), first seed (1).
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "tests/controller/ham/exact/gap.h"

int main(int argc, char** argv) {
  using namespace proteus::ham;
  const int clusters = argc > 1 ? std::atoi(argv[1]) : 200;
  const int nodes = argc > 2 ? std::atoi(argv[2]) : 2000;
  const int first = argc > 3 ? std::atoi(argv[3]) : 1;
  int proven = 0;
  int infeasible = 0;
  double sum = 0;
  double sum_max = 0;
  double worst = 0;
  double worst_max = 0;
  std::int64_t evaluations = 0;
  double cpu_s = 0;
  double worst_cpu_s = 0;
  fmt::print("{:>5} {:>5} {:>4} {:>10} {:>10} {:>10} {:>10} {:>10} {:>7} {:>9} {:>6} {:>6} {:>6}\n", "seed", "hosts",
             "VMs", "nothing", "ours", "any order", "solver", "bound", "gap %", "at most %", "moves", "broken",
             "proven");
  for (int i = 0; i < clusters; ++i) {
    const auto seed = static_cast<std::uint32_t>(first + i);
    const Gap gap = measure_gap(random_case(seed, 20), seed, nodes);
    fmt::print(
        "{:>5} {:>5} {:>4} {:>10.3f} {:>10.3f} {:>10.3f} {:>10.3f} {:>10.3f} {:>7.3f} {:>9.3f} {:>6} {:>3}/{:<2} "
        "{:>6}\n",
        seed, gap.hosts, gap.vms, gap.nothing, gap.ours, gap.in_any_order, gap.optimum, gap.bound, 100 * gap.gap(),
        100 * gap.gap_max(), gap.ours_moves, gap.ours_violations, gap.solver_violations, gap.proven ? "yes" : "no");
    std::fflush(stdout);
    proven += gap.proven;
    infeasible += gap.ours_violations > gap.solver_violations;
    evaluations = std::max(evaluations, gap.evaluations);
    cpu_s += gap.search_cpu_s;
    worst_cpu_s = std::max(worst_cpu_s, gap.search_cpu_s);
    sum += gap.gap();
    sum_max += gap.gap_max();
    worst = std::max(worst, gap.gap());
    worst_max = std::max(worst_max, gap.gap_max());
  }
  fmt::print(
      "{} clusters, {} of the solver's plans proven optimal to 0.1 %; gap to the solver's plan: mean {:.3f} %, worst "
      "{:.3f} %; to its bound, so at most: mean {:.3f} %, worst {:.3f} %; {} with more broken rules than the solver's "
      "plan; a search took at most {} evaluations, {:.3f} s of CPU time on average and {:.3f} at most\n",
      clusters, proven, 100 * sum / clusters, 100 * worst, 100 * sum_max / clusters, 100 * worst_max, infeasible,
      evaluations, cpu_s / clusters, worst_cpu_s);
  return sum / clusters <= 0.01 && worst <= 0.05 && infeasible == 0 ? 0 : 1;
}
