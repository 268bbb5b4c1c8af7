// How far decisions are from the exact optimum, on 200 random clusters of up to 20 hosts and 100 VMs:
// `bench_decide_gap`. Prints one line a cluster and a summary; exit code 1 if a bound of docs/benchmarks.md is missed.
// Arguments: number of clusters (200), tree nodes for each (3000), first seed (1).
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "tests/controller/ham/exact/gap.h"

int main(int argc, char** argv) {
  using namespace proteus::ham;
  const int clusters = argc > 1 ? std::atoi(argv[1]) : 200;
  const int nodes = argc > 2 ? std::atoi(argv[2]) : 3000;
  const int first = argc > 3 ? std::atoi(argv[3]) : 1;
  int proven = 0;
  int infeasible = 0;
  int counted = 0;
  double sum = 0;
  double sum_found = 0;
  double worst = 0;
  std::int64_t evaluations = 0;
  fmt::print("{:>5} {:>5} {:>4} {:>10} {:>10} {:>10} {:>10} {:>7} {:>6} {:>6} {:>6}\n", "seed", "hosts", "VMs",
             "nothing", "ours", "solver", "bound", "gap %", "moves", "broken", "proven");
  for (int i = 0; i < clusters; ++i) {
    const auto seed = static_cast<std::uint32_t>(first + i);
    const Gap gap = measure_gap(random_case(seed, 20), seed, nodes);
    fmt::print("{:>5} {:>5} {:>4} {:>10.3f} {:>10.3f} {:>10.3f} {:>10.3f} {:>7.3f} {:>6} {:>3}/{:<2} {:>6}\n", seed,
               gap.hosts, gap.vms, gap.nothing, gap.ours, gap.optimum, gap.bound, 100 * gap.gap(), gap.ours_moves,
               gap.ours_violations, gap.solver_violations, gap.proven ? "yes" : "no");
    std::fflush(stdout);
    proven += gap.proven;
    infeasible += gap.ours_violations > gap.solver_violations;
    evaluations = std::max(evaluations, gap.evaluations);
    ++counted;
    sum += gap.gap();
    sum_found += (gap.ours - gap.optimum) / gap.optimum;
    worst = std::max(worst, gap.gap());
  }
  fmt::print(
      "{} clusters, {} proven optimal to 0.05 %: gap to the bound mean {:.3f} %, worst {:.3f} %; to the solver's best "
      "plan "
      "mean {:.3f} %; {} with more broken rules than the solver's plan; at most {} evaluations\n",
      counted, proven, 100 * sum / counted, 100 * worst, 100 * sum_found / counted, infeasible, evaluations);
  return sum / counted <= 0.01 && worst <= 0.05 && infeasible == 0 ? 0 : 1;
}
