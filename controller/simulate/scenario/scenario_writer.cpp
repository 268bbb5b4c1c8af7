#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "controller/simulate/scenario/scenario_file.h"

namespace proteus::simulate::scenario {
namespace {

struct TraceFile {
  kvm::Series series;
  const char* key;
  const char* name;
};
constexpr std::array kTraceFiles = {
    TraceFile{kvm::Series::kCpu, "cpu_cores", "cpu.csv"},
    TraceFile{kvm::Series::kMemory, "used_mib", "memory.csv"},
    TraceFile{kvm::Series::kDisk, "disk_kib_per_s", "disk.csv"},
    TraceFile{kvm::Series::kNetwork, "network_kib_per_s", "network.csv"},
};

/// As a TOML string.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      result += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string host_toml(const Host& host) {
  return fmt::format(
      "\n[[host]]\nname = {}\ncores = {}\ncore_mhz = {}\nmemory = {:.0f}\ndisk_per_s = {:.0f}\n"
      "disk_latency = \"{:.0f}us\"\nnetwork_per_s = {:.0f}\nidle_watts = {}\npeak_watts = {}\n",
      quoted(host.name), host.cores, host.core_mhz, host.memory_mib * kMiB, host.disk_kbs * kKiB,
      host.disk_latency_ms * 1e3, host.network_kbs * kKiB, host.idle_w, host.peak_w);
}

std::string vm_toml(const Vm& vm, int history_ticks) {
  std::string text = fmt::format("\n[[vm]]\nname = {}\nvcpus = {}\nmemory = {:.0f}\n", quoted(vm.name), vm.vcpus,
                                 vm.memory_mib * kMiB);
  if (vm.vm_class == kvm::VmClass::kGold) text += "class = \"gold\"\n";
  if (vm.vm_class == kvm::VmClass::kBronze) text += "class = \"bronze\"\n";
  if (vm.pinned) text += "pinned = true\n";
  if (vm.scalable) text += "scalable = true\n";
  if (!vm.host.empty()) text += "host = " + quoted(vm.host) + "\n";
  if (!vm.apart.empty()) text += "apart = " + quoted(vm.apart) + "\n";
  if (!vm.talks_to.empty()) text += "talks_to = " + quoted(vm.talks_to) + "\n";
  if (!vm.tags.empty()) {
    std::string tags;
    for (const auto& [key, value] : vm.tags) tags += (tags.empty() ? "" : ", ") + quoted(key + "=" + value);
    text += "tags = [" + tags + "]\n";
  }
  if (vm.from <= 0 && vm.from > -history_ticks) {
    text += fmt::format("known_for = \"{}s\"\n", -vm.from * kvm::kTick_s);
  }
  if (vm.from > 0) text += fmt::format("arrives = \"{}s\"\n", vm.from * kvm::kTick_s);
  if (vm.until != kvm::kNever) text += fmt::format("departs = \"{}s\"\n", vm.until * kvm::kTick_s);
  return text;
}

Status write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (file) return {};
  return Error{ErrorCode::kPermissionDenied, path.string() + ": cannot be written"};
}

std::string trace_csv(const Scenario& scenario, const TraceFile& file) {
  const int ticks = scenario.history_ticks + scenario.ticks;
  std::string text = "vm";
  for (int t = 0; t < ticks; ++t) text += fmt::format(",t{:04}", t);
  text += "\n";
  for (const Vm& vm : scenario.vms) {
    const std::vector<float>& demand = vm.demand[static_cast<std::size_t>(file.series)];
    const double unit = file.series == kvm::Series::kCpu ? scenario.core_mhz : 1;
    text += vm.name;
    for (int t = 0; t < ticks; ++t) {
      const auto i = static_cast<std::size_t>(t);
      text += fmt::format(",{}", i < demand.size() ? demand[i] / unit : 0.0);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

Status write_scenario(const Scenario& scenario, const std::string& folder) {
  const std::filesystem::path to(folder);
  const std::filesystem::path toml = to / "cluster.toml";
  std::error_code error;
  std::filesystem::create_directories(to, error);
  if (error) return Error{ErrorCode::kPermissionDenied, folder + ": cannot be made: " + error.message()};
  if (std::filesystem::exists(toml, error))
    return Error{ErrorCode::kAlreadyExists, toml.string() + " is there already"};
  for (const TraceFile& file : kTraceFiles) {
    if (Status written = write_file(to / file.name, trace_csv(scenario, file)); !written) return written;
  }
  std::string text = fmt::format(
      "name = {}\nhistory = \"{}s\"\nduration = \"{}s\"\nbegins = \"{:%Y-%m-%dT%H:%MZ}\"\ncore_mhz = {}\n\n[traces]\n",
      quoted(scenario.name), scenario.history_ticks * kvm::kTick_s, scenario.ticks * kvm::kTick_s,
      std::chrono::time_point_cast<std::chrono::seconds>(scenario.begins), scenario.core_mhz);
  for (const TraceFile& file : kTraceFiles) text += fmt::format("{} = \"{}\"\n", file.key, file.name);
  for (const Host& host : scenario.hosts) text += host_toml(host);
  for (const Vm& vm : scenario.vms) text += vm_toml(vm, scenario.history_ticks);
  return write_file(toml, text);
}

}  // namespace proteus::simulate::scenario
