#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"

namespace proteus::simulate::kvm {

inline constexpr int kTick_s = 300;
inline constexpr int kTraceTicks = 4032;  ///< samples of a trace, two weeks
inline constexpr int kFirstTick = 2016;   ///< T0: what comes before is history
inline constexpr int kDayTicks = 288;
inline constexpr int kNever = -1;

/// What is traced. Units: MHz used; MiB active; KB/s read and written; KB/s received and sent.
enum class Series : std::uint8_t { kCpu, kMemory, kDisk, kNetwork };
inline constexpr std::size_t kSeriesCount = 4;
inline constexpr std::array kAllSeries = {Series::kCpu, Series::kMemory, Series::kDisk, Series::kNetwork};

/// The recorded VMs.
struct Traces {
  struct Machine {
    int vcpus = 1;
    double memory_mib = 0;  ///< provisioned
  };
  std::vector<Machine> machines;
  /// [series][machine · kTraceTicks + tick]
  std::array<std::vector<float>, kSeriesCount> samples;
};

/// Reads vms.csv and the six series of a folder (format: ../data/kvm/README.md of the benchmark); reads and writes,
/// received and sent are added. Errors: kNotFound, kCorrupt with file and line.
Result<Traces> read_traces(const std::string& folder);

struct HostClass {
  std::string_view name;
  int cores;
  double core_mhz;
  double memory_mib;  ///< for guests
  double disk_kbs;
  double disk_latency_ms;  ///< idle
  double network_kbs;
  double idle_w;
  double peak_w;
  double cpu_mhz() const { return cores * core_mhz; }
};

enum class VmClass : std::uint8_t { kGold, kSilver, kBronze };
/// Multiplies a VM's value and the price of its disasters.
double class_factor(VmClass vm_class);

struct Vm {
  std::size_t machine = 0;  ///< whose trace it runs
  int offset = 0;           ///< ticks by which the trace is shifted
  int vcpus = 1;
  double memory_mib = 0;
  VmClass vm_class = VmClass::kSilver;
  bool pinned = false;
  bool scalable = false;
  int first_host = kNever;  ///< of a VM that is there at first; kNever: by the default rule
  int known_from = 0;       ///< tick at which the trace of a VM that is there at first begins
  int arrives = kFirstTick;
  int departs = kNever;
  int group = kNever;    ///< anti-affinity: two of one group never share a host
  int partner = kNever;  ///< affinity: the two talk to each other
  double value = 0;      ///< EUR/h
};

/// What hosts and VMs are called by policies: sorted, each name once.
struct Names {
  std::vector<std::string> hosts;
  std::vector<std::string> vms;
  std::vector<std::map<std::string, std::string>> tags;  ///< [vm]
};

/// One scenario: which hosts, which VMs, when. A value; it points to its traces.
struct Workload {
  const Traces* traces = nullptr;
  std::vector<const HostClass*> hosts;
  std::vector<Vm> vms;
  std::vector<std::vector<int>> groups;
  Names names;                         ///< empty: numbers will do
  double best_disk_latency_ms = 0.20;  ///< at rest; what VMs' disk I/O is measured by
  double core_mhz = 0;                 ///< what policies count cores in; 0: cores of the first host
  /// Of the first tick, for rules about times of day and days of the week.
  Timestamp begins{std::chrono::seconds(kTick_s) * kFirstTick};
  int end_tick = 0;  ///< T1, exclusive

  /// Any tick >= 0; a trace begins anew where it ends.
  double sample(std::size_t vm, Series series, int tick) const {
    const Vm& v = vms[vm];
    const auto at = static_cast<std::size_t>((tick + v.offset) % kTraceTicks);
    return traces->samples[static_cast<std::size_t>(series)][v.machine * kTraceTicks + at];
  }
};

/// name: small, normal or large. Errors: kInvalidArgument for another name, or if no trace is small enough.
Result<Workload> generate(const Traces& traces, std::string_view name, std::uint64_t seed);

}  // namespace proteus::simulate::kvm
