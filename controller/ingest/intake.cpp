#include "controller/ingest/intake.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "common/wire/socket.h"
#include "controller/store/encoded_head.h"

namespace proteus::ingest {
namespace {

constexpr std::size_t kBootsPerHostMax = 8;
constexpr Nanoseconds kAskIntervalMin = std::chrono::milliseconds(500);
constexpr Nanoseconds kAskIntervalMax = std::chrono::seconds(60);
// Of a host that was silent for so long the store may have dropped what it had sent: it is asked for its stream.
constexpr Nanoseconds kSilence = std::chrono::minutes(10);

bool has(const std::deque<std::uint64_t>& boots, std::uint64_t boot_id) {
  return std::find(boots.begin(), boots.end(), boot_id) != boots.end();
}

void note_stored(std::deque<std::uint64_t>& boots, std::uint64_t boot_id) {
  if (!boots.empty() && boots.back() == boot_id) return;
  std::erase(boots, boot_id);
  boots.push_back(boot_id);
  if (boots.size() > wire::kBootsRememberedMax) boots.pop_front();
}

}  // namespace

Result<Intake::Outcome> Intake::take(const HostId& user, const std::string& link, std::string_view bytes,
                                     Timestamp now) {
  auto message = wire::decode_upstream(bytes);
  if (!message) return message.error();
  auto* catalog = std::get_if<Catalog>(&*message);
  if (catalog != nullptr) {
    if (auto checked = wire::check_sender(user, catalog->host); !checked) return checked.error();
  }
  Host& host = hosts_[user];
  if (now - host.heard_at > kSilence) host.decoder = {};
  host.heard_at = now;
  if (catalog != nullptr) return take_catalog(user, host, std::move(*catalog), bytes, now);
  return take_frame(user, host, link, std::get<wire::EncodedFrame>(*message), bytes, now);
}

Result<Intake::Outcome> Intake::take_catalog(const HostId& user, Host& host, Catalog catalog, std::string_view bytes,
                                             Timestamp now) {
  const std::uint64_t boot_id = catalog.boot_id;
  const std::uint32_t version = catalog.version;
  // What is stored is decoded by others, too, who must know what this decoder knows: it is given no catalog that is
  // not stored, and one that it has forgotten is stored anew.
  const auto known = host.decoder.knows(catalog);
  if (!known) return known.error();
  if (*known) return Outcome::kRepeat;
  if (const auto boot = boot_of(user, host, boot_id, now); !boot) return boot.error();
  if (const Status used = use_names(host, catalog, now); !used) return used.error();
  if (auto added = host.decoder.add(std::move(catalog)); !added) return added.error();
  messages_.push_back({.received = now,
                       .host = user,
                       .boot_id = boot_id,
                       .sequence = 0,
                       .catalog_version = version,
                       .bytes = std::string(bytes)});
  samples_.emplace_back();
  return Outcome::kStored;
}

Result<Intake::Outcome> Intake::take_frame(const HostId& user, Host& host, const std::string& link,
                                           const wire::EncodedFrame& frame, std::string_view bytes, Timestamp now) {
  const auto found = boot_of(user, host, frame.boot_id, now);
  if (!found) return found.error();
  Boot& boot = **found;
  const bool is_repeat = frame.sequence <= boot.taken_sequence;
  // Taking it would let its acknowledgement cover a frame that never arrived.
  if (frame.previous_sequence > boot.taken_sequence) {
    return ask(user, host, link, frame.boot_id, wire::Ack::Want::kKeyframe, now);
  }
  const bool is_jump = !is_repeat && jumps_to(host, boot, frame);
  if (is_jump && !host.jumps.take(0, now)) {
    return Error{ErrorCode::kFailedPrecondition,
                 "its clock jumps, or two agents send under its name: one jump a minute is taken"};
  }
  const bool enters = !is_repeat && !is_jump && enters_window(host, frame);
  if (enters && !host.windows.take(0, now)) {
    return Error{ErrorCode::kFailedPrecondition,
                 "its clock runs too fast, or it was cut off for days: an hour of its telemetry is taken in a minute"};
  }
  auto sample = host.decoder.decode(frame);  // of a repeat too: the next frame may build on it
  if (!sample && sample.error().code == ErrorCode::kCorrupt) return sample.error();
  if (is_repeat) {
    answers_[{user, frame.boot_id}].link = link;
    return Outcome::kRepeat;
  }
  if (!sample) {
    const bool lacks_catalog = sample.error().code == ErrorCode::kNotFound;
    return ask(user, host, link, frame.boot_id, lacks_catalog ? wire::Ack::Want::kCatalog : wire::Ack::Want::kKeyframe,
               now);
  }
  // Repeats have told this decoder what those do not know, or have left behind, who read what is stored: they build on
  // the last frame that was.
  const bool is_forgotten =
      host.stored_boots.size() >= wire::kBootsRememberedMax && !has(host.stored_boots, frame.boot_id);
  if (frame.base_sequence != 0 && (is_forgotten || frame.base_sequence != boot.taken_sequence)) {
    return ask(user, host, link, frame.boot_id, wire::Ack::Want::kKeyframe, now);
  }
  if (sample->catalog != host.in_use) {
    if (const Status used = use_names(host, *sample->catalog, now); !used) return used.error();
    host.in_use = sample->catalog;
  }
  if (is_jump) host.jumps.take(1, now);
  if (enters) host.windows.take(1, now);
  host.last = {frame.boot_id, frame.time};
  boot.taken_sequence = frame.sequence;
  if (frame.boot_id == host.asked_boot) host.ask_interval = {};
  note_stored(host.stored_boots, frame.boot_id);
  messages_.push_back({.received = now,
                       .host = user,
                       .boot_id = frame.boot_id,
                       .sequence = frame.sequence,
                       .catalog_version = frame.catalog_version,
                       .base_sequence = frame.base_sequence,
                       .bytes = std::string(bytes)});
  samples_.emplace_back(std::move(*sample));
  answers_[{user, frame.boot_id}].link = link;
  return Outcome::kStored;
}

Intake::Outcome Intake::ask(const HostId& user, Host& host, const std::string& link, std::uint64_t boot_id,
                            wire::Ack::Want want, Timestamp now) {
  // One question is answered by a whole new stream; what was under way when it was asked needs no other.
  if (now - host.asked_at >= host.ask_interval || now < host.asked_at) {
    host.asked_at = now;
    host.asked_boot = boot_id;
    host.ask_interval = std::clamp(2 * host.ask_interval, kAskIntervalMin, kAskIntervalMax);
    Due& due = answers_[{user, boot_id}];
    due.link = link;
    due.want = want;
  }
  return Outcome::kWanted;
}

std::vector<Intake::Answer> Intake::committed() {
  for (const store::RawMessage& message : messages_) {
    const auto host = hosts_.find(message.host);
    if (host == hosts_.end()) continue;
    const auto boot = host->second.boots.find(message.boot_id);
    if (boot == host->second.boots.end()) continue;
    boot->second.durable_sequence = std::max(boot->second.durable_sequence, message.sequence);
  }
  messages_.clear();
  samples_.clear();
  std::vector<Answer> answers;
  for (auto& [key, due] : answers_) {
    const auto& [host, boot_id] = key;
    const auto boot = hosts_[host].boots.find(boot_id);
    if (boot != hosts_[host].boots.end()) {
      answers.push_back({due.link, {boot_id, boot->second.durable_sequence, due.want}});
    }
  }
  answers_.clear();
  forget_boots();
  return answers;
}

/// Not before what was taken of them is durable: until then the store does not know how far that is.
void Intake::forget_boots() {
  for (const HostId& crowded : crowded_) {
    Host& host = hosts_[crowded];
    while (host.boot_order.size() > kBootsPerHostMax) {
      host.boots.erase(host.boot_order.front());
      host.boot_order.pop_front();
    }
  }
  crowded_.clear();
}

namespace {

std::set<VmId> vms_of(const Catalog& catalog) {
  std::set<VmId> vms;
  for (const Entity& entity : catalog.entities) {
    if (entity.kind == EntityKind::kVm) vms.emplace(entity.uuid);
  }
  return vms;
}

}  // namespace

/// What the last frame's catalog lists has been in use until now.
Status Intake::use_names(Host& host, const Catalog& catalog, Timestamp now) {
  if (host.in_use != nullptr) (void)host.vms.use(vms_of(*host.in_use), now);
  if (host.vms.use(vms_of(catalog), now)) return {};
  return Error{ErrorCode::kFailedPrecondition,
               fmt::format("it has listed {} different VMs within a day, and no more are taken", host.vms.size())};
}

/// Precondition: the frame is no repeat.
bool Intake::jumps_to(const Host& host, const Boot& boot, const wire::EncodedFrame& frame) {
  if (!host.last) return false;
  if (frame.boot_id != host.last->boot_id && boot.taken_sequence != 0) return true;
  return frame.time <= host.last->time || frame.time - host.last->time > kLeap;
}

/// Precondition: the frame is no jump. Where a host's windows begin is the store's affair; there are as many.
bool Intake::enters_window(const Host& host, const wire::EncodedFrame& frame) {
  const auto window = [](Timestamp time) {
    return time.time_since_epoch() / std::chrono::microseconds(store::kWindowUs);
  };
  return host.last && window(frame.time) != window(host.last->time);
}

Result<Intake::Boot*> Intake::boot_of(const HostId& host, Host& state, std::uint64_t boot_id, Timestamp now) {
  if (const auto known = state.boots.find(boot_id); known != state.boots.end()) return &known->second;
  const auto durable = last_sequence_(host, boot_id);
  if (!durable) return durable.error();
  if (!*durable && !state.new_boots.use({boot_id}, now)) {
    return Error{ErrorCode::kFailedPrecondition,
                 fmt::format("its agent has begun {} times within an hour, and no more are taken", kBootsPerHourMax)};
  }
  state.boot_order.push_back(boot_id);
  if (state.boot_order.size() > kBootsPerHostMax) crowded_.insert(host);
  const std::uint64_t sequence = durable->value_or(0);
  return &state.boots.emplace(boot_id, Boot{sequence, sequence}).first->second;
}

}  // namespace proteus::ingest
