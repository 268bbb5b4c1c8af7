#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

/// What this machine's kernel says of itself once a second: the data of the store's benchmarks.
///
/// Every whole number of /proc/{stat,vmstat,meminfo,interrupts,softirqs,diskstats,schedstat,loadavg,net/dev,net/snmp,
/// net/netstat,pressure/*} and of schedstat and statm of each process that lives when it begins (at most 150) is a
/// series; numbers with a point lose it. Nanoseconds (schedstat) are floored to microseconds, as the KPI table does.
namespace proteus::bench {

struct HostSeries {
  std::string name;                               ///< file, line, field
  std::int64_t unit = 1;                          ///< values are multiples of it
  std::vector<std::optional<std::int64_t>> rows;  ///< one for each second
};

/// Reads for `seconds`, once a second. Sleeps between.
std::vector<HostSeries> record_host(int seconds);

/// A recording as text, one line a series: name, tab, unit, tab, values separated by blanks ("-": none).
Status save(const std::vector<HostSeries>& series, const std::string& path);
Result<std::vector<HostSeries>> load(const std::string& path);

}  // namespace proteus::bench
