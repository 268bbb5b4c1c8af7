#include "controller/ctl/policy_runs.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include "controller/api/learning_json.h"
#include "controller/ctl/course_picture.h"
#include "controller/ctl/destination.h"
#include "controller/ctl/json_text.h"
#include "controller/ctl/progress_bar.h"
#include "controller/ctl/svg.h"
#include "controller/ctl/table.h"
#include "controller/simulate/kvm/energy_floor.h"
#include "controller/simulate/kvm/policies/catalogue.h"
#include "controller/simulate/kvm/policies/ids.h"
#include "controller/simulate/kvm/run.h"

namespace proteus::ctl {
namespace {

namespace kvm = simulate::kvm;

void add_metrics(const kvm::RunResult& run, nlohmann::ordered_json& json) {
  const kvm::Metrics& m = run.metrics;
  json.update({
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
      {"helpers", m.helpers},
      {"mean_hosts_on", m.mean_hosts_on},
      {"decision_cpu_s_mean", run.decision_cpu_s_mean},
      {"decision_cpu_s_max", run.decision_cpu_s_max},
  });
}

/// What no policy can be below, as a row like theirs: energy, and nothing else on the bill.
constexpr std::string_view kBound = "bound";

void add_bound(const kvm::Workload& workload, nlohmann::ordered_json& json) {
  const double kwh = kvm::energy_floor_kwh(workload);
  json.update({
      {"ticks", workload.end_tick - kvm::kFirstTick},
      {"cost_eur", kwh * kvm::kEnergyPrice_eur_kwh},
      {"energy_kwh", kwh},
  });
}

/// "0d 07:35" after the first decision.
std::string clock_text(int at_s) {
  return fmt::format("{}d {:02}:{:02}", at_s / 86400, at_s / 3600 % 24, at_s / 60 % 60);
}

std::string moves_text(const nlohmann::ordered_json& run) {
  Table table({"AT", "VM", "FROM", "TO"});
  for (const auto& move : run.at("moves")) {
    table.add({clock_text(move.at("at_s").get<int>()), move.at("vm"), move.at("from"), move.at("to")});
  }
  return fmt::format("\n{}: {}\n", run.at("policy").get<std::string>(), table.empty() ? "no moves" : "moves") +
         (table.empty() ? "" : table.text());
}

std::string to_text(const std::vector<nlohmann::ordered_json>& runs) {
  std::vector<std::string> header = {"METRIC"};
  for (const auto& run : runs) header.push_back(runs.size() > 1 ? ">" + run["policy"].get<std::string>() : ">VALUE");
  Table table(header);
  // One that learns tells more.
  const auto longest =
      std::max_element(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
  for (const auto& [name, value] : longest->items()) {
    if (name == "moves") continue;
    std::vector<std::string> row = {name};
    for (const auto& run : runs) {
      const nlohmann::ordered_json of_run = run.value(name, nlohmann::ordered_json("-"));
      row.push_back(of_run.is_number_float() ? fmt::format("{:.6g}", of_run.get<double>())
                    : of_run.is_string()     ? of_run.get<std::string>()
                                             : json_text(of_run, -1));
    }
    table.add(row);
  }
  std::string text = table.text();
  for (const auto& run : runs) {
    if (run.contains("moves")) text += moves_text(run);
  }
  return text;
}

constexpr CourseNames kCourseNames = {"hosts on", "energy, EUR so far", "lost service, EUR so far"};

/// Notes what the picture and the list of moves show.
class Recorder {
 public:
  Recorder(const kvm::Workload& workload, Course& course)
      : ids_(workload.names, workload.hosts.size(), workload.vms.size()), course_(course) {}

  void note(const kvm::Cluster& cluster, const kvm::Tally& tally) {
    const kvm::Metrics& sums = tally.sums();
    Course::Tick& tick = course_.ticks.emplace_back();
    const auto hosts_on = std::count_if(cluster.hosts().begin(), cluster.hosts().end(),
                                        [](const kvm::HostState& host) { return host.power != kvm::Power::kAsleep; });
    tick.values = {static_cast<double>(hosts_on), sums.energy_kwh * kvm::kEnergyPrice_eur_kwh, sums.sla_eur};
    tick.moves = sums.migrations - migrations_;
    tick.disasters = sums.disasters - disasters_;
    migrations_ = sums.migrations;
    disasters_ = sums.disasters;
    note_moves(cluster);
  }
  const nlohmann::ordered_json& moves() const { return moves_; }

 private:
  void note_moves(const kvm::Cluster& cluster) {
    const int begun = cluster.tick() - 1;
    const std::vector<kvm::VmState>& vms = cluster.vms();
    for (std::size_t v = 0; v < vms.size(); ++v) {
      if (!vms[v].present || vms[v].moved_at != begun) continue;
      moves_.push_back({{"at_s", (begun - kvm::kFirstTick) * kvm::kTick_s},
                        {"vm", ids_.vm(v).value},
                        {"from", host_name(vms[v].moved_from)},
                        {"to", host_name(vms[v].moved_to)}});
    }
  }
  const std::string& host_name(int host) const { return ids_.host(static_cast<std::size_t>(host)).value; }

  kvm::Ids ids_;
  Course& course_;
  nlohmann::ordered_json moves_ = nlohmann::ordered_json::array();
  int migrations_ = 0;
  int disasters_ = 0;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) words.push_back(word);
  return words;
}

struct Contender {
  std::string name;
  std::shared_ptr<ham::learning::Agent> agent;  ///< of one that learns
  std::unique_ptr<kvm::Policy> policy;          ///< null: the bound
};

Result<Contender> make_contender(const std::string& name, bool helpers, const kvm::Workload& workload) {
  if (name == kBound) return Contender{name, nullptr, nullptr};
  Result<std::shared_ptr<ham::learning::Agent>> agent = kvm::learning_agent(name);
  if (!agent) return agent.error();
  Contender contender{name, *agent, nullptr};
  if (contender.agent != nullptr) {
    contender.policy = kvm::make_learning_policy(contender.agent);
  } else {
    Result<std::unique_ptr<kvm::Policy>> policy = kvm::make_policy(name, workload);
    if (!policy) return policy.error();
    contender.policy = std::move(*policy);
  }
  if (helpers) {
    contender.name += kvm::kWithHelpers;
    if (Status used = kvm::use_helpers(*contender.policy, name); !used) return used.error();
  }
  return contender;
}

}  // namespace

Status run_policies(const kvm::Workload& workload, const PolicyRuns& runs, const std::string& title,
                    const nlohmann::ordered_json& head, bool json, std::ostream& out) {
  std::vector<Contender> contenders;
  for (const std::string& name : split(runs.policy)) {
    Result<Contender> contender = make_contender(name, runs.helpers, workload);
    if (!contender) return contender.error();
    contenders.push_back(std::move(*contender));
  }
  if (contenders.empty()) return Error{ErrorCode::kInvalidArgument, "--policy names none"};

  std::vector<nlohmann::ordered_json> results;
  std::vector<Course> courses;
  courses.reserve(contenders.size());
  for (const Contender& contender : contenders) {
    nlohmann::ordered_json& result = results.emplace_back(head);
    result["policy"] = contender.name;
    if (contender.policy == nullptr) {
      add_bound(workload, result);
      continue;
    }
    courses.push_back({contender.name, {}});
    Recorder recorder(workload, courses.back());
    ProgressBar progress(contender.name);
    kvm::RunOptions options;
    options.on_tick = [&](const kvm::Cluster& cluster, const kvm::TickOutcome&, const kvm::Tally& tally) {
      progress.show(static_cast<double>(cluster.tick() - kvm::kFirstTick) / (workload.end_tick - kvm::kFirstTick));
      recorder.note(cluster, tally);
    };
    add_metrics(kvm::run(workload, *contender.policy, options), result);
    if (contender.agent != nullptr) result["learning"] = api::to_json(contender.agent->report());
    if (runs.moves) result["moves"] = recorder.moves();
  }
  if (!runs.svg.empty()) {
    if (const Status written = write_text(runs.svg, svg_courses(title, kCourseNames, courses, kvm::kTick_s)); !written)
      return written;
  }
  std::ostream& words = Destination::words(runs.svg, out);
  if (!json) {
    words << to_text(results);
  } else {
    const nlohmann::ordered_json all = results.size() == 1 ? results.front() : nlohmann::ordered_json(results);
    words << json_text(all) << "\n";
  }
  return {};
}

}  // namespace proteus::ctl
