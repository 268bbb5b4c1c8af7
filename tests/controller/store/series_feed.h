#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/telemetry.h"
#include "common/wire/telemetry_codec.h"
#include "controller/store/store.h"

namespace proteus::store {

/// An agent that measures what it is told, as the store sees it: raw messages.
class SeriesFeed {
 public:
  explicit SeriesFeed(std::string host, std::uint64_t boot_id = 1) : host_(std::move(host)), boot_id_(boot_id) {}

  /// A new catalog: the host and these, each with the KPIs that it has; parents are indices in the catalog.
  void set_entities(std::vector<std::pair<Entity, std::vector<Series>>> entities) {
    auto catalog = std::make_shared<Catalog>();
    catalog->host = HostId(host_);
    catalog->boot_id = boot_id_;
    catalog->version = ++version_;
    Entity host;
    host.name = host_;
    catalog->entities.push_back(host);
    for (auto& [entity, series] : entities) {
      for (Series one : series) {
        one.entity = static_cast<std::uint32_t>(catalog->entities.size());
        if (entity.kind == EntityKind::kHost) one.entity = 0;
        catalog->series.push_back(one);
      }
      if (entity.kind != EntityKind::kHost) catalog->entities.push_back(entity);
    }
    catalog_ = std::move(catalog);
  }

  /// The next tick has the number behind this one.
  void set_sequence(std::uint64_t sequence) { sequence_ = sequence; }

  /// The next tick begins the stream anew, with catalog and keyframe.
  void begin_stream() { encoder_.begin_stream(); }

  /// One tick; a value that is absent is not measured.
  std::vector<RawMessage> tick(Timestamp time, const std::vector<std::optional<std::int64_t>>& values) {
    Frame frame;
    frame.boot_id = boot_id_;
    frame.catalog_version = catalog_->version;
    frame.sequence = ++sequence_;
    frame.time = time;
    for (const auto& value : values) {
      frame.present.push_back(value ? 1 : 0);
      frame.values.push_back(value.value_or(0));
    }
    std::vector<std::string> bytes;
    encoder_.encode({catalog_, frame}, bytes);
    std::vector<RawMessage> messages;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const bool is_frame = i + 1 == bytes.size();
      const auto upstream = wire::decode_upstream(bytes[i]);
      std::uint64_t base = 0;
      if (is_frame) base = std::get<wire::EncodedFrame>(*upstream).base_sequence;
      messages.push_back({.received = time,
                          .host = HostId(host_),
                          .boot_id = boot_id_,
                          .sequence = is_frame ? sequence_ : 0,
                          .catalog_version = catalog_->version,
                          .base_sequence = base,
                          .bytes = bytes[i]});
    }
    return messages;
  }

 private:
  std::string host_;
  std::uint64_t boot_id_;
  std::uint32_t version_ = 0;
  std::uint64_t sequence_ = 0;
  std::shared_ptr<const Catalog> catalog_;
  wire::FrameEncoder encoder_;
};

inline Entity vm_entity(const std::string& name, const std::string& uuid,
                        std::map<std::string, std::string> labels = {}) {
  Entity entity;
  entity.kind = EntityKind::kVm;
  entity.name = name;
  entity.uuid = uuid;
  entity.labels = std::move(labels);
  return entity;
}

}  // namespace proteus::store
