#include "agent/collect/vm_cgroup_files.h"

#include <algorithm>
#include <cstdlib>

#include "agent/collect/host_files.h"

namespace proteus::collect {
namespace {

constexpr std::int64_t kActiveShareLeast = 64;

constexpr std::uint64_t kMemoryStatEveryTicks = 30;
constexpr std::uint64_t kMemoryStatUnderPressureEveryTicks = 10;
constexpr std::chrono::seconds kMemoryStatInterval{36};  // of longer ticks
constexpr std::uint64_t kCalmPressureEveryTicks = 5;
/// The kernel brings its totals up to date every two seconds.
constexpr std::uint64_t kCloselyTicks = 5;
/// Half a percent of a tick. Of waits for a CPU: some thread waited for no longer than all of them together.
constexpr std::int64_t kWorthReadingNs = 5'000'000;

/// The file if it can be read now: one that is not there is not looked for at every tick.
std::optional<TextFile> readable(const std::string& directory, const char* name) {
  if (directory.empty()) return std::nullopt;
  TextFile file(directory + "/" + name, FileRecords::kShort);
  if (!file.read()) return std::nullopt;
  return file;
}

/// Counters do not step back, whichever source has told them last.
void raise(std::optional<std::int64_t>& figure, std::uint64_t total_ns) {
  figure = std::max(figure.value_or(0), static_cast<std::int64_t>(total_ns));
}

}  // namespace

VmCgroupFiles::VmCgroupFiles(const VmGroups& groups)
    : cpu_pressure_(readable(groups.unified, "cpu.pressure")),
      memory_pressure_{readable(groups.unified, "memory.pressure"), Eagerness(kCalmPressureEveryTicks)},
      io_pressure_{readable(groups.unified, "io.pressure"), Eagerness(kCalmPressureEveryTicks)},
      memory_stat_(readable(groups.memory, "memory.stat")),
      swap_current_(readable(groups.memory, "memory.swap.current")) {}

void VmCgroupFiles::PressureFile::read(std::uint64_t tick, std::optional<std::int64_t> total_ns,
                                       std::optional<std::int64_t>& some_ns, std::optional<std::int64_t>* full_ns) {
  if (!file) return;
  if (total_ns) {
    if (std::abs(*total_ns - noticed_ns) >= kWorthReadingNs) {
      noticed_ns = *total_ns;
      closely_until = tick + kCloselyTicks;
    }
    if (some_ns && tick >= closely_until) return;
  } else if (!eagerness.is_due(tick)) {
    return;
  }
  const auto text = file->read();
  some_ns = text ? parse_pressure_total_ns(*text, "some") : std::nullopt;
  if (full_ns != nullptr) *full_ns = text ? parse_pressure_total_ns(*text, "full") : std::nullopt;
  eagerness.saw(some_ns);  // whenever all wait, some do
}

const VmCgroupFigures& VmCgroupFiles::read(std::uint64_t tick, const VmCgroupHints& hints) {
  const auto total = [&hints](__u64 group_pressure::*field) {
    return hints.pressure ? std::optional(static_cast<std::int64_t>((*hints.pressure).*field)) : std::nullopt;
  };
  read_cpu(tick, hints);
  io_pressure_.read(tick, total(&group_pressure::io_some_ns), figures_.io_pressure_some_ns, nullptr);
  memory_pressure_.read(tick, total(&group_pressure::memory_some_ns), figures_.memory_pressure_some_ns,
                        &figures_.memory_pressure_full_ns);
  if (hints.pressure) {
    if (figures_.cpu_pressure_some_ns) raise(figures_.cpu_pressure_some_ns, hints.pressure->cpu_some_ns);
    if (figures_.io_pressure_some_ns) raise(figures_.io_pressure_some_ns, hints.pressure->io_some_ns);
    if (figures_.memory_pressure_some_ns) raise(figures_.memory_pressure_some_ns, hints.pressure->memory_some_ns);
    if (figures_.memory_pressure_full_ns) raise(figures_.memory_pressure_full_ns, hints.pressure->memory_full_ns);
  }
  read_memory_stat(tick, hints);
  return figures_;
}

bool VmCgroupFiles::wants_exact(std::int64_t run_queue_wait_ns) const {
  return cpu_pressure_ &&
         !(waited_when_read_ns_ && std::abs(run_queue_wait_ns - *waited_when_read_ns_) < kWorthReadingNs);
}

void VmCgroupFiles::read_cpu(std::uint64_t tick, const VmCgroupHints& hints) {
  if (!cpu_pressure_) return;
  const bool is_calm = !wants_exact(hints.run_queue_wait_ns);
  if (is_calm && (hints.pressure || tick % kCalmPressureEveryTicks != 0)) return;
  waited_when_read_ns_ = hints.run_queue_wait_ns;
  if (hints.pressure && hints.pressure->exact != 0) {
    raise(figures_.cpu_pressure_some_ns, hints.pressure->cpu_some_ns);
    return;
  }
  const auto text = cpu_pressure_->read();
  figures_.cpu_pressure_some_ns = text ? parse_pressure_total_ns(*text, "some") : std::nullopt;
}

void VmCgroupFiles::read_memory_stat(std::uint64_t tick, const VmCgroupHints& hints) {
  if (!memory_stat_) return;
  figures_.refaults_count.reset();
  const std::pair now{hints.faults_major_count, figures_.memory_pressure_some_ns};
  const bool is_under_pressure = memory_when_read_ != now && tick % kMemoryStatUnderPressureEveryTicks == 0;
  const bool is_due = tick % kMemoryStatEveryTicks == 0 || hints.now - memory_read_at_ >= kMemoryStatInterval;
  if (memory_when_read_ && !is_under_pressure && !is_due) return;
  memory_when_read_ = now;
  memory_read_at_ = hints.now;
  figures_.working_set_bytes = figures_.swap_bytes = std::nullopt;
  if (const auto text = memory_stat_->read()) parse_memory_stat(*text, figures_);
  if (!swap_current_) return;
  const auto text = swap_current_->read();
  figures_.swap_bytes = text ? parse_number(*text) : std::nullopt;
}

void parse_memory_stat(std::string_view text, VmCgroupFigures& figures) {
  const auto sum = [](std::optional<std::int64_t>& to, std::optional<std::int64_t> part) {
    if (part) to = to.value_or(0) + *part;
  };
  // v1 prints each figure twice, of the group and ("total_") of its subtree; QEMU's threads may sit in children.
  const bool v1 = number_after(text, "total_active_anon").has_value();
  std::optional<std::int64_t> active;
  std::int64_t inactive = 0;
  while (const auto line = take_line(text)) {
    std::string_view rest = *line;
    std::string_view name = take_word(rest);
    if (v1) {
      if (!name.starts_with("total_")) continue;
      name.remove_prefix(6);
    }
    const auto value = parse_number(rest);
    // not active_file: that is the host's page cache of disk images, not memory of the guest
    if (name == "active_anon") active = value;
    if (name == "inactive_anon") inactive = value.value_or(0);
    // one line before 5.9, two since (170b04b7ae49 "mm/workingset: prepare the workingset detection for anon LRU")
    if (name == "workingset_refault" || name == "workingset_refault_anon" || name == "workingset_refault_file") {
      sum(figures.refaults_count, value);
    }
    if (v1 && name == "swap") figures.swap_bytes = value;
  }
  // Memory begins as inactive (since 5.9, b518154e59aa "mm/vmscan: protect the workingset on anonymous LRU"): as long
  // as next to none is active, the kernel has not had to look which is used.
  if (active && *active >= (*active + inactive) / kActiveShareLeast) figures.working_set_bytes = active;
}

}  // namespace proteus::collect
