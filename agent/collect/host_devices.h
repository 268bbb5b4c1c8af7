#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collect/figure.h"
#include "agent/collect/text_file.h"
#include "common/kpi.h"

namespace proteus::collect {

/// A part of the host: a CPU, a NUMA node, a processor package, a disk.
struct Device {
  EntityKind kind{};
  std::string name;
  std::vector<Figure> figures;  ///< of kinds that this host can tell; which ones stays the same
};

/// How often the calling thread has waited for something, instead of running, since it began.
std::int64_t thread_sleeps_count();

/// The host's parts and their figures. What costs a file per part and moves slowly (frequency, throttling, energy,
/// nodes) is read in turn, each part at every tenth tick or after 12 s. Until then gauges hold and counters are absent.
/// procfs stat and diskstats are read at every tick. Thread: owned by one.
class HostDevices {
 public:
  /// sleeps_count: asked before and after each reading of a frequency.
  explicit HostDevices(const std::string& root, std::function<std::int64_t()> sleeps_count = thread_sleeps_count);
  /// True if parts came or went.
  bool refresh();
  /// Whether CPUs did, at the last refresh().
  bool cpus_changed() const { return cpus_changed_; }
  /// CPUs, nodes, packages, disks, each in order of the kernel's lists.
  const std::vector<Device>& devices() const { return devices_; }
  /// False once reading CPUs' frequencies was seen to sleep: they are absent then.
  bool frequency_is_told() const { return frequency_sleeps_ < kFrequencySleepsMost; }

 private:
  /// One figure of one device from a file of its own.
  struct SlowFigure {
    std::size_t device = 0;
    std::size_t figure = 0;
    TextFile file;
    std::int64_t wraps_at = 0;  ///< energy counters begin anew after this; 0: never
    std::optional<std::int64_t> last_raw;
    std::int64_t sum = 0;  ///< of the steps of what wraps, since the agent began
    std::chrono::steady_clock::time_point read_at;
  };

  void find(std::string_view diskstats);
  void add_slow(Kpi kpi, const std::string& path, std::int64_t wraps_at = 0);
  void read_cpus(std::string_view stat);
  void read_disks(std::string_view diskstats);
  void read_slow(SlowFigure& slow, std::chrono::nanoseconds since);
  void read_frequency(SlowFigure& slow, Figure& figure);

  const std::string root_;
  std::function<std::int64_t()> sleeps_count_;
  TextFile stat_;
  TextFile diskstats_;
  TextFile online_;
  std::string layout_;  ///< online CPUs and disks when devices_ was built
  std::string online_cpus_;
  bool cpus_changed_ = false;
  std::vector<Device> devices_;
  std::size_t first_disk_ = 0;
  std::vector<SlowFigure> slow_;
  static constexpr int kFrequencySleepsMost = 32;  // weighed: eight in a row
  int frequency_sleeps_ = 0;
  std::uint64_t tick_ = 0;
};

/// True for a whole disk that has done something: partitions would count twice, unused loop devices nothing.
bool is_used_disk(const std::string& root, std::string_view name, std::int64_t ios_count);

}  // namespace proteus::collect
