#include "agent/act/reservations.h"

#include <fmt/core.h>

#include <algorithm>

namespace proteus::act {

Status Reservations::reserve(ActionId action, const Reserve& room, std::int64_t memory_available_bytes, Timestamp until,
                             Timestamp now) {
  expire(now);
  const auto own = held_.find(action);
  const Reserve replaced = own == held_.end() ? Reserve{} : own->second.room;
  const std::int64_t memory_others = memory_bytes() - replaced.memory_bytes;
  const std::int64_t cpu_others = cpu_millicores() - replaced.cpu_millicores;

  if (limits_.incoming_memory_bytes_max && memory_others + room.memory_bytes > *limits_.incoming_memory_bytes_max) {
    return Error{
        ErrorCode::kPermissionDenied,
        fmt::format("{} MiB asked and {} MiB reserved for others exceed this host's incoming_memory_max of {} MiB",
                    room.memory_bytes / kMiB, memory_others / kMiB, *limits_.incoming_memory_bytes_max / kMiB)};
  }
  if (limits_.incoming_cpu_millicores_max && cpu_others + room.cpu_millicores > *limits_.incoming_cpu_millicores_max) {
    return Error{ErrorCode::kPermissionDenied,
                 fmt::format("{} millicores asked and {} reserved for others exceed this host's "
                             "incoming_cpu_millicores_max of {}",
                             room.cpu_millicores, cpu_others, *limits_.incoming_cpu_millicores_max)};
  }
  const std::int64_t free_bytes = memory_available_bytes - memory_others - limits_.host_memory_reserve_bytes;
  if (room.memory_bytes > free_bytes) {
    return Error{
        ErrorCode::kUnavailable,
        fmt::format("{} MiB asked, {} MiB free here: {} MiB available less {} MiB reserved for others and {} MiB "
                    "kept for the host",
                    room.memory_bytes / kMiB, free_bytes / kMiB, memory_available_bytes / kMiB, memory_others / kMiB,
                    limits_.host_memory_reserve_bytes / kMiB)};
  }
  restore(action, room, until, now);
  return {};
}

void Reservations::restore(ActionId action, const Reserve& room, Timestamp until, Timestamp granted) {
  held_[action] = {room, std::min(until, granted + limits_.reservation_lifetime)};
}

void Reservations::expire(Timestamp now) {
  std::erase_if(held_, [&](const auto& entry) { return now >= entry.second.until; });
}

std::int64_t Reservations::memory_bytes() const {
  std::int64_t sum = 0;
  for (const auto& [action, held] : held_) sum += held.room.memory_bytes;
  return sum;
}

std::int64_t Reservations::cpu_millicores() const {
  std::int64_t sum = 0;
  for (const auto& [action, held] : held_) sum += held.room.cpu_millicores;
  return sum;
}

}  // namespace proteus::act
