#include "controller/ctl/kvm_command.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "controller/ctl/progress_bar.h"
#include "controller/ctl/strips_svg.h"
#include "controller/ctl/svg.h"
#include "controller/ctl/table.h"
#include "controller/simulate/kvm/policies/catalogue.h"
#include "controller/simulate/kvm/run.h"

namespace proteus::ctl {
namespace {

namespace kvm = simulate::kvm;

nlohmann::ordered_json to_json(const KvmCommand& command, const kvm::RunResult& run) {
  const kvm::Metrics& m = run.metrics;
  return {
      {"scenario", command.scenario},
      {"seed", command.seed},
      {"policy", command.policy},
      {"ticks", m.ticks},
      {"cost_eur", m.cost_eur},
      {"sla_eur", m.sla_eur},
      {"energy_kwh", m.energy_kwh},
      {"contention_s", m.contention_s},
      {"contention_share", m.contention_share},
      {"unmet_cpu_share", m.unmet_cpu_share},
      {"unmet_disk_share", m.unmet_disk_share},
      {"unmet_network_share", m.unmet_network_share},
      {"unmet_disk_mib", m.unmet_disk_mib},
      {"unmet_net_mib", m.unmet_network_mib},
      {"host_swap_vm_s", m.host_swap_vm_s},
      {"guest_swap_vm_s", m.guest_swap_vm_s},
      {"loss_p99", m.loss_p99},
      {"loss_p999", m.loss_p999},
      {"loss_mean", m.loss_mean},
      {"disasters", m.disasters},
      {"migrations", m.migrations},
      {"migration_s", m.migration_s},
      {"downtime_s", m.downtime_s},
      {"migrated_gib", m.migrated_gib},
      {"refused", m.refused},
      {"reshapes", m.reshapes},
      {"mean_hosts_on", m.mean_hosts_on},
      {"decision_cpu_s_mean", run.decision_cpu_s_mean},
      {"decision_cpu_s_max", run.decision_cpu_s_max},
  };
}

/// What happened from tick to tick, for the picture.
class Picture {
 public:
  void add(const kvm::Cluster& cluster, const kvm::TickOutcome& outcome) {
    double watts = 0;
    double asked_mhz = 0;
    double on_mhz = 0;
    double on = 0;
    double migrating = 0;
    for (std::size_t h = 0; h < outcome.hosts.size(); ++h) {
      watts += outcome.hosts[h].power_w;
      asked_mhz += outcome.hosts[h].demand_mhz;
      migrating += static_cast<double>(cluster.hosts()[h].incoming.size());
      if (cluster.hosts()[h].power != kvm::Power::kOn) continue;
      on += 1;
      on_mhz += cluster.workload().hosts[h]->cpu_mhz();
    }
    double slow = 0;
    for (std::size_t v = 0; v < outcome.vms.size(); ++v) {
      if (cluster.vms()[v].present && outcome.vms[v].loss > kvm::kLossFree) slow += 1;
    }
    hosts_on_.values.push_back(on);
    power_.values.push_back(watts / 1000);
    use_.values.push_back(on_mhz > 0 ? 100 * asked_mhz / on_mhz : 0);
    slow_.values.push_back(slow);
    migrating_.values.push_back(migrating);
  }

  std::string draw(const std::string& title) const {
    const double hours = static_cast<double>(hosts_on_.values.size()) * kvm::kTick_s / 3600;
    return svg_strips(title, hours, {hosts_on_, power_, use_, slow_, migrating_});
  }

 private:
  Strip hosts_on_{"hosts that are on", {}};
  Strip power_{"power, kW", {}};
  Strip use_{"CPU asked for, % of the hosts that are on", {}};
  Strip slow_{"VMs that lose more than is free", {}};
  Strip migrating_{"migrations under way at the end of a step", {}};
};

}  // namespace

Status run_kvm(const KvmCommand& command, bool json, std::ostream& out) {
  const Result<kvm::Traces> traces = kvm::read_traces(command.data);
  if (!traces) return traces.error();
  const Result<kvm::Workload> workload = kvm::generate(*traces, command.scenario, command.seed);
  if (!workload) return workload.error();
  const Result<std::unique_ptr<kvm::Policy>> policy = kvm::make_policy(command.policy, *workload);
  if (!policy) return policy.error();
  ProgressBar progress(command.policy);
  kvm::RunOptions options;
  Picture picture;
  options.on_tick = [&](const kvm::Cluster& cluster, const kvm::TickOutcome& outcome, const kvm::Tally&) {
    if (!command.svg.empty()) picture.add(cluster, outcome);
    progress.show(static_cast<double>(cluster.tick() - kvm::kFirstTick) / (workload->end_tick - kvm::kFirstTick));
  };
  const nlohmann::ordered_json result = to_json(command, kvm::run(*workload, **policy, options));
  if (!command.svg.empty()) {
    const std::string title = fmt::format("{}, {}, seed {}: {:.2f} EUR", command.policy, command.scenario, command.seed,
                                          result.at("cost_eur").get<double>());
    if (const Status written = write_text(command.svg, picture.draw(title)); !written) return written.error();
  }
  if (json) {
    out << result.dump(2) << "\n";
    return {};
  }
  Table table({"METRIC", ">VALUE"});
  for (const auto& [name, value] : result.items()) {
    table.add({name, value.is_number_float() ? fmt::format("{:.6g}", value.get<double>())
                     : value.is_string()     ? value.get<std::string>()
                                             : value.dump()});
  }
  out << table.text();
  return {};
}

}  // namespace proteus::ctl
