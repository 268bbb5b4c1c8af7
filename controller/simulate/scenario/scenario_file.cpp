#include "controller/simulate/scenario/scenario_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "common/toml_document.h"
#include "controller/simulate/kvm/cluster.h"
#include "controller/simulate/scenario/demand.h"
#include "controller/simulate/trace/compressed_file.h"
#include "controller/simulate/trace/csv.h"

namespace proteus::simulate::scenario {
namespace {

using Table = TomlDocument::Table;
using std::chrono::hours;
using std::chrono::seconds;

constexpr Nanoseconds kTick = seconds(kvm::kTick_s);
constexpr Nanoseconds kWeek = hours(7 * 24);
constexpr int kCountMax = 10000;
constexpr std::size_t kFileBytesMax = std::size_t{64} << 20;
constexpr double kMost = 1e12;

/// What is said of a VM's demand, and what it is multiplied by to be in the model's unit; 0: a core.
struct DemandKey {
  kvm::Series series;
  const char* name;
  double unit;
};
constexpr std::array kDemandKeys = {
    DemandKey{kvm::Series::kCpu, "cpu_cores", 0},
    DemandKey{kvm::Series::kMemory, "used_mib", 1},
    DemandKey{kvm::Series::kDisk, "disk_kib_per_s", 1},
    DemandKey{kvm::Series::kNetwork, "network_kib_per_s", 1},
};

/// The traces that the file names.
class TraceFiles {
 public:
  TraceFiles(Table table, std::filesystem::path folder) : table_(table), folder_(std::move(folder)) {
    table_.read_duration("step", step_, seconds(1), hours(1));
    for (const DemandKey& key : kDemandKeys) table_.read(key.name, files_[key.name]);
  }

  /// Reads what is named. Errors: the files'.
  Status read() {
    for (const DemandKey& key : kDemandKeys) {
      if (files_[key.name].empty()) continue;
      Result<TraceTable> trace = read_traces((folder_ / files_[key.name]).string());
      if (!trace) return with_context(trace.error(), fmt::format("[traces] {}", key.name));
      Rows& rows = rows_[key.name];
      for (std::size_t s = 0; s < trace->series(); ++s) {
        if (rows.index.emplace(trace->names[s], s).second) continue;
        table_.problem(key.name, fmt::format("'{}' has the row '{}' twice", files_[key.name], trace->names[s]));
      }
      rows.table = std::move(*trace);
    }
    return {};
  }

  bool has(const std::string& row) const {
    return std::any_of(rows_.begin(), rows_.end(), [&](const auto& rows) { return rows.second.index.contains(row); });
  }

  /// Nothing if there is no such row.
  std::optional<std::vector<float>> demand(const DemandKey& key, const std::string& row, double unit, int ticks) const {
    const auto rows = rows_.find(key.name);
    if (rows == rows_.end()) return std::nullopt;
    const auto found = rows->second.index.find(row);
    if (found == rows->second.index.end()) return std::nullopt;
    return to_ticks(rows->second.table.row(found->second), rows->second.table.steps, to_seconds(step_), unit, ticks);
  }

  /// A problem for each file that ends before `ticks`.
  void check_length(int ticks) {
    for (const auto& [name, rows] : rows_) {
      const Nanoseconds covered = step_ * static_cast<std::int64_t>(rows.table.steps);
      if (covered >= kTick * ticks) continue;
      table_.problem(name, fmt::format("'{}' covers {} min, but history and duration together ask for {}", files_[name],
                                       covered / std::chrono::minutes(1), ticks * kvm::kTick_s / 60));
    }
  }

