// What is being followed, as bytes: goes with the model into the store, so that a restart forgets nothing.

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <vector>

#include "controller/ham/learning/follower.h"

namespace proteus::ham::learning {
namespace {

template <typename Archive>
void archive_time(Archive& a, std::optional<Timestamp>& time) {
  auto known = static_cast<std::uint8_t>(time.has_value());
  std::int64_t ns = time ? to_unix_ns(*time) : 0;
  a(known);
  a(ns);
  if constexpr (Archive::kReading) time = known != 0 ? std::optional(from_unix_ns(ns)) : std::nullopt;
}

template <typename Archive>
void archive_note(Archive& a, Note& note) {
  auto kind = static_cast<std::uint8_t>(note.kind);
  auto learned_act = static_cast<std::uint8_t>(note.learned_act);
  auto control = static_cast<std::uint8_t>(note.control);
  auto preferred = static_cast<std::uint8_t>(note.preferred);
  std::int64_t horizon_ns = note.horizon.count();
  a(kind);
  a(learned_act);
  a(control);
  a(preferred);
  a(horizon_ns);
  for (double& feature : note.features) a(feature);
  const std::initializer_list<double*> amounts = {
      &note.predicted, &note.cost, &note.copied_bytes, &note.utilisation, &note.scale,     &note.gain,
      &note.required,  &note.mean, &note.deviation,    &note.correction,  &note.propensity};
  for (double* amount : amounts) a(*amount);
  if constexpr (Archive::kReading) {
    const auto finite = [](double value) { return std::isfinite(value); };
    const bool possible = kind < kKindCount && horizon_ns > 0 && note.scale > 0 && note.propensity > 0 &&
                          note.propensity <= 1 && std::all_of(note.features.begin(), note.features.end(), finite) &&
                          std::all_of(amounts.begin(), amounts.end(), [&](double* value) { return finite(*value); });
    if (!possible) return a.fail();
    note.kind = static_cast<Kind>(kind);
    note.learned_act = learned_act != 0;
    note.control = control != 0;
    note.preferred = preferred != 0;
    note.horizon = Nanoseconds(horizon_ns);
  }
}

template <typename Archive>
void archive_allocation(Archive& a, Allocation& allocation) {
  a(allocation.vcpus);
  a(allocation.vcpus_max);
  a(allocation.cpu_quota_us);
  a(allocation.cpu_period_us);
  a(allocation.cpu_shares);
  a(allocation.memory_bytes);
  a(allocation.memory_max_bytes);
}

}  // namespace

template <typename Archive>
void Follower::archive_followed(Archive& a) {
  archive_time(a, observed_);
  a(turn_);
  auto count = static_cast<std::uint32_t>(followed_.size());
  a(count);
  auto next = followed_.begin();
  for (std::uint32_t i = 0; i < count; ++i) {
    ActionId id = Archive::kReading ? 0 : next->first;
    a(id);
    if constexpr (Archive::kReading) {
      if (!a.ok()) return;
      next = followed_.try_emplace(id).first;
    }
    Followed& one = (next++)->second;
    a(one.vm.value);
    archive_note(a, one.note);
    a(one.decision);
    a(one.source.value);
    a(one.target.value);
    archive_allocation(a, one.before);
    std::optional<Timestamp> began = one.began;
    archive_time(a, began);
    one.began = began.value_or(Timestamp{});
    archive_time(a, one.sent);
    archive_time(a, one.verified);
    std::vector<ActionId> open(one.open.begin(), one.open.end());
    a(open);
    one.open = {open.begin(), open.end()};
    auto stalls_known = static_cast<std::uint8_t>(one.stalled_before.has_value());
    double stalled_before = one.stalled_before.value_or(0);
    a(stalls_known);
    for (double* sum :
         {&one.relief_during, &one.relief_after, &one.after_s, &one.downtime_s, &one.copied_bytes, &stalled_before}) {
      a(*sum);
      if constexpr (Archive::kReading) {
        if (!std::isfinite(*sum)) return a.fail();
      }
    }
    if (stalls_known != 0) one.stalled_before = stalled_before;
    auto cut = static_cast<std::uint8_t>(one.cut);
    a(cut);
    one.cut = cut != 0;
  }
}

template void Follower::archive_followed(StateWriter& a);
template void Follower::archive_followed(StateReader& a);

}  // namespace proteus::ham::learning
