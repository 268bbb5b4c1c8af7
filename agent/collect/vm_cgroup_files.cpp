#include "agent/collect/vm_cgroup_files.h"

#include <cstdlib>

#include "agent/collect/host_files.h"

namespace proteus::collect {
namespace {

constexpr std::uint64_t kMemoryStatEveryTicks = 10;
constexpr std::uint64_t kCpuPressureEveryTicks = 5;
/// Half a percent of a tick: some thread waited for no longer than all of them together.
constexpr std::int64_t kWaitsWorthReadingNs = 5'000'000;

/// The file if it can be read now: one that is not there is not looked for at every tick.
std::optional<TextFile> readable(const std::string& directory, const char* name) {
  if (directory.empty()) return std::nullopt;
  TextFile file(directory + "/" + name);
  if (!file.read()) return std::nullopt;
  return file;
}

}  // namespace

VmCgroupFiles::VmCgroupFiles(const VmGroups& groups)
    : cpu_pressure_(readable(groups.unified, "cpu.pressure")),
      memory_pressure_{readable(groups.unified, "memory.pressure")},
      io_pressure_{readable(groups.unified, "io.pressure")},
      memory_stat_(readable(groups.memory, "memory.stat")),
      swap_current_(readable(groups.memory, "memory.swap.current")) {}

void VmCgroupFiles::PressureFile::read(std::uint64_t tick, std::optional<std::int64_t>& some_ns,
                                       std::optional<std::int64_t>* full_ns) {
  if (!file || !eagerness.is_due(tick)) return;
  const auto text = file->read();
  some_ns = text ? parse_pressure_total_ns(*text, "some") : std::nullopt;
  if (full_ns != nullptr) *full_ns = text ? parse_pressure_total_ns(*text, "full") : std::nullopt;
  eagerness.saw(some_ns);  // whenever all wait, some do
}

const VmCgroupFigures& VmCgroupFiles::read(std::uint64_t tick, std::int64_t run_queue_wait_ns) {
  const bool is_calm =
      waited_when_read_ns_ && std::abs(run_queue_wait_ns - *waited_when_read_ns_) < kWaitsWorthReadingNs;
  if (cpu_pressure_ && (!is_calm || tick % kCpuPressureEveryTicks == 0)) {
    waited_when_read_ns_ = run_queue_wait_ns;
    const auto text = cpu_pressure_->read();
    figures_.cpu_pressure_some_ns = text ? parse_pressure_total_ns(*text, "some") : std::nullopt;
  }
  io_pressure_.read(tick, figures_.io_pressure_some_ns, nullptr);
  memory_pressure_.read(tick, figures_.memory_pressure_some_ns, &figures_.memory_pressure_full_ns);
  if (memory_stat_ && (!memory_was_read_ || tick % kMemoryStatEveryTicks == 0)) {
    memory_was_read_ = true;
    figures_.working_set_bytes = figures_.refaults_count = figures_.swap_bytes = std::nullopt;
    if (const auto text = memory_stat_->read()) parse_memory_stat(*text, figures_);
    if (swap_current_) {
      const auto text = swap_current_->read();
      figures_.swap_bytes = text ? parse_number(*text) : std::nullopt;
    }
  }
  return figures_;
}

void parse_memory_stat(std::string_view text, VmCgroupFigures& figures) {
  const auto sum = [](std::optional<std::int64_t>& to, std::optional<std::int64_t> part) {
    if (part) to = to.value_or(0) + *part;
  };
  // v1 prints each figure twice, of the group and ("total_") of its subtree; QEMU's threads may sit in children.
  const bool v1 = number_after(text, "total_active_anon").has_value();
  while (const auto line = take_line(text)) {
    std::string_view rest = *line;
    std::string_view name = take_word(rest);
    if (v1) {
      if (!name.starts_with("total_")) continue;
      name.remove_prefix(6);
    }
    const auto value = parse_number(rest);
    if (name == "active_anon" || name == "active_file") sum(figures.working_set_bytes, value);
    // one line before 5.9, two since (170b04b7ae49 "mm/workingset: prepare the workingset detection for anon LRU")
    if (name == "workingset_refault" || name == "workingset_refault_anon" || name == "workingset_refault_file") {
      sum(figures.refaults_count, value);
    }
    if (v1 && name == "swap") figures.swap_bytes = value;
  }
}

}  // namespace proteus::collect
