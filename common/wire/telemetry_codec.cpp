#include "common/wire/telemetry_codec.h"

#include <algorithm>
#include <map>
#include <string>

#include "common/log.h"
#include "common/wire/capnp_bytes.h"
#include "common/wire/catalog_check.h"
#include "common/wire/socket.h"
#include "schemas/telemetry.capnp.h"

namespace proteus::wire {
namespace {

constexpr DecodeLimits kUpstreamLimits{.bytes_max = static_cast<std::size_t>(kTelemetryMessageBytesMax),
                                       .nesting_max = 6};
constexpr DecodeLimits kAckLimits{.bytes_max = 1024, .nesting_max = 3};
constexpr std::size_t kCatalogsPerBootMax = 4;
/// Of all labels of a catalog that VMs' owners have chosen, as they lie in the message.
constexpr std::size_t kOwnersLabelBytesMax = 1u << 20;
constexpr std::size_t kLabelOverheadBytes = 32;
/// Year 2200: later stamps are a broken clock, and room is left to add durations.
constexpr std::int64_t kTimeNsMax = 7'258'118'400'000'000'000;

Error corrupt(std::string message) {
  return {ErrorCode::kCorrupt, std::move(message)};
}

std::string read_string(capnp::Text::Reader text) {
  return std::string(text.begin(), text.size());
}
std::string read_bytes(capnp::Data::Reader data) {
  return std::string(reinterpret_cast<const char*>(data.begin()), data.size());
}
void set_text(auto&& setter, const std::string& text) {
  setter(capnp::Text::Reader(text.data(), text.size()));
}

std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

std::int64_t wrapping_sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

/// False if the bytes end early, or say more than 64 bits.
bool take_varint(const char*& at, const char* end, std::uint64_t& value) {
  if (at != end && static_cast<unsigned char>(*at) < 0x80) {  // most are that small
    value = static_cast<unsigned char>(*at++);
    return true;
  }
  value = 0;
  for (int shift = 0; at != end && shift < 7 * kVarintBytesMax; shift += 7) {
    const auto byte = static_cast<unsigned char>(*at++);
    if (shift == 63 && byte > 1) return false;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

/// The labels as a controller takes them. A VM's owner chooses the names and the number of its groups, and is not to
/// keep the telemetry of a whole host from being told: those that do not fit are left out.
/// owners_bytes: what is left for those of the catalog's VMs together.
std::map<std::string, std::string> told_labels(const std::map<std::string, std::string>& labels,
                                               std::size_t& owners_bytes) {
  std::map<std::string, std::string> told;
  for (const bool of_owner : {false, true}) {
    for (const auto& [key, value] : labels) {
      if (key.starts_with("group.") != of_owner) continue;
      if (of_owner && told.size() >= kLabelsPerEntityMax) return told;
      std::pair label(clean_text(key, kLabelKeyBytesMax), clean_text(value, kLabelValueBytesMax));
      const std::size_t bytes = label.first.size() + label.second.size() + kLabelOverheadBytes;
      if (of_owner && bytes > owners_bytes) return told;
      if (of_owner) owners_bytes -= bytes;
      told.insert(std::move(label));
    }
  }
  return told;
}

/// `boots` has been given something of this boot: the one that was given nothing for longest, beyond
/// kBootsRememberedMax, is forgotten.
template <typename Boots>
void note_boot(Boots& boots, std::deque<std::uint64_t>& order, std::uint64_t boot_id) {
  if (!order.empty() && order.back() == boot_id) return;
  if (const auto known = std::find(order.begin(), order.end(), boot_id); known != order.end()) order.erase(known);
  order.push_back(boot_id);
  if (order.size() <= kBootsRememberedMax) return;
  boots.erase(order.front());
  order.pop_front();
}

Result<Upstream> read_catalog(schema::Catalog::Reader in) {
  const auto entities = in.getEntities();
  const auto series = in.getSeries();
  if (entities.size() > kEntitiesMax || series.size() > kSeriesMax) return corrupt("catalog has too many rows");
  Catalog catalog;
  catalog.host = HostId(read_string(in.getHost()));
  catalog.boot_id = in.getBootId();
  catalog.version = in.getVersion();
  catalog.entities.reserve(entities.size());
  for (const auto row : entities) {
    if (row.getKind() > static_cast<std::uint8_t>(kEntityKindLast)) return corrupt("entity of an unknown kind");
    if (row.getLabels().size() > kLabelsPerEntityMax) return corrupt("entity has too many labels");
    Entity entity;
    entity.kind = static_cast<EntityKind>(row.getKind());
    entity.parent = row.getParent();
    entity.name = read_string(row.getName());
    entity.uuid = read_string(row.getUuid());
    for (const auto label : row.getLabels()) {
      if (!entity.labels.emplace(read_string(label.getKey()), read_string(label.getValue())).second) {
        return corrupt("entity has a label twice");
      }
    }
    catalog.entities.push_back(std::move(entity));
  }
  catalog.series.reserve(series.size());
  for (const auto row : series) {
    if (find_kpi(row.getKpi()) == nullptr) {
      return corrupt(fmt::format("KPI {} is not known here; controllers are upgraded before agents", row.getKpi()));
    }
    catalog.series.push_back({row.getEntity(), static_cast<Kpi>(row.getKpi()), row.getBucket()});
  }
  if (auto status = check_catalog(catalog); !status) return status.error();
  return Upstream(std::move(catalog));
}

Result<Upstream> read_frame(schema::Frame::Reader in) {
  EncodedFrame frame;
  frame.boot_id = in.getBootId();
  frame.catalog_version = in.getCatalogVersion();
  frame.sequence = in.getSequence();
  frame.base_sequence = in.getBaseSequence();
  frame.previous_sequence = in.getPreviousSequence();
  if (frame.sequence == 0 || frame.previous_sequence >= frame.sequence) return corrupt("frame out of sequence");
  if (frame.base_sequence != 0 && frame.base_sequence != frame.previous_sequence) {
    return corrupt("a frame's base is not the frame before it");
  }
  frame.time = from_unix_ns(in.getTimeNs());
  if (!can_tell(frame.time)) return corrupt("frame's time is out of its limits");
  if (in.getPresence().size() > (kSeriesMax + 7) / 8) return corrupt("frame is too wide");
  frame.presence = read_bytes(in.getPresence());
  frame.values = read_bytes(in.getValues());
  return Upstream(std::move(frame));
}

}  // namespace

std::string encode(const Catalog& catalog) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<schema::Upstream>().initCatalog();
  set_text([&](auto text) { out.setHost(text); }, catalog.host.value);
  out.setBootId(catalog.boot_id);
  out.setVersion(catalog.version);
  std::size_t owners_bytes = kOwnersLabelBytesMax;
  auto entities = out.initEntities(static_cast<unsigned>(catalog.entities.size()));
  for (unsigned i = 0; i < entities.size(); ++i) {
    const Entity& from = catalog.entities[i];
    auto to = entities[i];
    to.setKind(static_cast<std::uint8_t>(from.kind));
    to.setParent(from.parent);
    set_text([&](auto text) { to.setName(text); }, clean_text(from.name, kEntityNameBytesMax));
    set_text([&](auto text) { to.setUuid(text); }, from.uuid);
    const auto told = told_labels(from.labels, owners_bytes);
    auto labels = to.initLabels(static_cast<unsigned>(told.size()));
    unsigned l = 0;
    for (const auto& [key, value] : told) {
      set_text([&](auto text) { labels[l].setKey(text); }, key);
      set_text([&](auto text) { labels[l].setValue(text); }, value);
      ++l;
    }
  }
  auto series = out.initSeries(static_cast<unsigned>(catalog.series.size()));
  for (unsigned i = 0; i < series.size(); ++i) {
    series[i].setEntity(catalog.series[i].entity);
    series[i].setKpi(static_cast<std::uint16_t>(catalog.series[i].kpi));
    series[i].setBucket(catalog.series[i].bucket);
  }
  return to_bytes(message);
}

Result<Upstream> decode_upstream(std::string_view bytes) {
  return with_message<schema::Upstream>(bytes, kUpstreamLimits, [](schema::Upstream::Reader in) -> Result<Upstream> {
    switch (in.which()) {
      case schema::Upstream::CATALOG: return read_catalog(in.getCatalog());
      case schema::Upstream::FRAME: return read_frame(in.getFrame());
    }
    return corrupt("message of an unknown kind");
  });
}

std::string encode(const Ack& ack) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<schema::Ack>();
  out.setBootId(ack.boot_id);
  out.setSequence(ack.sequence);
  switch (ack.want) {
    case Ack::Want::kNothing: out.setWant(schema::Ack::Want::NOTHING); break;
    case Ack::Want::kCatalog: out.setWant(schema::Ack::Want::CATALOG); break;
    case Ack::Want::kKeyframe: out.setWant(schema::Ack::Want::KEYFRAME); break;
  }
  return to_bytes(message);
}

Result<Ack> decode_ack(std::string_view bytes) {
  return with_message<schema::Ack>(bytes, kAckLimits, [](schema::Ack::Reader in) -> Result<Ack> {
    Ack ack{in.getBootId(), in.getSequence(), Ack::Want::kNothing};
    switch (in.getWant()) {
      case schema::Ack::Want::NOTHING: return ack;
      case schema::Ack::Want::CATALOG: ack.want = Ack::Want::kCatalog; return ack;
      case schema::Ack::Want::KEYFRAME: ack.want = Ack::Want::kKeyframe; return ack;
    }
    return corrupt("acknowledgement wants something unknown");
  });
}

std::vector<std::int64_t> quanta_of(const Catalog& catalog) {
  std::vector<std::int64_t> quanta;
  quanta.reserve(catalog.series.size());
  for (const Series& series : catalog.series) quanta.push_back(info(series.kpi).quantum);
  return quanta;
}

bool can_tell(Timestamp time) {
  return time >= Timestamp{} && to_unix_ns(time) <= kTimeNsMax;
}

Result<bool> KnownCatalogs::knows(const Catalog& catalog) const {
  const auto boot = boots_.find(catalog.boot_id);
  if (boot == boots_.end()) return false;
  for (const auto& known : boot->second) {
    if (known->catalog->version != catalog.version) continue;
    if (known->catalog->series == catalog.series && known->catalog->entities == catalog.entities) return true;
    return corrupt(fmt::format("catalog {} of {} differs from the one that bore the same version before",
                               catalog.version, catalog.host.value));
  }
  return false;
}

Status KnownCatalogs::add(Catalog catalog) {
  const Result<bool> is_known = knows(catalog);
  if (!is_known) return is_known.error();
  auto& catalogs = boots_[catalog.boot_id];
  note_boot(boots_, boot_order_, catalog.boot_id);
  if (*is_known) {
    const auto known = std::find_if(catalogs.begin(), catalogs.end(),
                                    [&](const auto& one) { return one->catalog->version == catalog.version; });
    std::rotate(known, known + 1, catalogs.end());
    return {};
  }
  const std::uint64_t boot_id = catalog.boot_id;
  std::vector<std::int64_t> quanta = quanta_of(catalog);
  const std::size_t bytes = memory_of(catalog);
  catalogs.push_back(std::make_shared<const KnownCatalog>(
      KnownCatalog{std::make_shared<const Catalog>(std::move(catalog)), std::move(quanta), bytes}));
  if (catalogs.size() > kCatalogsPerBootMax) catalogs.pop_front();
  fit(boot_id);
  return {};
}

std::size_t KnownCatalogs::memory_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [boot_id, catalogs] : boots_) {
    for (const auto& known : catalogs) bytes += known->memory_bytes;
  }
  return bytes;
}

