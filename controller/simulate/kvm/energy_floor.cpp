#include "controller/simulate/kvm/energy_floor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "controller/simulate/kvm/cluster.h"

namespace proteus::simulate::kvm {
namespace {

struct Class {
  const HostClass* kind = nullptr;
  int hosts = 0;
  int on = 0;
  /// Of one more MHz on a host that is on.
  double watts_per_mhz() const { return (kind->peak_w - kind->idle_w) / kind->cpu_mhz(); }
};

/// What all VMs together want at a tick.
struct Want {
  double cpu_mhz = 0;
  double memory_mib = 0;
};

class Floor {
 public:
  explicit Floor(const Workload& workload) : workload_(workload) {
    for (const HostClass* host : workload.hosts) {
      fastest_mhz_ = std::max(fastest_mhz_, host->core_mhz);
      const auto known = std::find_if(classes_.begin(), classes_.end(), [&](const Class& c) { return c.kind == host; });
      if (known == classes_.end()) {
        classes_.push_back({host, 1, 0});
      } else {
        ++known->hosts;
      }
    }
    std::stable_sort(classes_.begin(), classes_.end(),
                     [](const Class& a, const Class& b) { return a.watts_per_mhz() < b.watts_per_mhz(); });
  }

  double watts(int tick) {
    want_ = {};
    for (std::size_t v = 0; v < workload_.vms.size(); ++v) {
      const Vm& vm = workload_.vms[v];
      if (tick < vm.arrives || (vm.departs != kNever && tick >= vm.departs)) continue;
      want_.cpu_mhz += std::min(workload_.sample(v, Series::kCpu, tick), vm.vcpus * fastest_mhz_);
      want_.memory_mib += memory_need(workload_, v, tick) + kVmOverhead_mib;
    }
    for (Class& c : classes_) c.on = c.hosts;
    least_ = power();
    choose(0);
    return least_;
  }

 private:
  /// Tries numbers of hosts that are on, class by class from `first` on. Of the last class the fewest that suffice and
  /// then more while they save: the power is convex in each number.
  void choose(std::size_t first) {
    Class& c = classes_[first];
    if (first + 1 < classes_.size()) {
      for (c.on = 0; c.on <= c.hosts; ++c.on) choose(first + 1);
      return;
    }
    c.on = 0;
    double cpu_mhz = 0;
    double memory_mib = 0;
    for (const Class& other : classes_) {
      cpu_mhz += other.on * other.kind->cpu_mhz();
      memory_mib += other.on * other.kind->memory_mib;
    }
    const double lacking =
        std::max((want_.cpu_mhz - cpu_mhz) / c.kind->cpu_mhz(), (want_.memory_mib - memory_mib) / c.kind->memory_mib);
    if (lacking > c.hosts) return;
    double last = std::numeric_limits<double>::infinity();
    for (c.on = std::max(0, static_cast<int>(std::ceil(lacking))); c.on <= c.hosts; ++c.on) {
      const double now = power();
      if (now >= last) return;
      last = now;
      least_ = std::min(least_, now);
    }
  }

  double power() const {
    double watts = 0;
    double left_mhz = want_.cpu_mhz;
    for (const Class& c : classes_) {  // the one whose load costs least first
      const double load_mhz = std::min(left_mhz, c.on * c.kind->cpu_mhz());
      left_mhz -= load_mhz;
      watts += c.on * c.kind->idle_w + (c.hosts - c.on) * kAsleep_w + load_mhz * c.watts_per_mhz();
    }
    return watts;
  }

  const Workload& workload_;
  std::vector<Class> classes_;
  double fastest_mhz_ = 0;
  Want want_;
  double least_ = 0;
};

}  // namespace

double energy_floor_kwh(const Workload& workload) {
  Floor floor(workload);
  double kwh = 0;
  for (int tick = kFirstTick; tick < workload.end_tick; ++tick) kwh += floor.watts(tick) / 1000 * kTick_s / 3600;
  return kwh;
}

}  // namespace proteus::simulate::kvm
