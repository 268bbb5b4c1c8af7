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
/// Bounds the series of one VM.
constexpr std::size_t kWinnersMost = 32;
/// A newcomer takes the place of the one that has won the least once it has won so much more often.
constexpr std::int64_t kWorthAPlace = 4;

/// owners: of the slots that are taken.
bool find_winners(const RunQueueTrace& trace, TrackedVm& vm, const std::map<std::uint32_t, VmId>& owners) {
  bool changed = false;
  const auto wins_of = [&](const Winner& winner) { return trace.preemptions(*vm.slot, winner.slot); };
  const auto find_least = [&] {
    return std::min_element(vm.winners.begin(), vm.winners.end(),
                            [&](const Winner& a, const Winner& b) { return wins_of(a) < wins_of(b); });
  };
  auto least = vm.winners.size() < kWinnersMost ? vm.winners.end() : find_least();
  const auto consider = [&](Winner winner) {
    const std::int64_t wins = wins_of(winner);
    const bool is_worth_a_place =
        wins > 0 && (vm.winners.size() < kWinnersMost || wins / kWorthAPlace > wins_of(*least));
    if (!is_worth_a_place || std::find(vm.winners.begin(), vm.winners.end(), winner) != vm.winners.end()) return;
    if (vm.winners.size() < kWinnersMost) {
      vm.winners.push_back(std::move(winner));
    } else {
      *least = std::move(winner);
    }
    least = vm.winners.size() < kWinnersMost ? vm.winners.end() : find_least();
    changed = true;
  };
  consider({});
  for (const auto& [slot, owner] : owners) {
    if (trace.preemptions(*vm.slot, slot) > 0) consider({owner, slot});
  }
  return changed;
}

}  // namespace

bool WinnerSearch::update(const RunQueueTrace& trace, std::map<VmId, TrackedVm>& vms, std::uint64_t tick) {
  if (tick < at_tick_) return false;
  bool changed = false;
  const std::uint64_t pairs_count = trace.pairs_count();
  // Where there are too many winners, one without a place may come to be worth one.
  const bool is_crowded =
      std::any_of(vms.begin(), vms.end(), [](const auto& vm) { return vm.second.winners.size() >= kWinnersMost; });
  if (std::exchange(pairs_count_, pairs_count) != pairs_count || is_crowded) {
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
