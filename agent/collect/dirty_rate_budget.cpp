#include "agent/collect/dirty_rate_budget.h"

#include <algorithm>

namespace proteus::collect {
namespace {

/// DIRTYRATE_DEFAULT_SAMPLE_PAGES of QEMU's migration/dirtyrate.h, hashed when the measurement begins and when it ends.
constexpr std::int64_t kSampledPagesPerGib = 512;
constexpr std::int64_t kPageBytes = 4096;
/// CRC-32 of pages that lie in no cache.
constexpr double kHashedBytesPerNs = 1.0;
/// A pass that comes long after the last one does not make up for all of the time between.
constexpr std::chrono::seconds kSavedMost{60};
constexpr std::chrono::minutes kForgottenAfter{10};

}  // namespace

Nanoseconds DirtyRateBudget::cost(std::int64_t memory_bytes) {
  const double gib = static_cast<double>(memory_bytes) / static_cast<double>(kGiB);
  const double bytes = 2 * gib * static_cast<double>(kSampledPagesPerGib * kPageBytes);
  return Nanoseconds(static_cast<std::int64_t>(bytes / kHashedBytesPerNs));
}

Nanoseconds DirtyRateBudget::share_of(Nanoseconds time) const {
  return Nanoseconds(static_cast<std::int64_t>(static_cast<double>(time.count()) * core_share_));
}

DirtyRateBudget::SteadyTime DirtyRateBudget::turn_of(const VmId& id) const {
  const auto found = turns_.find(id);
  return found == turns_.end() ? SteadyTime::min() : found->second.measured;
}

std::vector<VmId> DirtyRateBudget::choose(const std::map<VmId, std::int64_t>& candidates, SteadyTime now) {
  for (auto& [id, turn] : turns_) {
    if (candidates.contains(id)) turn.seen = now;
  }
  std::erase_if(turns_, [&](const auto& entry) { return now - entry.second.seen > kForgottenAfter; });
  const Nanoseconds most = share_of(kSavedMost);
  const Nanoseconds earned = share_of(last_pass_ ? Nanoseconds(now - *last_pass_) : Nanoseconds(kSavedMost));
  last_pass_ = now;

  std::vector<VmId> order;
  for (const auto& [id, memory_bytes] : candidates) order.push_back(id);
  std::stable_sort(order.begin(), order.end(),
                   [this](const VmId& a, const VmId& b) { return turn_of(a) < turn_of(b); });
  const auto is_large = [&](const VmId& id) { return cost(candidates.at(id)) > most; };
  const auto large = std::count_if(order.begin(), order.end(), is_large);
  const bool both = large > 0 && large < static_cast<std::ptrdiff_t>(order.size());
  const Nanoseconds for_large = large == 0 ? Nanoseconds(0) : both ? earned / 2 : earned;
  left_ = std::min(left_ + (earned - for_large), most);
  credit_ = std::min(credit_ + for_large, most);

  std::vector<VmId> chosen;
  bool is_full = false;
  for (const VmId& id : order) {
    const Nanoseconds price = cost(candidates.at(id));
    if (is_large(id)) {
      if (credit_ <= Nanoseconds(0)) continue;
      credit_ -= price;
    } else {
      is_full |= left_ < price;  // no smaller one goes before it
      if (is_full) continue;
      left_ -= price;
    }
    chosen.push_back(id);
    turns_[id] = {now, now};
  }
  return chosen;
}

}  // namespace proteus::collect
