#include "controller/ctl/cluster_command.h"

#include <cmath>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>

#include "controller/replay/recording.h"
#include "controller/simulate/scenario/recorded_cluster.h"
#include "controller/simulate/scenario/scenario_file.h"

namespace proteus::ctl {
namespace {

namespace kvm = simulate::kvm;
namespace scenario = simulate::scenario;

bool is_recording(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string begin(replay::kRecordingMagic.size(), '\0');
  file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return file && begin == replay::kRecordingMagic;
}

Result<scenario::Scenario> read_scenario(const ClusterCommand& command) {
  if (is_recording(command.file)) {
    std::optional<int> ticks;
    if (command.history_s) {
      constexpr double kMost_s = 1.0 * scenario::kHistoryTicksMax * kvm::kTick_s;
      const bool in_range = *command.history_s >= 0 && *command.history_s <= kMost_s;
      if (!in_range || std::fmod(*command.history_s, kvm::kTick_s) != 0) {
        return Error{ErrorCode::kInvalidArgument, "--history must be whole steps of 5m, a week at most"};
      }
      ticks = static_cast<int>(*command.history_s / kvm::kTick_s);
    }
    return scenario::read_recorded_scenario(command.file, ticks);
  }
  if (command.history_s) {
    return Error{ErrorCode::kInvalidArgument, "--history is for recordings; a scenario's file says its own"};
  }
  return scenario::read_scenario_file(command.file);
}

}  // namespace

Status run_cluster(const ClusterCommand& command, bool json, std::ostream& out) {
  Result<scenario::Scenario> read = read_scenario(command);
  if (!read) return read.error();
  const std::string name = read->name;
  const std::size_t hosts = read->hosts.size();
  const std::size_t vms = read->vms.size();
  std::optional<scenario::Scenario> to_save;
  if (!command.save.empty()) to_save = *read;
  const Result<std::unique_ptr<scenario::Cluster>> cluster = scenario::Cluster::make(std::move(*read));
  if (!cluster) return with_context(cluster.error(), command.file);
  const nlohmann::ordered_json head = {{"scenario", name}, {"hosts", hosts}, {"vms", vms}};
  const Status ran = run_policies((*cluster)->workload(), command.runs, name, head, json, out);
  if (!ran || !to_save) return ran;
  return scenario::write_scenario(*to_save, command.save);
}

}  // namespace proteus::ctl
