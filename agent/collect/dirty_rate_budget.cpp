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

}  // namespace

Nanoseconds DirtyRateBudget::cost(std::int64_t memory_bytes) {
  const double gib = static_cast<double>(memory_bytes) / static_cast<double>(kGiB);
  const double bytes = 2 * gib * static_cast<double>(kSampledPagesPerGib * kPageBytes);
  return Nanoseconds(static_cast<std::int64_t>(bytes / kHashedBytesPerNs));
}

std::vector<VmId> DirtyRateBudget::choose(const std::map<VmId, std::int64_t>& candidates, SteadyTime now) {
  std::erase_if(measured_, [&](const auto& entry) { return !candidates.contains(entry.first); });
  const Nanoseconds passed = last_pass_ ? Nanoseconds(now - *last_pass_) : Nanoseconds(kSavedMost);
  last_pass_ = now;

  std::vector<VmId> order;
  for (const auto& [id, memory_bytes] : candidates) order.push_back(id);
  std::stable_sort(order.begin(), order.end(), [this](const VmId& a, const VmId& b) {
    const auto at = [this](const VmId& id) {
      const auto found = measured_.find(id);
      return found == measured_.end() ? SteadyTime::min() : found->second;
    };
    return at(a) < at(b);
  });
  const auto share_of = [this](Nanoseconds time) {
    return Nanoseconds(static_cast<std::int64_t>(static_cast<double>(time.count()) * core_share_));
  };
  left_ = std::min(left_ + share_of(passed), share_of(kSavedMost));
  std::vector<VmId> chosen;
  for (const VmId& id : order) {
    const Nanoseconds price = cost(candidates.at(id));
    const bool waits = chosen.empty() ? left_ <= Nanoseconds(0) : left_ < price;
    if (waits) break;
    left_ -= price;
    chosen.push_back(id);
    measured_[id] = now;
  }
  return chosen;
}

}  // namespace proteus::collect
