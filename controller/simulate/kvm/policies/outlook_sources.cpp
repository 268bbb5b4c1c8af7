#include "controller/simulate/kvm/policies/outlook_sources.h"

#include <algorithm>

namespace proteus::simulate::kvm {
namespace {

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

}  // namespace

/// Eight hours' worth of ticks spread evenly over the last day.
void fill_last_day(const Console& console, Outlook& outlook) {
  constexpr std::size_t kPaths = 8;
  outlook.reset(console.vm_count(), kAheadTicks, kPaths);
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const int vm = static_cast<int>(v);
    const int first = console.first_sample(vm);
    if (!console.vm(vm).present || first >= console.tick()) continue;
    for (std::size_t i = 0; i < kPaths * kAheadTicks; ++i) {
      const int tick = std::max(first, console.tick() - 1 - 3 * static_cast<int>(i));
      const std::size_t at = v * kPaths * kAheadTicks + i;
      outlook.cpu_mhz[at] = static_cast<float>(console.sample(vm, Series::kCpu, tick));
      outlook.disk_kbs[at] = static_cast<float>(console.sample(vm, Series::kDisk, tick));
      outlook.network_kbs[at] = static_cast<float>(console.sample(vm, Series::kNetwork, tick));
      outlook.need_mib[at] = static_cast<float>(0.1 * console.provisioned_mib(vm));
    }
  }
}

std::vector<double> recent_needs(const Console& console, int ticks, double factor) {
  std::vector<double> needs(console.vm_count());
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const int vm = static_cast<int>(v);
    if (!console.vm(vm).present) continue;
    const double size = console.provisioned_mib(vm);
    needs[v] = 0.1 * size;
    const int first = console.first_sample(vm);
    if (console.tick() - first < ticks) needs[v] = size;
    for (int t = std::max(first, console.tick() - ticks); t < console.tick(); ++t) {
      needs[v] = std::max(needs[v], console.sample(vm, Series::kMemory, t) * factor + 0.1 * size);
    }
    needs[v] = std::min(needs[v], size);
  }
  return needs;
}

void LastHour::fill_day(const Console& console, Outlook& outlook) {
  fill_last_day(console, outlook);
}

void NextHour::fill_day(const Console& console, Outlook& outlook) {
  fill(console, outlook);
}

std::vector<double> LastHour::memory_needs(const Console& console) {
  return recent_needs(console, kDayTicks, 1.1);
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

void LastHour::fill(const Console& console, Outlook& outlook) {
  fill_path(console, outlook, [&](int v, Series series, std::size_t i) {
    const int first = console.first_sample(v);
    if (first >= console.tick()) return 0.0;
    const int tick = console.tick() - static_cast<int>(kAheadTicks) + static_cast<int>(i);
    return console.sample(v, series, std::max(first, tick));
  });
}

void NextHour::fill(const Console& console, Outlook& outlook) {
  fill_path(console, outlook, [&](int v, Series series, std::size_t i) {
    return workload_.sample(static_cast<std::size_t>(v), series, console.tick() + static_cast<int>(i));
  });
}

}  // namespace proteus::simulate::kvm
