#include "controller/ctl/simulate_command.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>

#include "controller/ctl/cluster_command.h"
#include "controller/ctl/kvm_command.h"
#include "controller/ctl/planetlab_command.h"
#include "controller/simulate/kvm/policies/catalogue.h"

namespace proteus::ctl {

namespace {

void add_options(CLI::App& scenario, PlanetlabCommand& options) {
  scenario
      .add_option("--traces", options.traces, "a day's traces: CSV, as it is or packed by xz or gzip; may be several")
      ->required();
  scenario.add_option("--policy", options.policy, planetlab_policies())->required();
  scenario.add_option("--mode", options.mode, "cloudsim: idle VMs vanish, as in CloudSim; keep: they stay; or both")
      ->capture_default_str();
  scenario.add_option("--svg", options.svg, "draw hosts, energy and moves into this file, as SVG");
}

void add_options(CLI::App& scenario, PolicyRuns& options) {
  scenario
      .add_option("--policy", options.policy,
                  simulate::kvm::policy_names() + ", or bound, the least energy; several with commas between")
      ->required();
  scenario.add_flag("--helpers", options.helpers,
                    "scalable VMs may get helper micro-VMs (no scored benchmark has them)");
  scenario.add_option("--svg", options.svg, "draw hosts on, costs and moves into this file, as SVG");
  scenario.add_flag("--moves", options.moves, "list every migration");
}

void add_options(CLI::App& scenario, KvmCommand& options) {
  scenario.add_option("--data", options.data, "folder with vms.csv and the traces")->required();
  scenario.add_option("--scenario", options.scenario, "small, normal or large")->capture_default_str();
  scenario.add_option("--seed", options.seed, "which VMs, when")->capture_default_str();
  add_options(scenario, options.runs);
}

void add_options(CLI::App& scenario, ClusterCommand& options) {
  scenario.add_option("FILE", options.file, "a scenario in TOML (docs/simulate_cluster.md), or a recording")
      ->required();
  scenario
      .add_option("--history", options.history_s,
                  "how much of a recording is known when the first decision is made, for example 6h; default: half of "
                  "it, a day at most")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"m", 60}, {"h", 3600}, {"d", 86400}},
                                        CLI::AsNumberWithUnit::UNIT_REQUIRED, "DURATION"));
  scenario.add_option("--save", options.save,
                      "write the cluster into this folder, as cluster.toml and traces to change and simulate again");
  add_options(scenario, options.runs);
}

}  // namespace

struct SimulateCommand::Impl {
  bool& json;
  PlanetlabCommand planetlab = {};
  KvmCommand kvm = {};
  ClusterCommand cluster = {};
  std::function<Status(std::ostream&)> chosen = {};

  /// A scenario with the options that add_options(App&, Options&) gives it, run with what was read into `options`.
  template <typename Options>
  void add(CLI::App& simulate, const char* name, const char* help, Options& options,
           Status (*run)(const Options&, bool json, std::ostream&)) {
    CLI::App* scenario = simulate.add_subcommand(name, help);
    add_options(*scenario, options);
    scenario->add_flag("--json", json, "print JSON instead of a table");
    scenario->callback([this, &options, run] {
      chosen = [this, &options, run](std::ostream& out) { return run(options, json, out); };
    });
  }
};

SimulateCommand::SimulateCommand(CLI::App& app, bool& json) : impl_(std::make_unique<Impl>(Impl{json})) {
  CLI::App& simulate =
      *app.add_subcommand("simulate", "run a policy on a virtual cluster; needs no controller and no root");
  simulate.require_subcommand(1);
  impl_->add(simulate, "planetlab", "CloudSim's PlanetLab benchmark: a day of 800 hosts", impl_->planetlab,
             run_planetlab);
  impl_->add(simulate, "kvm", "a KVM cluster with real traces of CPU, memory, disk and network", impl_->kvm, run_kvm);
  impl_->add(simulate, "cluster", "a cluster of your own: from a file, or as it was recorded", impl_->cluster,
             run_cluster);
}

SimulateCommand::~SimulateCommand() = default;

Status SimulateCommand::run(std::ostream& out) const {
  return impl_->chosen(out);
}

}  // namespace proteus::ctl
