#include "agent/collect/host_devices.h"

#include <dirent.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>

#include "common/log.h"

namespace proteus::collect {
namespace {

constexpr std::uint64_t kSlowEveryTicks = 10;
constexpr int kSleepWeighs = 4;                    // a read of a frequency that slept, against those that did not
constexpr std::chrono::seconds kSlowInterval{12};  // of longer ticks; what is told less than once in 5 min has no rate
constexpr std::int64_t kBytesPerKib = 1024;
constexpr std::int64_t kNsPerMs = 1'000'000;

constexpr std::array kCpuKpis{Kpi::kCpuUserTimeNs,   Kpi::kCpuSystemTimeNs, Kpi::kCpuIrqTimeNs,
                              Kpi::kCpuIowaitTimeNs, Kpi::kCpuStealTimeNs,  Kpi::kCpuIdleTimeNs};

std::vector<std::string> entries_with(const std::string& path, std::string_view prefix) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) return names;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (name.starts_with(prefix) && name.size() > prefix.size() &&
        name.find_first_not_of("0123456789:", prefix.size()) == name.npos) {
      names.emplace_back(name);
    }
  }
  std::sort(names.begin(), names.end(),
            [](const std::string& a, const std::string& b) { return std::pair(a.size(), a) < std::pair(b.size(), b); });
  return names;
}

/// One line of diskstats, see iostats.rst.
struct DiskLine {
  std::string_view name;
  std::int64_t ios_count = 0;  ///< reads and writes completed
  std::int64_t in_flight = 0;
  std::int64_t busy_ms = 0;
};

std::optional<DiskLine> parse_disk_line(std::string_view line) {
  take_word(line);
  take_word(line);
  DiskLine disk{.name = take_word(line)};
  for (int field = 1; field <= 10; ++field) {
    const auto value = parse_number(take_word(line));
    if (!value) return std::nullopt;
    if (field == 1 || field == 5) disk.ios_count += *value;
    if (field == 9) disk.in_flight = *value;
    if (field == 10) disk.busy_ms = *value;
  }
  return disk;
}

/// What no processor package takes in such a time has not been taken: the counter has begun anew, as after a suspend.
bool is_wrap(std::int64_t energy_uj, std::chrono::nanoseconds since) {
  constexpr double kWattsMost = 2000;
  return static_cast<double>(energy_uj) * 1e-6 <=
         kWattsMost * std::max(std::chrono::duration<double>(since).count(), 1.0);
}

/// "Node 0 MemFree:   123 kB": the sum of what can be had without swapping.
std::optional<std::int64_t> parse_node_available(std::string_view meminfo) {
  std::optional<std::int64_t> sum;
  while (auto line = take_line(meminfo)) {
    take_word(*line);
    take_word(*line);
    const std::string_view name = take_word(*line);
    if (name != "MemFree:" && name != "Inactive(file):" && name != "SReclaimable:") continue;
    if (const auto kib = parse_number(*line)) sum = sum.value_or(0) + *kib * kBytesPerKib;
  }
  return sum;
}

}  // namespace

bool is_used_disk(const std::string& root, std::string_view name, std::int64_t ios_count) {
  if (ios_count == 0) return false;
  std::string directory(name);
  std::replace(directory.begin(), directory.end(), '/', '!');  // cciss/c0d0
  return ::access(under(root, "/sys/block/" + directory).c_str(), F_OK) == 0;
}

std::int64_t thread_sleeps_count() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

HostDevices::HostDevices(const std::string& root, std::function<std::int64_t()> sleeps_count)
    : root_(root),
      sleeps_count_(std::move(sleeps_count)),
      stat_(under(root, "/proc/stat"), FileRecords::kShort),
      diskstats_(under(root, "/proc/diskstats")),
      online_(under(root, "/sys/devices/system/cpu/online"), FileRecords::kShort) {}