 private:
  struct Rows {
    TraceTable table;
    std::map<std::string, std::size_t> index;
  };
  Table table_;
  std::filesystem::path folder_;
  Nanoseconds step_ = kTick;
  std::map<std::string, std::string> files_;
  std::map<std::string, Rows> rows_;
};

/// A duration of whole ticks.
void read_ticks(Table& table, std::string_view key, int& ticks, int min, int max) {
  Nanoseconds time = kTick * ticks;
  table.read_duration(key, time, kTick * min, kTick * max);
  if (time % kTick != Nanoseconds{}) {
    table.problem(key, fmt::format("'{}' must be whole steps of {} min", key, kvm::kTick_s / 60));
  }
  ticks = static_cast<int>(time / kTick);
}

Pattern read_pattern(Table table) {
  Pattern pattern;
  if (table.line() != 0) table.require("base");
  table.read("base", pattern.base, 0, kMost);
  pattern.peak = pattern.base;
  table.read("peak", pattern.peak, 0, kMost);
  Nanoseconds at = from_seconds(pattern.at_s);
  Nanoseconds every = from_seconds(pattern.every_s);
  table.read_duration("at", at, seconds(0), kWeek);
  table.read_duration("every", every, 2 * kTick, kWeek);
  Nanoseconds width = every / 2;
  table.read_duration("width", width, kTick, every);
  pattern.at_s = to_seconds(at);
  pattern.every_s = to_seconds(every);
  pattern.width_s = to_seconds(width);
  table.read("noise", pattern.noise, 0, 10);
  std::string shape = "wave";
  table.read("shape", shape);
  if (shape != "wave" && shape != "burst") table.problem("shape", "'shape' must be \"wave\" or \"burst\"");
  pattern.burst = shape == "burst";
  return pattern;
}

/// "2026-03-02T08:00Z"
void read_begins(Table& root, Timestamp& begins) {
  std::string text;
  root.read("begins", text);
  if (text.empty()) return;
  std::tm parts{};
  const char* const end = strptime(text.c_str(), "%Y-%m-%dT%H:%MZ", &parts);
  if (end == nullptr || *end != '\0')
    return root.problem("begins", "'begins' must be a time such as \"2026-03-02T08:00Z\"");
  begins = Timestamp{std::chrono::seconds(timegm(&parts))};
}

double read_mib(Table& table, std::string_view key, double mib, std::int64_t min, std::int64_t max) {
  auto bytes = static_cast<std::int64_t>(mib) * kMiB;
  table.read_bytes(key, bytes, min, max);
  return static_cast<double>(bytes) / static_cast<double>(kMiB);
}

double read_kbs(Table& table, std::string_view key, double kbs) {
  auto bytes = static_cast<std::int64_t>(kbs) * 1024;
  table.read_bytes(key, bytes, 1024, std::int64_t{1} << 50);
  return static_cast<double>(bytes) / 1024;
}

/// "name" once, or "name-1", "name-2", … as often as `count` says.
std::vector<std::string> read_names(Table& table) {
  std::string name;
  int count = 1;
  table.require("name");
  table.read("name", name);
  table.read("count", count, 1, kCountMax);
  if (table.has("name") && !is_good_name(name)) {
    table.problem("name", "'name' must not be empty, begin with @, or hold any of *?[]\\,\" or a control character");
  }
  if (!table.has("count")) return {name};
  std::vector<std::string> names;
  for (int i = 1; i <= count; ++i) names.push_back(fmt::format("{}-{}", name, i));
  return names;
}

void read_hosts(Table& table, Scenario& scenario) {
  Host host;
  host.core_mhz = scenario.core_mhz;
  table.require("cores");
  table.read("cores", host.cores, 1, 4096);
  table.read("core_mhz", host.core_mhz, 1, 20000);
  table.require("memory");
  host.memory_mib = read_mib(table, "memory", host.memory_mib, 64 * kMiB, std::int64_t{1} << 50);
  host.disk_kbs = read_kbs(table, "disk_per_s", host.disk_kbs);
  Nanoseconds latency = from_seconds(host.disk_latency_ms * 1e-3);
  table.read_duration("disk_latency", latency, std::chrono::microseconds(1), seconds(1));
  host.disk_latency_ms = to_seconds(latency) * 1e3;
  host.network_kbs = read_kbs(table, "network_per_s", host.network_kbs);
  table.read("idle_watts", host.idle_w, 0, 1e5);
  host.peak_w = std::max(host.peak_w, host.idle_w);
  table.read("peak_watts", host.peak_w, host.idle_w, 1e5);
  std::vector<std::string> names = read_names(table);
  if (scenario.hosts.size() + names.size() > kHostsMax) {
    return table.problem("count", fmt::format("at most {} hosts can be simulated", kHostsMax));
  }
  for (std::string& name : names) {
    host.name = std::move(name);
    scenario.hosts.push_back(host);
  }
}

kvm::VmClass read_class(Table& table) {
  std::string name = "silver";
  table.read("class", name);
  if (name == "gold") return kvm::VmClass::kGold;
  if (name == "bronze") return kvm::VmClass::kBronze;
  if (name != "silver") table.problem("class", "'class' must be \"gold\", \"silver\" or \"bronze\"");
  return kvm::VmClass::kSilver;
}

std::map<std::string, std::string> read_tags(Table table, const std::vector<std::string>& words) {
  std::map<std::string, std::string> tags;
  for (const std::string& word : words) {
    const std::size_t at = word.find('=');
    if (at == 0 || at == std::string::npos) {
      table.problem("tags", fmt::format("tag '{}' must be KEY=VALUE", word));
    } else {
      tags[word.substr(0, at)] = word.substr(at + 1);
    }
  }
  return tags;
}

/// Reads the VM's tables of demand; what it says of none comes from the row, if there is one.
class DemandReader {
 public:
  DemandReader(Table& table, const Scenario& scenario, const TraceFiles& traces)
      : table_(table), scenario_(scenario), traces_(traces) {
    for (std::size_t k = 0; k < kDemandKeys.size(); ++k) {
      if (table.has(kDemandKeys[k].name)) patterns_[k] = read_pattern(table.table(kDemandKeys[k].name));
    }
    table.read("trace", row_);
  }

