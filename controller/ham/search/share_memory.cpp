#include <fmt/core.h>

#include <algorithm>

#include "controller/ham/explain.h"
#include "controller/ham/search/workspace.h"

namespace proteus::ham {
namespace {

/// A guest's memory is taken back if it holds so much more than it may need: this share of its size, and at least so
/// many bytes.
constexpr double kReclaimShare = 0.2;
constexpr std::int64_t kReclaimMinBytes = 256 * kMiB;
/// A target is raised for a guest that may come within this share of its size of it, and by no less than the other.
constexpr double kNearShare = 0.1;
constexpr double kRaiseShare = 0.02;

/// A VM whose balloon may be set now.
struct Guest {
  std::size_t vm = 0;
  double held = 0;    ///< bytes
  double need = 0;    ///< likewise
  double size = 0;    ///< likewise, the most it may have
  double growth = 0;  ///< up to its size
  double likely = 0;  ///< up to its need
};

/// The same growth for all, each as far as it can grow and at least what is likely, that fills the room.
double common_growth(const std::vector<Guest>& guests, double room) {
  double low = 0;
  double high = 0;
  for (const Guest& guest : guests) high = std::max(high, guest.growth);
  const auto sum_at = [&](double common) {
    double sum = 0;
    for (const Guest& guest : guests) sum += std::min(guest.growth, std::max(guest.likely, common));
    return sum;
  };
  if (sum_at(high) <= room) return high;
  constexpr int kRounds = 40;
  for (int round = 0; round < kRounds; ++round) {
    const double middle = (low + high) / 2;
    (sum_at(middle) <= room ? low : high) = middle;
  }
  return low;
}

/// The target that a guest gets; nothing: the one that it has will do.
std::optional<std::int64_t> target_of(const Guest& guest, double common, double present) {
  double target = guest.held + std::min(guest.growth, std::max(guest.likely, common));
  if (guest.held - guest.need > std::max<double>(kReclaimMinBytes, kReclaimShare * guest.size)) target = guest.need;
  const bool near = present < guest.held + 2 * std::max(guest.likely, kNearShare * guest.size);
  if (target >= present && !(near && target > present + kRaiseShare * guest.size)) return std::nullopt;
  // Whole MiB; what is a hair below one is meant to be it.
  const auto bytes = static_cast<std::int64_t>(target / static_cast<double>(kMiB) + 1e-6) * kMiB;
  return bytes == static_cast<std::int64_t>(present) ? std::nullopt : std::optional(bytes);
}

bool may_be_set(const Workspace& w, std::size_t v) {
  const Change here{v, w.plan.placement(v)};
  return w.eligible(v) && w.model.vms[v].demand.memory_known && !check_stale_source(w.plan, here, false) &&
         !check_in_flight_vm(w.plan, here, false) && !check_exclude(w.plan, here, false);
}

class Host {
 public:
  Host(Workspace& w, std::size_t h) : w_(w), h_(h) {
    room_ = w.policy().limits.memory_promise * static_cast<double>(w.model.hosts[h].memory_bytes);
    // What is on its way here keeps what was promised to it.
    room_ -= static_cast<double>(w.model.hosts[h].transit_memory_bytes);
  }

  /// A VM that is here now.
  void add_present(std::size_t v) {
    const VmModel& vm = w_.model.vms[v];
    if (w_.plan.moved(v) || !may_be_set(w_, v)) {
      const Allocation& allocation = vm.state->allocation;
      room_ -= static_cast<double>(w_.plan.moved(v) ? promised_bytes(vm, allocation) : allocation.memory_bytes);
      return;
    }
    Guest guest{v, static_cast<double>(vm.state->memory_resident_bytes), vm.demand.memory_max.p99,
                static_cast<double>(std::min(vm.state->allocation.memory_max_bytes, vm.size.memory_bytes_max))};
    guest.growth = std::max(0.0, guest.size - guest.held);
    guest.likely = std::clamp(guest.need - guest.held, 0.0, guest.growth);
    room_ -= guest.held;
    guests_.push_back(guest);
  }
  /// A VM that the plan brings here.
  void add_arriving(std::size_t v) {
    room_ -= static_cast<double>(promised_bytes(w_.model.vms[v], w_.model.vms[v].state->allocation));
  }

  void share() {
    if (guests_.empty()) return;
    const double room = std::max(0.0, room_);
    double expected = 0;
    for (const Guest& guest : guests_) expected += guest.likely;
    if (expected > room) {
      for (Guest& guest : guests_) guest.likely *= room / expected;
    }
    const double common = common_growth(guests_, room);
    for (const Guest& guest : guests_) {
      Placement placement = w_.plan.placement(guest.vm);
      const auto target = target_of(guest, common, static_cast<double>(placement.allocation.memory_bytes));
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
  std::size_t h_;
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
  for (Host& host : hosts) host.share();
}

}  // namespace proteus::ham
