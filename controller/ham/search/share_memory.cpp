#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "controller/ham/explain.h"
#include "controller/ham/search/workspace.h"

namespace proteus::ham {
namespace {

/// A guest's memory is taken back if it holds so much more than it may need: this share of its size, and at least so
/// many bytes.
constexpr double kReclaimShare = 0.2;
constexpr std::int64_t kReclaimMinBytes = 256 * kMiB;
/// The same where there is no room for all that guests may need.
constexpr double kScarceShare = 0.02;
constexpr std::int64_t kScarceMinBytes = 64 * kMiB;
/// A target is raised for a guest that may come within this share of its size of it, or by so much, and by no less than
/// the other.
constexpr double kNearShare = 0.1;
constexpr double kRaiseShare = 0.02;

/// A VM whose balloon may be set now. Bytes.
struct Guest {
  std::size_t vm = 0;
  double held = 0;
  double need = 0;      ///< what it may need within the horizon, rarely exceeded
  double size = 0;      ///< the most that it may have
  double likely = 0;    ///< growth up to its need
  double possible = 0;  ///< growth up to what it was seen to need at most
  double growth = 0;    ///< growth up to its size
  double weight = 1;    ///< its part of what is scarce
};

/// What growths may take at the same time: all that is likely, and what `bursts` guests (0: all) may take beyond it.
double taken_at_once(const std::vector<Guest>& guests, const std::vector<double>& growth, std::size_t bursts) {
  double sum = 0;
  std::vector<double> beyond;
  for (std::size_t i = 0; i < guests.size(); ++i) {
    const double likely = std::min(growth[i], guests[i].likely);
    sum += likely;
    beyond.push_back(growth[i] - likely);
  }
  if (bursts > 0 && bursts < beyond.size()) {
    const auto end = beyond.begin() + static_cast<std::ptrdiff_t>(bursts);
    std::nth_element(beyond.begin(), end, beyond.end(), std::greater<>());
    beyond.erase(end, beyond.end());
  }
  return std::accumulate(beyond.begin(), beyond.end(), sum);
}

struct Shares {
  std::vector<double> growth;  ///< of each guest
  bool scarce = false;         ///< not all that guests were seen to need
};

/// Shares the room out in rounds: what is likely first, then what has been seen, then all. In a round, everybody gets
/// so much per weight, at least what the round before gave, at most what the round is about.
Shares share_growth(const std::vector<Guest>& guests, double room, std::size_t bursts) {
  Shares shares;
  std::vector<double>& growth = shares.growth;
  growth.resize(guests.size());
  for (const auto most : {&Guest::likely, &Guest::possible, &Guest::growth}) {
    const std::vector<double> least = growth;
    const auto fill = [&](double per_weight) {
      for (std::size_t i = 0; i < guests.size(); ++i) {
        growth[i] = std::min(guests[i].*most, std::max(least[i], per_weight * guests[i].weight));
      }
      return taken_at_once(guests, growth, bursts);
    };
    double low = 0;
    double high = 0;
    for (const Guest& guest : guests) high = std::max(high, guest.*most / guest.weight);
    if (fill(high) <= room) continue;
    constexpr int kRounds = 40;
    for (int round = 0; round < kRounds; ++round) {
      const double middle = (low + high) / 2;
      (fill(middle) <= room ? low : high) = middle;
    }
    fill(low);
    shares.scarce = most != &Guest::growth;
    break;  // there is no more
  }
  return shares;
}

/// The target that a guest gets; nothing: the one that it has will do.
std::optional<std::int64_t> target_of(const Guest& guest, double growth, bool scarce, double present) {
  double target = guest.held + growth;
  const double spare = scarce ? std::max<double>(kScarceMinBytes, kScarceShare * guest.size)
                              : std::max<double>(kReclaimMinBytes, kReclaimShare * guest.size);
  if (guest.held - guest.need > spare) target = guest.need;
  // Raised only for a guest that may come near it, so that no order is given for nothing.
  const bool near = present < guest.held + 2 * std::max(guest.likely, kNearShare * guest.size) ||
                    target > present + kNearShare * guest.size;
  if (target >= present && !(near && target > present + kRaiseShare * guest.size)) return std::nullopt;
  // Whole MiB; what is a hair below one is meant to be it.
  const auto bytes = static_cast<std::int64_t>(target / static_cast<double>(kMiB) + 1e-6) * kMiB;
  return bytes == static_cast<std::int64_t>(present) ? std::nullopt : std::optional(bytes);
}

bool may_be_set(const Workspace& w, std::size_t v) {
  const Change here{v, w.plan.placement(v)};
  return w.eligible(v) && w.model.vms[v].demand->memory_known && !w.model.vms[v].in_flight &&
         !check_stale_source(w.plan, here, false) && !check_exclude(w.plan, here, false);
}

class Host {
 public:
  Host(Workspace& w, std::size_t h) : w_(w) {
    room_ = w.policy().limits.memory_promise * static_cast<double>(w.model.hosts[h].memory_bytes);
    // What is on its way here keeps what was promised to it.
    room_ -= static_cast<double>(w.model.hosts[h].transit_memory_bytes);
    for (const std::size_t v : w.plan.helpers_on(h)) {
      room_ -= static_cast<double>(w.model.vms[v].helper_rule->memory_bytes);
    }
  }