bool HostDevices::refresh() {
  std::string layout;
  if (const auto online = online_.read()) layout = *online;
  cpus_changed_ = layout != online_cpus_;
  if (cpus_changed_) online_cpus_ = layout;
  const auto diskstats = diskstats_.read();
  if (diskstats) {
    std::string_view rest = *diskstats;
    while (const auto line = take_line(rest)) {
      const auto disk = parse_disk_line(*line);
      if (!disk || disk->ios_count == 0) continue;
      layout += ' ';
      layout += disk->name;
    }
  }
  const bool changed = layout != layout_;
  if (changed) {
    layout_ = std::move(layout);
    find(diskstats.value_or(std::string_view{}));
  }
  if (const auto stat = stat_.read()) read_cpus(*stat);
  if (diskstats) read_disks(*diskstats);
  const auto now = std::chrono::steady_clock::now();
  for (SlowFigure& slow : slow_) {
    Figure& figure = devices_[slow.device].figures[slow.figure];
    if (changed || (tick_ + slow.device) % kSlowEveryTicks == 0 || now - slow.read_at >= kSlowInterval) {
      read_slow(slow, now - slow.read_at);
      slow.read_at = now;
    } else if (info(figure.kpi).kind == KpiKind::kCounter) {
      figure.value.reset();  // told again it would be no growth now, and all of it later
    }
  }
  ++tick_;
  return changed;
}

void HostDevices::add_slow(Kpi kpi, const std::string& path, std::int64_t wraps_at) {
  TextFile file(path, FileRecords::kShort);
  // Reading a frequency may be slow, and is counted elsewhere.
  if (kpi == Kpi::kCpuFrequencyKhz ? ::access(path.c_str(), R_OK) != 0 : !file.read()) return;
  devices_.back().figures.push_back({kpi, {}});
  slow_.push_back({.device = devices_.size() - 1,
                   .figure = devices_.back().figures.size() - 1,
                   .file = std::move(file),
                   .wraps_at = wraps_at,
                   .last_raw = {},
                   .sum = 0,
                   .read_at = {}});
}

void HostDevices::find(std::string_view diskstats) {
  const std::vector<Device> devices_before = std::exchange(devices_, {});
  const std::vector<SlowFigure> slow_before = std::exchange(slow_, {});
  std::string_view rest;
  const auto stat = stat_.read();
  if (stat) rest = *stat;
  while (auto line = take_line(rest)) {
    const std::string_view word = take_word(*line);
    if (!word.starts_with("cpu") || word.size() == 3) continue;
    const std::string number(word.substr(3));
    Device cpu{EntityKind::kCpu, number, {}};
    for (const Kpi kpi : kCpuKpis) cpu.figures.push_back({kpi, {}});
    devices_.push_back(std::move(cpu));
    const std::string directory = under(root_, "/sys/devices/system/cpu/cpu" + number);
    add_slow(Kpi::kCpuFrequencyKhz, directory + "/cpufreq/scaling_cur_freq");
    add_slow(Kpi::kThermalThrottlesCount, directory + "/thermal_throttle/core_throttle_count");
  }
  const std::string nodes = under(root_, "/sys/devices/system/node");
  for (const std::string& name : entries_with(nodes, "node")) {
    devices_.push_back({EntityKind::kNode, name.substr(4), {}});
    add_slow(Kpi::kNodeMemoryAvailableBytes, fmt::format("{}/{}/meminfo", nodes, name));
    add_slow(Kpi::kNumaMissCount, fmt::format("{}/{}/numastat", nodes, name));
  }
  const std::string zones = under(root_, "/sys/class/powercap");
  for (const std::string& name : entries_with(zones, "intel-rapl:")) {
    if (std::count(name.begin(), name.end(), ':') != 1) continue;  // a part of a package
    // Beside packages there may be the platform as a whole ("psys"), which holds them.
    if (!read_file(fmt::format("{}/{}/name", zones, name)).value_or("").starts_with("package")) continue;
    const auto range = read_file(fmt::format("{}/{}/max_energy_range_uj", zones, name));
    devices_.push_back({EntityKind::kPackage, name.substr(11), {}});
    add_slow(Kpi::kPackageEnergyUj, fmt::format("{}/{}/energy_uj", zones, name),
             range ? parse_number(*range).value_or(0) : 0);
  }
  first_disk_ = devices_.size();
  while (const auto line = take_line(diskstats)) {
    const auto disk = parse_disk_line(*line);
    if (!disk || !is_used_disk(root_, disk->name, disk->ios_count)) continue;
    devices_.push_back(
        {EntityKind::kHostDisk, std::string(disk->name), {{Kpi::kDiskBusyTimeNs, {}}, {Kpi::kDiskInFlightCount, {}}}});
  }
  // What is a sum goes on from where it was.
  const auto place_of = [&](const SlowFigure& slow, const std::vector<Device>& devices) {
    const Device& device = devices[slow.device];
    return std::tuple(device.kind, device.name, device.figures[slow.figure].kpi);
  };
  for (SlowFigure& slow : slow_) {
    for (const SlowFigure& before : slow_before) {
      if (place_of(slow, devices_) != place_of(before, devices_before)) continue;
      slow.last_raw = before.last_raw;
      slow.sum = before.sum;
      slow.read_at = before.read_at;
    }
  }
  for (Device& device : devices_) {
    for (const Device& before : devices_before) {
      if (device.kind != before.kind || device.name != before.name) continue;
      for (Figure& figure : device.figures) {
        for (const Figure& old : before.figures) {
          if (old.kpi == figure.kpi) figure.value = old.value;
        }
      }
    }
  }
}