  void fill(Vm& vm, std::uint64_t seed) {
    std::string row = row_.empty() ? vm.name : row_;
    if (!row_.empty() && !traces_.has(row)) table_.problem("trace", fmt::format("no trace has a row '{}'", row));
    for (std::size_t k = 0; k < kDemandKeys.size(); ++k) {
      const DemandKey& key = kDemandKeys[k];
      std::vector<float>& demand = vm.demand[static_cast<std::size_t>(key.series)];
      const double unit = key.unit == 0 ? scenario_.core_mhz : key.unit;
      const int ticks = scenario_.history_ticks + scenario_.ticks;
      if (patterns_[k]) {
        const std::uint64_t own_seed = seed * kDemandKeys.size() + k;
        demand = make_demand(*patterns_[k], unit, scenario_.history_ticks, scenario_.ticks, own_seed);
      } else if (std::optional<std::vector<float>> traced = traces_.demand(key, row, unit, ticks)) {
        demand = std::move(*traced);
      } else if (key.series == kvm::Series::kCpu) {
        table_.problem("cpu_cores", fmt::format("nothing says what CPU VM '{}' asks for: neither a table 'cpu_cores' "
                                                "nor a row '{}' of such a trace",
                                                vm.name, row));
      }
    }
  }

 private:
  Table& table_;
  const Scenario& scenario_;
  const TraceFiles& traces_;
  std::array<std::optional<Pattern>, kDemandKeys.size()> patterns_;
  std::string row_;
};

void read_vms(Table& table, const TraceFiles& traces, std::uint64_t seed, Scenario& scenario) {
  Vm vm;
  table.read("vcpus", vm.vcpus, 1, 1024);
  vm.memory_mib = read_mib(table, "memory", vm.memory_mib, 64 * kMiB, std::int64_t{1} << 46);
  const double largest = std::accumulate(scenario.hosts.begin(), scenario.hosts.end(), 0.0,
                                         [](double most, const Host& host) { return std::max(most, host.memory_mib); });
  if (!scenario.hosts.empty() && vm.memory_mib + kvm::kVmOverhead_mib > largest) {
    table.problem("memory",
                  fmt::format("no host has the memory for it and {} MiB of QEMU's own: the largest has {:.0f} "
                              "MiB",
                              kvm::kVmOverhead_mib, largest));
  }
  vm.vm_class = read_class(table);
  table.read("pinned", vm.pinned);
  table.read("scalable", vm.scalable);
  table.read("host", vm.host);
  table.read("apart", vm.apart);
  table.read("talks_to", vm.talks_to);
  std::vector<std::string> tags;
  table.read("tags", tags);
  vm.tags = read_tags(table, tags);
  int arrives = 0;
  read_ticks(table, "arrives", arrives, 1, scenario.ticks - 1);
  if (table.has("arrives")) vm.from = arrives;
  if (table.has("arrives") && !vm.host.empty()) {
    table.problem("host", "'host' says where a VM is at first; one that arrives later is placed by the policy");
  }
  int known_for = scenario.history_ticks;
  read_ticks(table, "known_for", known_for, 0, scenario.history_ticks);
  if (table.has("known_for")) vm.from = -known_for;
  if (table.has("known_for") && table.has("arrives")) {
    table.problem("known_for", "nothing is known of a VM before it arrives");
  }
  int departs = scenario.ticks;
  read_ticks(table, "departs", departs, arrives + 1, kTicksMax);
  if (table.has("departs")) vm.until = departs;
  DemandReader demand(table, scenario, traces);
  std::vector<std::string> names = read_names(table);
  if (scenario.vms.size() + names.size() > kVmsMax) {
    return table.problem("count", fmt::format("at most {} VMs can be simulated", kVmsMax));
  }
  for (std::string& name : names) {
    vm.name = std::move(name);
    demand.fill(vm, seed + 1000003 * scenario.vms.size());
    scenario.vms.push_back(vm);
    for (auto& series : vm.demand) series.clear();
  }
}

/// Two of a kind may not be called alike.
void check_twice(std::vector<Table>& tables, const char* kind) {
  std::set<std::string> seen;
  for (Table& table : tables) {
    for (const std::string& name : read_names(table)) {
      if (!seen.insert(name).second)
        table.problem("name", fmt::format("another {} is called '{}' already", kind, name));
    }
  }
}

/// VMs that must be on different hosts at first and cannot.
void check_apart(std::vector<Table>& tables, const Scenario& scenario) {
  std::map<std::string, std::size_t> at_first;
  std::map<std::pair<std::string, std::string>, std::size_t> on_host;
  for (const Vm& vm : scenario.vms) {
    if (vm.apart.empty() || vm.from > 0) continue;
    ++at_first[vm.apart];
    if (!vm.host.empty()) ++on_host[{vm.apart, vm.host}];
  }
  for (Table& table : tables) {
    std::string apart;
    std::string host;
    table.read("apart", apart);
    table.read("host", host);
    if (at_first[apart] > scenario.hosts.size()) {
      table.problem("apart", fmt::format("{} VMs are to be apart as '{}', but there are {} hosts", at_first[apart],
                                         apart, scenario.hosts.size()));
    } else if (on_host[{apart, host}] > 1) {
      table.problem("host", fmt::format("{} VMs that are to be apart as '{}' are on host '{}' at first",
                                        on_host[{apart, host}], apart, host));
    }
  }
}

/// What only the whole file can tell, with the line of the VM that is wrong.
void check_names(std::vector<Table>& tables, const Scenario& scenario) {
  std::set<std::string> hosts;
  std::set<std::string> vms;
  for (const Host& host : scenario.hosts) hosts.insert(host.name);
  for (const Vm& vm : scenario.vms) vms.insert(vm.name);
  for (Table& table : tables) {
    std::string partner;
    table.read("talks_to", partner);
    for (const std::string& name : read_names(table)) {
      if (name == partner) table.problem("talks_to", "a VM talks to others, not to itself");
    }
    for (const auto& [key, names] : {std::pair("host", &hosts), std::pair("talks_to", &vms)}) {
      std::string name;
      table.read(key, name);
      if (!name.empty() && !names->contains(name)) {
        table.problem(key, fmt::format("'{}' is '{}', which the scenario does not have", key, name));
      }
    }
  }
}

}  // namespace

Result<Scenario> read_scenario_file(const std::string& path) {
  const Result<std::string> text = read_compressed_file(path, kFileBytesMax);
  if (!text) return text.error();
  TomlDocument document(*text, path);
  Table root = document.root();
  Scenario scenario;
  scenario.name = std::filesystem::path(path).stem().string();
  root.read("name", scenario.name);
  std::int64_t seed = 1;
  root.read("seed", seed, 0);
  read_ticks(root, "history", scenario.history_ticks, 0, kHistoryTicksMax);
  read_ticks(root, "duration", scenario.ticks, 1, kTicksMax);
  read_begins(root, scenario.begins);
  root.read("core_mhz", scenario.core_mhz, 100, 20000);
  TraceFiles traces(root.table("traces"), std::filesystem::path(path).parent_path());
  if (Status read = traces.read(); !read) return read.error();
  traces.check_length(scenario.history_ticks + scenario.ticks);
  std::vector<Table> hosts = root.tables("host");
  for (Table& host : hosts) read_hosts(host, scenario);
  std::vector<Table> vms = root.tables("vm");
  for (Table& vm : vms) read_vms(vm, traces, static_cast<std::uint64_t>(seed), scenario);
  check_twice(hosts, "host");
  check_twice(vms, "VM");
  check_names(vms, scenario);
  check_apart(vms, scenario);
  if (Status good = document.finish(); !good) return good.error();
  return scenario;
}

}  // namespace proteus::simulate::scenario
