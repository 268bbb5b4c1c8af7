#include "agent/collect/winner_search.h"

#include <algorithm>
#include <utility>

namespace proteus::collect {
namespace {

/// New pairs change the catalog, which costs as much as a tick or two: they are gathered for so many ticks, for twice
/// as many each time that there were some, since a host whose VMs jostle finds new pairs for a long time, and for half
/// as many when there were none.
constexpr std::uint64_t kWaitTicksLeast = 5;
constexpr std::uint64_t kWaitTicksMost = 160;
/// Bounds the series of one VM; the winners seen first keep theirs.
constexpr std::size_t kWinnersMost = 32;

/// owners: of the slots that are taken.
bool find_winners(const RunQueueTrace& trace, TrackedVm& vm, const std::map<std::uint32_t, VmId>& owners) {
  const auto consider = [&](Winner winner) {
    if (vm.winners.size() >= kWinnersMost || trace.preemptions(*vm.slot, winner.slot) == 0) return;
    if (std::find(vm.winners.begin(), vm.winners.end(), winner) == vm.winners.end()) {
      vm.winners.push_back(std::move(winner));
    }
  };
  const std::size_t before = vm.winners.size();
  if (before >= kWinnersMost) return false;
  consider({});
  for (const auto& [slot, owner] : owners) {
    if (trace.preemptions(*vm.slot, slot) > 0) consider({owner, slot});
  }
  return vm.winners.size() != before;
}

}  // namespace

bool WinnerSearch::update(const RunQueueTrace& trace, std::map<VmId, TrackedVm>& vms, std::uint64_t tick) {
  if (tick < at_tick_) return false;
  bool changed = false;
  const std::uint64_t pairs_count = trace.pairs_count();
  if (std::exchange(pairs_count_, pairs_count) != pairs_count) {
    std::map<std::uint32_t, VmId> owners;
    for (const auto& [id, vm] : vms) {
      if (vm.slot) owners.emplace(*vm.slot, id);
    }
    for (auto& [id, vm] : vms) {
      if (vm.slot) changed |= find_winners(trace, vm, owners);
    }
  }
  wait_ticks_ = std::clamp(changed ? 2 * wait_ticks_ : wait_ticks_ / 2, kWaitTicksLeast, kWaitTicksMost);
  at_tick_ = tick + wait_ticks_;
  return changed;
}

}  // namespace proteus::collect
