#include "agent/collect/process_table.h"

#include <bit>

namespace proteus::collect {
namespace {

bool is_free(std::uint64_t entry) {
  return entry == VM_PROCESSES_FREE || entry == VM_PROCESSES_LEFT;
}

}  // namespace

std::size_t ProcessTable::entries_for(std::size_t slots) {
  return std::bit_ceil(slots * VM_PROCESSES_PER_SLOT);
}

std::size_t ProcessTable::place(pid_t process, std::size_t probe) const {
  return (vm_process_home(static_cast<__u32>(process), static_cast<__u32>(entries_.size())) + probe) % entries_.size();
}

bool ProcessTable::set(std::size_t at, std::uint64_t entry) {
  if (!write_(static_cast<std::uint32_t>(at), entry)) return false;
  entries_[at] = entry;
  return true;
}

bool ProcessTable::enter(pid_t process, std::uint32_t slot) {
  remove(process);
  for (std::size_t probe = 0; probe < VM_PROCESSES_PROBES; ++probe) {
    const std::size_t at = place(process, probe);
    if (is_free(entries_[at])) return set(at, vm_process_entry(static_cast<__u32>(process), slot));
  }
  return false;
}

void ProcessTable::remove(pid_t process) {
  for (std::size_t probe = 0; probe < VM_PROCESSES_PROBES; ++probe) {
    const std::size_t at = place(process, probe);
    if (entries_[at] == VM_PROCESSES_FREE) return;
    if (entries_[at] >> 32 != static_cast<std::uint64_t>(process)) continue;
    if (!set(at, VM_PROCESSES_LEFT) || entries_[(at + 1) % entries_.size()] != VM_PROCESSES_FREE) return;
    // nobody is to be found behind it, nor behind those in front of it that were left
    for (std::size_t i = at; entries_[i] == VM_PROCESSES_LEFT; i = (i + entries_.size() - 1) % entries_.size()) {
      if (!set(i, VM_PROCESSES_FREE)) return;
    }
    return;
  }
}

}  // namespace proteus::collect
