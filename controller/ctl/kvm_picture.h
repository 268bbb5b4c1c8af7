#pragma once

#include <string>
#include <vector>

namespace proteus::ctl {

/// How a run of the KVM-cluster benchmark went, tick by tick.
struct KvmCourse {
  struct Tick {
    double hosts_on = 0;
    double energy_eur = 0;  ///< since the beginning
    double sla_eur = 0;     ///< likewise, disasters included
    int moves = 0;          ///< migrations begun in it
    int disasters = 0;
  };
  std::string policy;
  std::vector<Tick> ticks;
};

/// A picture of runs on the same cluster as an SVG document: hosts on, what energy and what lost service have cost so
/// far, over the time; below, a row for each policy with a mark where VMs were moved (higher: more of them) and a dot
/// where one was killed. tick_s: length of a tick. Opens in any browser.
std::string svg_kvm(const std::string& title, const std::vector<KvmCourse>& courses, double tick_s);

}  // namespace proteus::ctl
