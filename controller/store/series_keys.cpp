#include "controller/store/series_keys.h"

#include "controller/store/bytes.h"

namespace proteus::store::keys {
namespace {

constexpr std::size_t kTimeAndLsnBytes = 16;

Error corrupt(const char* what) {
  return {ErrorCode::kCorrupt, what};
}

std::string rollup_prefix(const RollupSeries& series) {
  std::string key;
  ByteWriter(key)
      .integer(static_cast<std::uint8_t>(series.level))
      .integer(series.kpi)
      .integer(static_cast<std::uint8_t>(series.figure))
      .text(series.host.value);
  return key;
}

}  // namespace

std::string page_prefix(std::uint16_t kpi, const HostId& host) {
  std::string key;
  ByteWriter(key).integer(kpi).text(host.value);
  return key;
}

std::string page_key(std::uint16_t kpi, const HostId& host, const PagePlace& place) {
  std::string key = page_prefix(kpi, host);
  ByteWriter(key).ordered(place.time_us).integer(place.lsn);
  return key;
}

Result<PagePlace> parse_page_place(std::string_view key) {
  if (key.size() < kTimeAndLsnBytes) return corrupt("a page's key is cut off");
  ByteReader reader(key.substr(key.size() - kTimeAndLsnBytes));
  PagePlace place;
  place.time_us = reader.ordered();
  place.lsn = reader.integer<std::uint64_t>();
  return place;
}

std::string rollup_key(const RollupSeries& series, std::uint32_t block, std::int64_t time_us) {
  std::string key = rollup_prefix(series);
  ByteWriter(key).integer(block).ordered(time_us);
  return key;
}

std::string whole_rollup_key(const RollupSeries& series, std::int64_t time_us) {
  std::string key = rollup_prefix(series);
  ByteWriter(key).ordered(time_us);
  return key;
}

Result<RollupPlace> parse_rollup_place(std::string_view key) {
  if (key.size() < 9 || (key[0] != 1 && key[0] != 2)) return corrupt("a roll-up's key does not parse");
  ByteReader reader(key.substr(key.size() - 8));
  return RollupPlace{static_cast<Level>(key[0]), reader.ordered()};
}

std::string entity_key(const HostId& host, std::uint32_t number) {
  std::string key;
  ByteWriter(key).text(host.value).integer(number);
  return key;
}

Result<HostId> parse_entity_host(std::string_view key) {
  ByteReader reader(key);
  HostId host{std::string(reader.text())};
  if (!reader.ok() || reader.remaining() != 4) return corrupt("an entity's key does not parse");
  return host;
}

std::string entity_value(const StoredEntity& entity) {
  std::string value;
  ByteWriter out(value);
  out.integer(static_cast<std::uint8_t>(entity.kind)).integer(entity.parent).text(entity.name).text(entity.uuid);
  out.integer(static_cast<std::uint16_t>(entity.labels.size()));
  for (const auto& [key, text] : entity.labels) out.text(key).text(text);
  out.integer(entity.seen_day);
  return value;
}

Result<StoredEntity> parse_entity(std::string_view key, std::string_view value) {
  if (key.size() < 4) return corrupt("an entity's key is cut off");
  StoredEntity entity;
  entity.number = ByteReader(key.substr(key.size() - 4)).integer<std::uint32_t>();
  ByteReader reader(value);
  entity.kind = static_cast<EntityKind>(reader.integer<std::uint8_t>());
  entity.parent = reader.integer<std::uint32_t>();
  entity.name = reader.text();
  entity.uuid = reader.text();
  for (auto count = reader.integer<std::uint16_t>(); count > 0 && reader.ok(); --count) {
    std::string label(reader.text());
    entity.labels[std::move(label)] = reader.text();
  }
  if (!reader.at_end()) entity.seen_day = reader.integer<std::uint32_t>();
  if (!reader.ok() || !reader.at_end()) return corrupt("an entity does not parse");
  return entity;
}

std::string progress_key(const HostId& host) {
  std::string key(kProgressPrefix);
  ByteWriter(key).text(host.value);
  return key;
}

Result<HostId> parse_progress_host(std::string_view key) {
  if (!key.starts_with(kProgressPrefix)) return corrupt("a host's progress key does not parse");
  ByteReader reader(key.substr(kProgressPrefix.size()));
  HostId host{std::string(reader.text())};
  if (!reader.ok() || !reader.at_end()) return corrupt("a host's progress key does not parse");
  return host;
}

std::string progress_value(const HostProgress& progress) {
  std::string value;
  ByteWriter out(value);
  out.integer(progress.next_lsn).integer(static_cast<std::uint16_t>(progress.chunks.size()));
  for (const PagePlace& chunk : progress.chunks) out.ordered(chunk.time_us).integer(chunk.lsn);
  out.integer(static_cast<std::uint16_t>(progress.dirty_hours.size()));
  for (const std::int64_t hour : progress.dirty_hours) out.ordered(hour);
  return value;
}

Result<HostProgress> parse_progress(std::string_view value) {
  ByteReader reader(value);
  HostProgress progress;
  progress.next_lsn = reader.integer<std::uint64_t>();
  for (auto count = reader.integer<std::uint16_t>(); count > 0 && reader.ok(); --count) {
    const std::int64_t time_us = reader.ordered();
    progress.chunks.push_back({time_us, reader.integer<std::uint64_t>()});
  }
  for (auto count = reader.integer<std::uint16_t>(); count > 0 && reader.ok(); --count) {
    progress.dirty_hours.push_back(reader.ordered());
  }
  if (!reader.ok() || !reader.at_end()) return corrupt("a host's progress does not parse");
  return progress;
}

}  // namespace proteus::store::keys
