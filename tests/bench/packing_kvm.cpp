// What the KVM-cluster benchmark leaves open about MFPED with memory, read in several ways: cost, contention,
// disasters, moves and hosts on of each, means over seeds.
//   packing_kvm DATA_DIR SCENARIO FIRST LAST     seeds FIRST to LAST

#include <fmt/core.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "controller/simulate/kvm/policies/packing.h"
#include "controller/simulate/kvm/run.h"
#include "tests/bench/kvm_weeks.h"

namespace proteus::simulate::kvm {
namespace {

struct Reading {
  const char* name;
  std::function<void(PackingRules&)> change;
};

const std::vector<Reading>& readings() {
  static const std::vector<Reading> all = {
      {"as it is", [](PackingRules&) {}},
      {"targets up to 80 % and 90 %",
       [](PackingRules& r) {
         r.target = {0.8, 0.9};
       }},
      {"targets up to 80 % and 100 %",
       [](PackingRules& r) {
         r.target = {0.8, 1};
       }},
      {"one VM of a host and step", [](PackingRules& r) { r.moves_max = 1; }},
      {"no cooldown", [](PackingRules& r) { r.cooldown_ticks = 0; }},
      {"cooldown of an hour", [](PackingRules& r) { r.cooldown_ticks = 12; }},
      {"nearest without the VM", [](PackingRules& r) { r.near_with_vm = false; }},
      {"only the least loaded is emptied", [](PackingRules& r) { r.least_only = true; }},
      {"only below 40 %", [](PackingRules& r) { r.empty_below = 0.4; }},
      {"only below 30 %", [](PackingRules& r) { r.empty_below = 0.3; }},
      {"only below 20 %", [](PackingRules& r) { r.empty_below = 0.2; }},
      {"hourly", [](PackingRules& r) { r.every_ticks = 12; }},
  };
  return all;
}

int measure(const std::vector<std::string>& arguments) {
  if (arguments.size() != 4) {
    fmt::print(stderr, "usage: packing_kvm DATA_DIR SCENARIO FIRST LAST\n");
    return 2;
  }
  const Result<Weeks> weeks = read_weeks(arguments[0], arguments[1], arguments[2], arguments[3]);
  if (!weeks) {
    fmt::print(stderr, "packing_kvm: {}\n", weeks.error().message);
    return 1;
  }
  const auto seeds = static_cast<double>(weeks->list.size());
  for (const Reading& reading : readings()) {
    PackingRules rules = mfped_rules();
    reading.change(rules);
    Metrics sum;
    for (const Workload& week : weeks->list) {
      PackingPolicy policy(rules);
      const Metrics m = run(week, policy).metrics;
      sum.cost_eur += m.cost_eur;
      sum.sla_eur += m.sla_eur;
      sum.energy_kwh += m.energy_kwh;
      sum.contention_share += m.contention_share;
      sum.disasters += m.disasters;
      sum.migrations += m.migrations;
      sum.mean_hosts_on += m.mean_hosts_on;
    }
    fmt::print("| {} | {:.2f} | {:.2f} | {:.1f} | {:.2f} % | {:.1f} | {:.0f} | {:.2f} |\n", reading.name,
               sum.cost_eur / seeds, sum.sla_eur / seeds, sum.energy_kwh / seeds, 100 * sum.contention_share / seeds,
               sum.disasters / seeds, sum.migrations / seeds, sum.mean_hosts_on / seeds);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace proteus::simulate::kvm

int main(int argc, char** argv) {
  return proteus::simulate::kvm::measure({argv + 1, argv + argc});
}
