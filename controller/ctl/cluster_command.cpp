#include "controller/ctl/cluster_command.h"

#include <algorithm>
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
  const bool history_given = command.history_s >= 0;
  if (is_recording(command.file)) {
    std::optional<int> ticks;
    if (history_given) ticks = static_cast<int>(std::min<double>(command.history_s / kvm::kTick_s, kvm::kFirstTick));
    return scenario::read_recorded_scenario(command.file, ticks);
  }
  if (history_given) {
    return Error{ErrorCode::kInvalidArgument, "--history is for recordings; a scenario's file says its own"};
  }
  return scenario::read_scenario_file(command.file);
}

}  // namespace

Status run_cluster(const ClusterCommand& command, bool json, std::ostream& out) {
  Result<scenario::Scenario> read = read_scenario(command);
  if (!read) return read.error();
  if (!command.save.empty()) {
    if (Status written = scenario::write_scenario(*read, command.save); !written) return written;
  }
  const std::string name = read->name;
  const std::size_t hosts = read->hosts.size();
  const std::size_t vms = read->vms.size();
  const Result<std::unique_ptr<scenario::Cluster>> cluster = scenario::Cluster::make(std::move(*read));
  if (!cluster) return with_context(cluster.error(), command.file);
  return run_policies((*cluster)->workload(), command.runs, name, {{"scenario", name}, {"hosts", hosts}, {"vms", vms}},
                      json, out);
}

}  // namespace proteus::ctl