/// Forgets the oldest boots' catalogs first, those of this boot last, its newest never.
void KnownCatalogs::fit(std::uint64_t boot_id) {
  std::size_t bytes = memory_bytes();
  const auto drop = [&](std::deque<std::shared_ptr<const KnownCatalog>>& catalogs, std::size_t kept) {
    while (bytes > kKnownCatalogsBytesMax && catalogs.size() > kept) {
      bytes -= catalogs.front()->memory_bytes;
      catalogs.pop_front();
    }
  };
  for (const std::uint64_t boot : boot_order_) {
    if (boot != boot_id) drop(boots_.at(boot), 0);
  }
  drop(boots_.at(boot_id), 1);
}

Result<std::shared_ptr<const KnownCatalog>> KnownCatalogs::find(const EncodedFrame& frame) const {
  if (const auto boot = boots_.find(frame.boot_id); boot != boots_.end()) {
    for (const auto& known : boot->second) {
      if (known->catalog->version == frame.catalog_version) return known;
    }
  }
  return Error{ErrorCode::kNotFound,
               fmt::format("catalog {} of boot {:016x} is not known", frame.catalog_version, frame.boot_id)};
}

Status FrameBases::decode(const EncodedFrame& frame, const KnownCatalog& known, Frame& out) {
  const bool is_keyframe = frame.base_sequence == 0;
  const auto boot = boots_.find(frame.boot_id);
  if (!is_keyframe && (boot == boots_.end() || boot->second.sequence != frame.base_sequence ||
                       boot->second.catalog_version != frame.catalog_version)) {
    return Error{ErrorCode::kFailedPrecondition,
                 fmt::format("base frame {} of boot {:016x} is not at hand", frame.base_sequence, frame.boot_id)};
  }
  const std::size_t count = known.quanta.size();
  if (frame.presence.size() != (count + 7) / 8) return corrupt("frame's presence mask does not fit its catalog");
  if (count % 8 != 0 && (static_cast<unsigned char>(frame.presence.back()) >> count % 8) != 0) {
    return corrupt("frame's presence mask has bits beyond its catalog");
  }
  out.boot_id = frame.boot_id;
  out.catalog_version = frame.catalog_version;
  out.sequence = frame.sequence;
  out.time = frame.time;
  out.present.resize(count);
  out.values.resize(count);
  if (is_keyframe) {
    scratch_.assign(count, 0);
  } else {
    scratch_ = boot->second.quotients;
  }
  const char* at = frame.values.data();
  const char* const end = at + frame.values.size();
  for (std::size_t begin = 0; begin < count; begin += 8) {
    const auto mask = static_cast<unsigned char>(frame.presence[begin / 8]);
    const std::size_t stop = std::min(count, begin + 8);
    for (std::size_t i = begin; i < stop; ++i) {
      out.present[i] = mask >> (i - begin) & 1;
      if (out.present[i] == 0) {
        out.values[i] = scratch_[i] = 0;
        continue;
      }
      std::uint64_t difference = 0;
      if (!take_varint(at, end, difference)) return corrupt("frame's values end early");
      scratch_[i] = wrapping_sum(scratch_[i], unzigzag(difference));
      if (__builtin_mul_overflow(scratch_[i], known.quanta[i], &out.values[i])) {
        return corrupt("frame's value does not fit 64 bits");
      }
    }
  }
  if (at != end) return corrupt("frame has more values than its presence mask says");
  Base& base = boots_[frame.boot_id];
  note_boot(boots_, boot_order_, frame.boot_id);
  std::swap(base.quotients, scratch_);
  base.sequence = frame.sequence;
  base.catalog_version = frame.catalog_version;
  return {};
}

Result<Sample> FrameDecoder::decode(const EncodedFrame& frame) {
  const auto known = catalogs_.find(frame);
  if (!known) return known.error();
  Sample sample{(*known)->catalog, {}};
  if (const Status decoded = bases_.decode(frame, **known, sample.frame); !decoded) return decoded.error();
  return sample;
}

Result<std::optional<Sample>> TelemetryReader::read(const HostId& host, std::string_view bytes) {
  auto message = decode_upstream(bytes);
  if (!message) return message.error();
  FrameDecoder& decoder = hosts_[host];
  if (auto* catalog = std::get_if<Catalog>(&*message)) {
    if (catalog->host != host) return corrupt("catalog names another host");
    if (auto added = decoder.add(std::move(*catalog)); !added) return added.error();
    return std::optional<Sample>();
  }
  auto sample = decoder.decode(std::get<EncodedFrame>(*message));
  if (!sample) return sample.error();
  return std::optional<Sample>(std::move(*sample));
}

}  // namespace proteus::wire
