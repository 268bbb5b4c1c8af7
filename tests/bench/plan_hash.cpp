// One hash over the whole decisions (actions, reasons, scores to the last bit) about random clusters: `plan_hash`. The same
// on every preset, or the core is not deterministic; `./run same` compares. Argument: number of clusters (60).
#include <fmt/core.h>
#include <xxhash.h>

#include <cstdlib>

#include "controller/ham/decision.h"
#include "tests/controller/ham/cluster.h"
#include "tests/controller/ham/exact/gap.h"

int main(int argc, char** argv) {
  using namespace proteus::ham;
  const int clusters = argc > 1 ? std::atoi(argv[1]) : 60;
  XXH64_hash_t hash = 0;
  std::size_t actions = 0;
  for (int i = 0; i < clusters; ++i) {
    const auto seed = static_cast<std::uint32_t>(i + 1);
    GapCase test = random_case(seed, 2 + i % 19);
    if (i % 2 == 1) {
      // Demands that are uncertain and rise, quotas in their way, power that costs.
      test.policy.strategies.reshape = true;
      test.policy.strategies.consolidate = true;
      test.policy.prices.energy_per_kwh = 30;
      for (auto& host : test.state.hosts) {
        host.idle_watts = 100;
        host.peak_watts = 300;
      }
      for (std::size_t v = 0; v < test.state.vms.size(); ++v) {
        const double now = test.state.vms[v].cpu_used_cores;
        set_cpu(test.state.vms[v], ramp_forecast(test.state.now, now, now * (v % 3 == 0 ? 1.5 : 0.9)));
        if (v % 2 == 0) test.state.vms[v].allocation.cpu_quota_us = static_cast<std::int64_t>(7000 * now);
      }
    }
    const Decision decision = decide(test.state, test.policy, seed);
    const std::string text = dump(decision);
    hash = XXH64(text.data(), text.size(), hash);
    actions += decision.chosen.actions.size();
  }
  fmt::print("{:016x} {} clusters, {} actions\n", hash, clusters, actions);
  return actions > 0 ? 0 : 1;
}