  /// A VM on its way from here to where it counts already.
  void add_leaving(std::size_t v) { room_ -= static_cast<double>(w_.model.vms[v].state->allocation.memory_bytes); }
  /// A VM that is here now.
  void add_present(std::size_t v) {
    const VmModel& vm = w_.model.vms[v];
    if (w_.plan.moved(v) || !may_be_set(w_, v)) {
      const Allocation& allocation = vm.state->allocation;
      room_ -= static_cast<double>(w_.plan.moved(v) ? promised_bytes(vm, allocation) : allocation.memory_bytes);
      return;
    }
    Guest guest;
    guest.vm = v;
    guest.held = static_cast<double>(vm.state->memory_resident_bytes);
    guest.need = vm.demand->memory_max.p99;
    guest.size = static_cast<double>(std::min(vm.state->allocation.memory_max_bytes, vm.size.memory_bytes_max));
    guest.growth = std::max(0.0, guest.size - guest.held);
    guest.likely = std::clamp(guest.need - guest.held, 0.0, guest.growth);
    const auto peak = static_cast<double>(vm.state->memory_peak_bytes);
    guest.possible = std::clamp(peak - guest.held, guest.likely, guest.growth);
    if (vm.value_per_hour > 0) guest.weight = std::sqrt(vm.value_per_hour);
    room_ -= guest.held;
    guests_.push_back(guest);
  }
  /// A VM that the plan brings here.
  void add_arriving(std::size_t v) {
    room_ -= static_cast<double>(promised_bytes(w_.model.vms[v], w_.model.vms[v].state->allocation));
  }

  void share() {
    if (guests_.empty()) return;
    const auto bursts = static_cast<std::size_t>(w_.policy().limits.memory_bursts);
    const Shares shares = share_growth(guests_, std::max(0.0, room_), bursts);
    for (std::size_t i = 0; i < guests_.size(); ++i) {
      const Guest& guest = guests_[i];
      Placement placement = w_.plan.placement(guest.vm);
      const auto target =
          target_of(guest, shares.growth[i], shares.scarce, static_cast<double>(placement.allocation.memory_bytes));
      if (!target) continue;
      placement.allocation.memory_bytes =
          std::max({*target, w_.model.vms[guest.vm].size.memory_bytes_min, kSmallestBytes});
      if (placement == w_.plan.placement(guest.vm)) continue;
      Option option;
      option.changes = {{guest.vm, placement}};
      option.cause = Step::Cause::kShareMemory;
      w_.take(option);
    }
  }

 private:
  static constexpr std::int64_t kSmallestBytes = 64 * kMiB;

  Workspace& w_;
  double room_ = 0;
  std::vector<Guest> guests_;
};

}  // namespace

void share_memory(Workspace& w) {
  std::vector<Host> hosts;
  hosts.reserve(w.model.hosts.size());
  for (std::size_t h = 0; h < w.model.hosts.size(); ++h) hosts.emplace_back(w, h);
  for (std::size_t v = 0; v < w.model.vms.size(); ++v) {
    if (!w.model.vms[v].active) continue;
    hosts[w.model.vms[v].host].add_present(v);
    if (w.plan.moved(v)) hosts[w.plan.placement(v).host].add_arriving(v);
  }
  for (const InFlight& flight : w.model.state.in_flight) {
    if (flight.awaiting_approval) continue;
    const auto is_source = [&](const HostModel& host) { return host.state->id == flight.source; };
    const auto source = std::find_if(w.model.hosts.begin(), w.model.hosts.end(), is_source);
    const auto is_vm = [&](const VmModel& vm) { return vm.state->id == flight.vm; };
    const auto vm = std::find_if(w.model.vms.begin(), w.model.vms.end(), is_vm);
    if (source == w.model.hosts.end() || vm == w.model.vms.end()) continue;
    const auto h = static_cast<std::size_t>(source - w.model.hosts.begin());
    if (vm->active && vm->host != h) hosts[h].add_leaving(static_cast<std::size_t>(vm - w.model.vms.begin()));
  }
  for (Host& host : hosts) host.share();
}

}  // namespace proteus::ham