void HostDevices::read_cpus(std::string_view stat) {
  static const std::int64_t tick_ns = 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
  auto device = devices_.begin();
  while (auto line = take_line(stat)) {
    const std::string_view word = take_word(*line);
    if (!word.starts_with("cpu")) break;
    if (word.size() == 3) continue;
    while (device != devices_.end() && device->kind == EntityKind::kCpu && device->name != word.substr(3)) ++device;
    if (device == devices_.end() || device->kind != EntityKind::kCpu) return;
    // user nice system idle iowait irq softirq steal; user and nice hold the guests' time
    std::array<std::int64_t, 8> field{};
    for (auto& ticks : field) ticks = parse_number(take_word(*line)).value_or(0) * tick_ns;
    const std::array<std::int64_t, kCpuKpis.size()> values{
        field[0] + field[1], field[2], field[5] + field[6], field[4], field[7], field[3]};
    // The kernel's time of idling and of waiting for I/O may step back (proc(5)).
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::optional<std::int64_t>& value = device->figures[i].value;
      value = std::max(values[i], value.value_or(values[i]));
    }
    ++device;
  }
}

void HostDevices::read_disks(std::string_view diskstats) {
  std::size_t at = first_disk_;
  while (const auto line = take_line(diskstats)) {
    if (at == devices_.size()) return;
    const auto disk = parse_disk_line(*line);
    if (!disk || disk->name != devices_[at].name) continue;
    devices_[at].figures[0].value = disk->busy_ms * kNsPerMs;
    devices_[at].figures[1].value = disk->in_flight;
    ++at;
  }
}

/// Before kernel 5.19 the file of a busy CPU takes a sleep of 10 ms on x86 (arch_freq_get_on_cpu()).
void HostDevices::read_frequency(SlowFigure& slow, Figure& figure) {
  figure.value.reset();
  if (!frequency_is_told()) return;
  const std::int64_t before = sleeps_count_();
  const auto text = slow.file.read();
  // Of a read now and then that is others' doing; of every fourth it is not.
  const bool slept = sleeps_count_() != before;
  frequency_sleeps_ = slept ? frequency_sleeps_ + kSleepWeighs : std::max(0, frequency_sleeps_ - 1);
  if (!frequency_is_told()) {
    log::warning("CPUs' frequencies are not read any more: this kernel sleeps for each that is asked");
  }
  if (text) figure.value = parse_number(*text);
}

void HostDevices::read_slow(SlowFigure& slow, std::chrono::nanoseconds since) {
  Figure& figure = devices_[slow.device].figures[slow.figure];
  if (figure.kpi == Kpi::kCpuFrequencyKhz) return read_frequency(slow, figure);
  const auto text = slow.file.read();
  if (!text) {
    figure.value.reset();
    return;
  }
  if (figure.kpi == Kpi::kNodeMemoryAvailableBytes) {
    figure.value = parse_node_available(*text);
  } else if (figure.kpi == Kpi::kNumaMissCount) {
    figure.value = number_after(*text, "numa_miss");
  } else if (const auto raw = parse_number(*text); raw && slow.wraps_at > 0) {
    std::int64_t step = *raw - slow.last_raw.value_or(*raw);
    if (step < 0) step = is_wrap(step + slow.wraps_at, since) ? step + slow.wraps_at : *raw;  // else it was reset
    figure.value = slow.sum += step;  // an agent before this one has told of wraps
    slow.last_raw = raw;
  } else {
    figure.value = raw;
  }
}

}  // namespace proteus::collect
