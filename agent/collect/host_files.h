#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/collect/text_file.h"

namespace proteus::collect {

/// The host's own figures of one tick; absent where the host does not say.
struct HostFigures {
  std::optional<std::int64_t> pressure_cpu_ns;
  std::optional<std::int64_t> pressure_memory_ns;
  std::optional<std::int64_t> pressure_io_ns;
  std::optional<std::int64_t> cpu_time_ns;
  std::optional<std::int64_t> cpu_capacity_millicores;
  std::optional<std::int64_t> memory_total_bytes;
  std::optional<std::int64_t> memory_available_bytes;
  std::optional<std::int64_t> tcp_retransmits_count;
  std::optional<std::int64_t> ksm_pages_sharing;
};

/// Reads the host from the top of the control-group tree that is visible below root, and from procfs where that says
/// less. The top is what bounds the guests: on a machine that is itself a container or a capped slice it carries a
/// quota and a memory limit, and then the host is that slice, wherever the agent's own process sits. Files stay open;
/// those that hardly ever change (CPUs, limits, KSM) are read at every tenth time.
/// Thread: owned by one.
class HostFiles {
 public:
  explicit HostFiles(const std::string& root);
  HostFigures read();

  /// "procfs pressure" and the like: where a figure comes from, for `check`; empty if it is absent.
  std::string pressure_source() const;
  std::string cpu_time_source() const;

 private:
  std::optional<std::int64_t> pressure(std::vector<TextFile>& candidates);
  std::optional<std::int64_t> cpu_time();
  std::optional<std::int64_t> quota_millicores();
  void read_calm();
  void read_memory(HostFigures& figures);

  // each list in order of preference; the first that answers is used
  std::vector<TextFile> pressure_cpu_;
  std::vector<TextFile> pressure_memory_;
  std::vector<TextFile> pressure_io_;
  std::vector<TextFile> cpu_usage_v1_;
  std::vector<TextFile> cpu_stat_v2_;
  TextFile proc_stat_;
  std::vector<TextFile> cpu_max_v2_;
  std::vector<TextFile> cfs_quota_v1_;
  std::vector<TextFile> cfs_period_v1_;
  TextFile cpus_online_;
  TextFile meminfo_;
  std::vector<TextFile> memory_limit_;
  std::vector<TextFile> memory_usage_;
  std::vector<TextFile> memory_stat_;
  TextFile snmp_;
  TextFile ksm_pages_sharing_;

  std::uint64_t readings_ = 0;
  // of the last reading of what hardly changes
  std::optional<std::int64_t> cpu_capacity_millicores_;
  std::optional<std::int64_t> memory_limit_bytes_;
  std::optional<std::int64_t> ksm_sharing_;
};

/// The value of `total=` in the line `which` ("some" or "full") of a pressure file, in ns.
std::optional<std::int64_t> parse_pressure_total_ns(std::string_view text, std::string_view which);
/// RetransSegs of procfs net/snmp, which names its columns in one line and fills them in the next.
std::optional<std::int64_t> parse_tcp_retransmits(std::string_view snmp);
/// How many CPUs a list such as "0-3,8,10-11" names; nullopt if it is not one.
std::optional<std::int64_t> count_cpu_list(std::string_view text);
/// Busy time of the line "cpu …" of procfs stat, in ns: all but idle, iowait and the guest times (user and nice hold
/// those).
std::optional<std::int64_t> parse_proc_stat_busy_ns(std::string_view text);

}  // namespace proteus::collect
