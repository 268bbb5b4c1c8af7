#pragma once

#include <string>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {

inline const std::string kDamonMonitors = "/sys/kernel/mm/damon/admin/kdamonds";

/// sysfs as it stands once monitor, context, target and scheme are made; a real kernel makes them as the counts are
/// written.
inline void make_damon_sysfs(const FixtureRoot& root, const std::string& operations) {
  const std::string monitors = kDamonMonitors;
  const std::string context = monitors + "/0/contexts/0";
  root.write(monitors + "/nr_kdamonds", "0\n");
  root.write(monitors + "/0/state", "off\n");
  root.write(monitors + "/0/contexts/nr_contexts", "0\n");
  root.write(context + "/avail_operations", operations);
  for (const char* file :
       {"/operations", "/monitoring_attrs/intervals/sample_us", "/monitoring_attrs/intervals/aggr_us",
        "/monitoring_attrs/intervals/update_us", "/monitoring_attrs/nr_regions/min", "/monitoring_attrs/nr_regions/max",
        "/targets/nr_targets", "/targets/0/pid_target", "/schemes/nr_schemes", "/schemes/0/action",
        "/schemes/0/access_pattern/sz/min", "/schemes/0/access_pattern/sz/max",
        "/schemes/0/access_pattern/nr_accesses/min", "/schemes/0/access_pattern/nr_accesses/max",
        "/schemes/0/access_pattern/age/min", "/schemes/0/access_pattern/age/max"}) {
    root.write(context + file, "");
  }
  root.write(context + "/schemes/0/tried_regions/total_bytes", "4096\n");
}

}  // namespace proteus::collect
