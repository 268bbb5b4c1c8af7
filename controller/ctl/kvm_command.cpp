#include "controller/ctl/kvm_command.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "controller/api/learning_json.h"
#include "controller/ctl/progress_bar.h"
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

}  // namespace

Status run_kvm(const KvmCommand& command, bool json, std::ostream& out) {
  const Result<kvm::Traces> traces = kvm::read_traces(command.data);
  if (!traces) return traces.error();
  const Result<kvm::Workload> workload = kvm::generate(*traces, command.scenario, command.seed);
  if (!workload) return workload.error();
  const Result<std::shared_ptr<ham::learning::Agent>> agent = kvm::learning_agent(command.policy);
  if (!agent) return agent.error();
  const Result<std::unique_ptr<kvm::Policy>> policy =
      *agent != nullptr ? kvm::make_learning_policy(*agent) : kvm::make_policy(command.policy, *workload);
  if (!policy) return policy.error();
  ProgressBar progress(command.policy);
  kvm::RunOptions options;
  options.on_tick = [&](const kvm::Cluster& cluster, const kvm::TickOutcome&, const kvm::Tally&) {
    progress.show(static_cast<double>(cluster.tick() - kvm::kFirstTick) / (workload->end_tick - kvm::kFirstTick));
  };
  nlohmann::ordered_json result = to_json(command, kvm::run(*workload, **policy, options));
  if (*agent != nullptr) result["learning"] = api::to_json((*agent)->report());
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
