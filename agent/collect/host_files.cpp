#include "agent/collect/host_files.h"

#include <unistd.h>

#include <algorithm>
#include <initializer_list>

namespace proteus::collect {
namespace {

constexpr std::int64_t kNsPerUs = 1000;
constexpr std::int64_t kBytesPerKib = 1024;
constexpr std::uint64_t kCalmEveryReadings = 10;

std::vector<TextFile> files(const std::string& root, std::initializer_list<std::string_view> paths) {
  std::vector<TextFile> list;
  for (const auto path : paths) list.emplace_back(under(root, path), FileRecords::kShort);
  return list;
}

std::optional<std::int64_t> first_number(std::vector<TextFile>& candidates) {
  for (TextFile& file : candidates) {
    if (const auto text = file.read()) {
      if (const auto number = parse_number(*text)) return number;
    }
  }
  return std::nullopt;
}

/// Keeps only the files that exist now, so that a tick does not look for the others; all if none does.
void keep_readable(std::vector<TextFile>& candidates) {
  std::vector<TextFile> readable;
  for (TextFile& file : candidates) {
    if (file.read()) readable.push_back(std::move(file));
  }
  if (!readable.empty()) candidates = std::move(readable);
}

}  // namespace

HostFiles::HostFiles(const std::string& root)
    : pressure_cpu_(
          files(root, {"/sys/fs/cgroup/cpu.pressure", "/sys/fs/cgroup/unified/cpu.pressure", "/proc/pressure/cpu"})),
      pressure_memory_(files(
          root, {"/sys/fs/cgroup/memory.pressure", "/sys/fs/cgroup/unified/memory.pressure", "/proc/pressure/memory"})),
      pressure_io_(
          files(root, {"/sys/fs/cgroup/io.pressure", "/sys/fs/cgroup/unified/io.pressure", "/proc/pressure/io"})),
      cpu_usage_v1_(files(root, {"/sys/fs/cgroup/cpuacct/cpuacct.usage", "/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage"})),
      cpu_stat_v2_(files(root, {"/sys/fs/cgroup/cpu.stat"})),
      proc_stat_(under(root, "/proc/stat"), FileRecords::kShort),
      cpu_max_v2_(files(root, {"/sys/fs/cgroup/cpu.max"})),
      cfs_quota_v1_(
          files(root, {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"})),
      cfs_period_v1_(
          files(root, {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us"})),
      cpus_online_(under(root, "/sys/devices/system/cpu/online"), FileRecords::kShort),
      meminfo_(under(root, "/proc/meminfo"), FileRecords::kShort),
      memory_limit_(files(root, {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"})),
      memory_usage_(files(root, {"/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"})),
      memory_stat_(files(root, {"/sys/fs/cgroup/memory.stat", "/sys/fs/cgroup/memory/memory.stat"})),
      snmp_(under(root, "/proc/net/snmp"), FileRecords::kShort),
      ksm_pages_sharing_(under(root, "/sys/kernel/mm/ksm/pages_sharing"), FileRecords::kShort) {
  for (auto* list : {&pressure_cpu_, &pressure_memory_, &pressure_io_, &cpu_usage_v1_, &cpu_stat_v2_, &cpu_max_v2_,
                     &cfs_quota_v1_, &cfs_period_v1_, &memory_limit_, &memory_usage_, &memory_stat_}) {
    keep_readable(*list);
  }
}

HostFigures HostFiles::read() {
  HostFigures figures;
  figures.pressure_cpu_ns = pressure(pressure_cpu_);
  figures.pressure_memory_ns = pressure(pressure_memory_);
  figures.pressure_io_ns = pressure(pressure_io_);
  figures.cpu_time_ns = cpu_time();
  if (readings_++ % kCalmEveryReadings == 0) read_calm();
  figures.cpu_capacity_millicores = cpu_capacity_millicores_;
  figures.ksm_pages_sharing = ksm_sharing_;
  read_memory(figures);
  if (const auto text = snmp_.read()) figures.tcp_retransmits_count = parse_tcp_retransmits(*text);
  return figures;
}

void HostFiles::read_calm() {
  cpu_capacity_millicores_.reset();
  if (const auto online = cpus_online_.read()) {
    if (const auto cpus = count_cpu_list(*online)) {
      const auto quota = quota_millicores();
      cpu_capacity_millicores_ = quota ? std::min(*cpus * 1000, *quota) : *cpus * 1000;
    }
  }
  memory_limit_bytes_ = first_number(memory_limit_);  // "max" and the kernel's v1 maximum do not bind
  const auto text = ksm_pages_sharing_.read();
  ksm_sharing_ = text ? parse_number(*text) : std::nullopt;
}

std::optional<std::int64_t> HostFiles::pressure(std::vector<TextFile>& candidates) {
  for (TextFile& file : candidates) {
    if (const auto text = file.read()) {
      if (const auto total = parse_pressure_total_ns(*text, "some")) return total;
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> HostFiles::cpu_time() {
  if (const auto usage = first_number(cpu_usage_v1_)) return usage;
  for (TextFile& file : cpu_stat_v2_) {
    if (const auto text = file.read()) {
      // At the root usage_usec counts guests twice before kernel 5.16, and what was stolen before 6.14.
      const auto user = number_after(*text, "user_usec");
      const auto system = number_after(*text, "system_usec");
      if (user && system) return (*user + *system) * kNsPerUs;
    }
  }
  if (const auto text = proc_stat_.read()) return parse_proc_stat_busy_ns(*text);
  return std::nullopt;
}

std::optional<std::int64_t> HostFiles::quota_millicores() {
  for (TextFile& file : cpu_max_v2_) {  // "50000 100000" or "max 100000"
    if (auto text = file.read()) {
      std::string_view line = *text;
      const auto quota = parse_number(take_word(line));
      const auto period = parse_number(take_word(line));
      if (quota && period && *period > 0) return *quota * 1000 / *period;
    }
  }
  const auto quota = first_number(cfs_quota_v1_);
  const auto period = first_number(cfs_period_v1_);
  if (quota && period && *quota > 0 && *period > 0) return *quota * 1000 / *period;
  return std::nullopt;
}

void HostFiles::read_memory(HostFigures& figures) {
  const auto text = meminfo_.read();
  if (!text) return;
  if (const auto kib = number_after(*text, "MemTotal:")) figures.memory_total_bytes = *kib * kBytesPerKib;
  if (const auto kib = number_after(*text, "MemAvailable:")) figures.memory_available_bytes = *kib * kBytesPerKib;

  const auto limit = memory_limit_bytes_;
  if (!limit || !figures.memory_total_bytes || *limit >= *figures.memory_total_bytes) return;
  figures.memory_total_bytes = *limit;
  const auto usage = first_number(memory_usage_);
  if (!usage) return;
  std::int64_t reclaimable = 0;
  for (TextFile& file : memory_stat_) {
    if (const auto stat = file.read()) {
      const auto v1 = number_after(*stat, "total_inactive_file");
      reclaimable = v1 ? *v1 : number_after(*stat, "inactive_file").value_or(0);
      break;
    }
  }
  const std::int64_t room = std::max<std::int64_t>(0, *limit - *usage + reclaimable);
  figures.memory_available_bytes = std::min(room, figures.memory_available_bytes.value_or(room));
}

std::string HostFiles::pressure_source() const {
  TextFile file(pressure_cpu_.front().path());
  return file.read() ? file.path() : std::string();
}

std::string HostFiles::cpu_time_source() const {
  for (const auto* list : {&cpu_usage_v1_, &cpu_stat_v2_}) {
    TextFile file(list->front().path());
    if (file.read()) return file.path();
  }
  TextFile file(proc_stat_.path());
  return file.read() ? file.path() : std::string();
}

std::optional<std::int64_t> parse_pressure_total_ns(std::string_view text, std::string_view which) {
  while (const auto line = take_line(text)) {
    if (!line->starts_with(which) || line->substr(which.size(), 1) != " ") continue;
    constexpr std::string_view kTotal = "total=";
    const std::size_t at = line->find(kTotal);
    if (at == std::string_view::npos) return std::nullopt;
    const auto us = parse_number(line->substr(at + kTotal.size()));
    if (!us) return std::nullopt;
    return *us * kNsPerUs;
  }
  return std::nullopt;
}

std::optional<std::int64_t> parse_tcp_retransmits(std::string_view snmp) {
  std::optional<std::string_view> names;
  while (const auto line = take_line(snmp)) {
    if (!line->starts_with("Tcp:")) continue;
    if (!names) {
      names = *line;
      continue;
    }
    std::string_view keys = *names;
    std::string_view values = *line;
    for (std::string_view key = take_word(keys); !key.empty(); key = take_word(keys)) {
      const std::string_view value = take_word(values);
      if (key == "RetransSegs") return parse_number(value);
    }
    return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::int64_t> count_cpu_list(std::string_view text) {
  std::int64_t count = 0;
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view range = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    const std::size_t dash = range.find('-');
    const auto first = parse_number(range.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_number(range.substr(dash + 1));
    if (!first || !last || *last < *first) return std::nullopt;
    count += *last - *first + 1;
  }
  if (count == 0) return std::nullopt;
  return count;
}

std::optional<std::int64_t> parse_proc_stat_busy_ns(std::string_view text) {
  const auto line = take_line(text);
  if (!line || line->substr(0, 4) != "cpu ") return std::nullopt;
  std::string_view words = line->substr(4);
  // user nice system idle iowait irq softirq steal; see proc(5)
  std::int64_t busy_ticks = 0;
  for (int field = 0; field < 7; ++field) {
    const auto ticks = parse_number(take_word(words));
    if (!ticks) return std::nullopt;
    if (field != 3 && field != 4) busy_ticks += *ticks;
  }
  return busy_ticks * (1'000'000'000 / ::sysconf(_SC_CLK_TCK));
}

}  // namespace proteus::collect
