#include "controller/simulate/kvm/policies/outlook_sources.h"

#include <algorithm>
#include <array>

namespace proteus::simulate::kvm {
namespace {

constexpr int kHeldTicks = 3;
constexpr int kKnownTicks = 12;
constexpr int kHoursTicks = 36;
constexpr int kSeasonTicks = 72;
/// The week is read at ticks so far apart, counted from the traces' begin: what is expected of a usual week changes
/// little from one step to the next. Has 8 in common with a day: times of day differ.
constexpr int kWeekStride = 56;
constexpr int kPathTicks = 6;
constexpr int kWeekPaths = 6;
/// With more VMs than this the week is read at a third of the ticks: every path costs time in every decision.
constexpr std::size_t kManyVms = 5000;
constexpr int kWeekPathsOfMany = 2;

/// sample(v, series, i): of tick i from now, or before now.
template <typename Sample>
void fill_path(const Console& console, Outlook& outlook, const Sample& sample) {
  outlook.reset(console.vm_count(), kAheadTicks, 1);
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const int vm = static_cast<int>(v);
    if (!console.vm(vm).present) continue;
    for (std::size_t i = 0; i < kAheadTicks; ++i) {
      const std::size_t at = v * kAheadTicks + i;
      outlook.cpu_mhz[at] = static_cast<float>(sample(vm, Series::kCpu, i));
      outlook.disk_kbs[at] = static_cast<float>(sample(vm, Series::kDisk, i));
      outlook.network_kbs[at] = static_cast<float>(sample(vm, Series::kNetwork, i));
      const double provisioned = console.provisioned_mib(vm);
      outlook.need_mib[at] =
          static_cast<float>(std::min(provisioned, sample(vm, Series::kMemory, i) + 0.1 * provisioned));
    }
  }
}

struct Path {
  double weight = 0;
  std::array<int, kPathTicks> ticks{};
};

/// Which ticks of the past stand for the next hours of so many VMs.
std::vector<Path> recent_paths(int now, std::size_t vms, const RecentWeights& weights) {
  std::vector<Path> paths;
  const auto add = [&](double weight, const auto& tick) {
    if (weight <= 0) return;
    Path& path = paths.emplace_back();
    path.weight = weight;
    for (int i = 0; i < kPathTicks; ++i) path.ticks[static_cast<std::size_t>(i)] = tick(i);
  };
  add(weights.now, [&](int i) { return now - kHeldTicks + i % kHeldTicks; });
  for (int half = 0; half < 2; ++half) {
    add(weights.hours / 2, [&](int i) { return now - kHoursTicks / kPathTicks * (kPathTicks - i) + 3 * half; });
    add(weights.season / 2, [&](int i) { return now - 7 * kDayTicks + kSeasonTicks / kPathTicks * i + 6 * half; });
  }
  const int week_paths = vms > kManyVms ? kWeekPathsOfMany : kWeekPaths;
  const int stride = kWeekStride * kWeekPaths / week_paths;
  for (int p = 0; p < week_paths; ++p) {
    add(weights.week / week_paths, [&](int i) { return (now - 1) / stride * stride - stride * (p * kPathTicks + i); });
  }
  return paths;
}

}  // namespace

std::vector<double> recent_needs(const Console& console, int ticks, double factor) {
  std::vector<double> needs(console.vm_count());
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const int vm = static_cast<int>(v);
    if (!console.vm(vm).present) continue;
    const double size = console.provisioned_mib(vm);
    needs[v] = 0.1 * size;
    const int first = console.first_sample(vm);
    // Of one that is new it is not known what it may need; one that was there before has needed no more for a while.
    const int known = console.tick() - first;
    if (known < ticks && known < (console.there_at_first(vm) ? kKnownTicks : kDayTicks)) needs[v] = size;
    for (int t = std::max(first, console.tick() - ticks); t < console.tick(); ++t) {
      needs[v] = std::max(needs[v], console.sample(vm, Series::kMemory, t) * factor + 0.1 * size);
    }
    needs[v] = std::min(needs[v], size);
  }
  return needs;
}

std::vector<double> OutlookSource::memory_peaks(const Console& console) {
  if (peaks_.empty() || console.tick() % static_cast<int>(kAheadTicks) == 0) {
    peaks_ = recent_needs(console, 7 * kDayTicks, 1.05);
  }
  return peaks_;
}

std::vector<double> LastSample::memory_needs(const Console& console) {
  return recent_needs(console, kDayTicks, 1.1);
}

void LastSample::fill(const Console& console, Outlook& outlook) {
  fill_path(console, outlook, [&](int v, Series series, std::size_t) { return console.newest(v, series); });
}

std::vector<double> LastHour::memory_needs(const Console& console) {
  return recent_needs(console, kDayTicks, 1.1);
}

void LastHour::fill(const Console& console, Outlook& outlook) {
  fill_path(console, outlook, [&](int v, Series series, std::size_t i) {
    const int first = console.first_sample(v);
    if (first >= console.tick()) return 0.0;
    const int tick = console.tick() - static_cast<int>(kAheadTicks) + static_cast<int>(i);
    return console.sample(v, series, std::max(first, tick));
  });
}

std::vector<double> RecentPaths::memory_needs(const Console& console) {
  return recent_needs(console, kDayTicks, 1.1);
}

void RecentPaths::fill(const Console& console, Outlook& outlook) {
  const std::vector<Path> paths = recent_paths(console.tick(), console.vm_count(), weights_);
  outlook.reset(console.vm_count(), kPathTicks, paths.size());
  double sum = 0;
  for (const Path& path : paths) sum += path.weight;
  for (std::size_t p = 0; p < paths.size(); ++p) outlook.weights[p] = paths[p].weight / sum;
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const int vm = static_cast<int>(v);
    const int first = console.first_sample(vm);
    if (!console.vm(vm).present || first >= console.tick()) continue;
    const double size = console.provisioned_mib(vm);
    const auto need = static_cast<float>(std::min(size, console.newest(vm, Series::kMemory) + 0.1 * size));
    std::size_t at = v * outlook.cells();
    for (const Path& path : paths) {
      for (int tick : path.ticks) {
        // Of a VM that is younger, what there is.
        if (tick < first) tick = first + (first - tick) % (console.tick() - first);
        outlook.cpu_mhz[at] = static_cast<float>(console.sample(vm, Series::kCpu, tick));
        outlook.disk_kbs[at] = static_cast<float>(console.sample(vm, Series::kDisk, tick));
        outlook.network_kbs[at] = static_cast<float>(console.sample(vm, Series::kNetwork, tick));
        outlook.need_mib[at] = need;
        ++at;
      }
    }
  }
}

void NextHour::fill(const Console& console, Outlook& outlook) {
  fill_path(console, outlook, [&](int v, Series series, std::size_t i) {
    return workload_.sample(static_cast<std::size_t>(v), series, console.tick() + static_cast<int>(i));
  });
}

std::vector<double> NextHour::memory_needs(const Console& console) {
  std::vector<double> needs(console.vm_count());
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    for (int i = 0; i < static_cast<int>(kAheadTicks); ++i) {
      const double size = console.provisioned_mib(static_cast<int>(v));
      needs[v] =
          std::max(needs[v], std::min(size, workload_.sample(v, Series::kMemory, console.tick() + i) + 0.1 * size));
    }
  }
  return needs;
}

}  // namespace proteus::simulate::kvm
