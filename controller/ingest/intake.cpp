#include "controller/ingest/intake.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "common/wire/socket.h"

namespace proteus::ingest {
namespace {

constexpr std::size_t kBootsPerHostMax = 8;
constexpr Nanoseconds kAskIntervalMin = std::chrono::milliseconds(500);
constexpr Nanoseconds kAskIntervalMax = std::chrono::seconds(60);
// Of a host that was silent for so long the store may have dropped what it had sent: it is asked for its stream.
constexpr Nanoseconds kSilence = std::chrono::minutes(10);
// So long what was left out of a catalog stays so: then there may be room.
constexpr Nanoseconds kPartLifetime = std::chrono::hours(1);

/// frame: of an encoder of ours.
std::uint64_t base_of(const std::string& frame) {
  const auto message = wire::decode_upstream(frame);
  return message ? std::get<wire::EncodedFrame>(*message).base_sequence : 0;
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
  if (version >= kPartVersionsFrom) return Error{ErrorCode::kCorrupt, "catalog's version is out of its limits"};
  // What is stored is decoded by others, too, who must know what this decoder knows: it is given no catalog of which
  // nothing is stored, and one that it has forgotten is stored anew.
  const auto known = host.decoder.knows(catalog);
  if (!known) return known.error();
  if (*known) return Outcome::kRepeat;
  if (const auto boot = boot_of(user, host, boot_id, now); !boot) return boot.error();
  const std::set<VmId> left_out = use_names(host, catalog, now);
  host.parts.erase({boot_id, version});
  const CatalogPart* const part = left_out.empty() ? nullptr : &make_part(host, catalog, left_out, now);
  if (auto added = host.decoder.add(std::move(catalog)); !added) return added.error();
  std::erase_if(host.parts, [&](const auto& one) { return !host.decoder.knows(one.first.first, one.first.second); });
  messages_.push_back({.received = now,
                       .host = user,
                       .boot_id = boot_id,
                       .sequence = 0,
                       .catalog_version = part != nullptr ? part->catalog->version : version,
                       .bytes = part != nullptr ? wire::encode(*part->catalog) : std::string(bytes)});
  samples_.emplace_back();
  if (part == nullptr) return Outcome::kStored;
  tell_left_out(host, left_out.size());
  return Outcome::kStoredInPart;
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
  const auto found_part = host.parts.find({frame.boot_id, frame.catalog_version});
  const CatalogPart* const part = found_part != host.parts.end() ? &found_part->second : nullptr;
  if (!still_fits(host, part, *sample->catalog, now)) {
    host.decoder = {};
    host.parts.clear();
    host.ask_interval = {};
    return ask(user, host, link, frame.boot_id, wire::Ack::Want::kCatalog, now);
  }
  store::RawMessage message{.received = now,
                            .host = user,
                            .boot_id = frame.boot_id,
                            .sequence = frame.sequence,
                            .catalog_version = frame.catalog_version,
                            .base_sequence = frame.base_sequence,
                            .bytes = {}};
  if (part != nullptr) {
    const std::size_t left_out = vms_of(*sample->catalog).size() - vms_of(*part->catalog).size();
    sample = part_of(sample->frame, *part);
    std::vector<std::string> encoded;
    host.part_frames.encode(*sample, encoded);
    message.catalog_version = part->catalog->version;
    message.base_sequence = base_of(encoded.back());
    message.bytes = std::move(encoded.back());  // its catalog, if there is one in front, was stored when it came
    tell_left_out(host, left_out);
  } else {
    host.part_frames.begin_stream();
    message.bytes = std::string(bytes);
  }
  host.in_use = sample->catalog;
  boot.taken_sequence = frame.sequence;
  host.ask_interval = {};
  messages_.push_back(std::move(message));
  samples_.emplace_back(std::move(*sample));
  answers_[{user, frame.boot_id}].link = link;
  return part != nullptr ? Outcome::kStoredInPart : Outcome::kStored;
}

Intake::Outcome Intake::ask(const HostId& user, Host& host, const std::string& link, std::uint64_t boot_id,
                            wire::Ack::Want want, Timestamp now) {
  // One question is answered by a whole new stream; what was under way when it was asked needs no other.
  if (now - host.asked_at >= host.ask_interval || now < host.asked_at) {
    host.asked_at = now;
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
    // Without it the agent sends again what it holds, and is answered then.
    const auto boot = hosts_[host].boots.find(boot_id);
    if (boot != hosts_[host].boots.end()) {
      answers.push_back({due.link, {boot_id, boot->second.durable_sequence, due.want}});
    }
  }
  answers_.clear();
  return answers;
}

/// What the last frame's catalog lists has been in use until now. Returns: those that are too many.
std::set<VmId> Intake::use_names(Host& host, const Catalog& catalog, Timestamp now) {
  if (host.in_use != nullptr) (void)host.vms.use(vms_of(*host.in_use), now);
  return host.vms.use(vms_of(catalog), now);
}

CatalogPart& Intake::make_part(Host& host, const Catalog& whole, const std::set<VmId>& left_out, Timestamp now) {
  // The same catalog is parted otherwise at another time, after a restart too: each part has a version of its own.
  const std::int64_t now_ms = to_unix_ns(now) / 1'000'000;
  host.part_version = std::max(host.part_version + 1, now_ms);
  const auto version = kPartVersionsFrom | static_cast<std::uint32_t>(host.part_version % kPartVersionsFrom);
  return host.parts.insert_or_assign({whole.boot_id, whole.version}, without(whole, left_out, version, now))
      .first->second;
}

/// Whether what was decided of a frame's catalog can stay as it is.
bool Intake::still_fits(Host& host, const CatalogPart* part, const Catalog& whole, Timestamp now) {
  if (part != nullptr && now - part->since >= kPartLifetime) return false;
  const Catalog& taken = part != nullptr ? *part->catalog : whole;
  return &taken == host.in_use.get() || use_names(host, taken, now).empty();
}

void Intake::tell_left_out(const Host& host, std::size_t count) {
  left_out_ = fmt::format("it has listed {} different VMs within a day, and no more are taken: {} are left out",
                          host.vms.size(), count);
}

Result<Intake::Boot*> Intake::boot_of(const HostId& host, Host& state, std::uint64_t boot_id, Timestamp now) {
  if (const auto known = state.boots.find(boot_id); known != state.boots.end()) return &known->second;
  const auto durable = last_sequence_(host, boot_id);
  if (!durable) return durable.error();
  if (!*durable && !state.new_boots.use({boot_id}, now).empty()) {
    return Error{ErrorCode::kFailedPrecondition,
                 fmt::format("its agent has begun {} times within an hour, and no more are taken", kBootsPerHourMax)};
  }
  if (state.boot_order.size() >= kBootsPerHostMax) {
    state.boots.erase(state.boot_order.front());
    state.boot_order.pop_front();
  }
  state.boot_order.push_back(boot_id);
  const std::uint64_t sequence = durable->value_or(0);
  return &state.boots.emplace(boot_id, Boot{sequence, sequence}).first->second;
}

}  // namespace proteus::ingest
