#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/ids.h"
#include "common/kpi.h"
#include "common/telemetry.h"

namespace proteus::store {

/// An entity of a host under the number that its series bear in pages, for ever.
struct StoredEntity {
  std::uint32_t number = 0;
  EntityKind kind = EntityKind::kHost;
  std::uint32_t parent = kNoParent;  ///< number
  std::string name;
  std::string uuid;
  std::map<std::string, std::string> labels;  ///< as last seen
  std::uint32_t seen_day = 0;                 ///< when a catalog listed it last, days since the epoch; 0: not known
  bool operator==(const StoredEntity&) const = default;
};

/// Which series of one KPI. What is empty says nothing.
struct SeriesSelector {
  Kpi kpi{};
  std::vector<HostId> hosts;
  std::vector<std::string> vms;  ///< names or UUIDs: of the entity or of the VM that it belongs to; empty: of any
  std::string entity;  ///< name of the entity itself: a vCPU's number, a disk's target; or with its VM, "web/0"
  std::map<std::string, std::string> labels;  ///< that the entity or its VM carries
};

/// An entity with the VM that it belongs to, or is.
struct SelectedEntity {
  StoredEntity entity;
  std::string vm_name;  ///< empty: it is of the host itself
  std::string vm_uuid;
  std::map<std::string, std::string> vm_labels;
  bool is_listed = false;  ///< by the host's catalog that was seen last since the start
};
using SelectedEntities = std::map<std::uint32_t, SelectedEntity>;  ///< by number
/// Takes so many away from the front, or all that there are.
SelectedEntities take_some(SelectedEntities& left, std::size_t count);

/// Memory that an entity takes among those of its host, about.
std::size_t memory_of(const StoredEntity& entity);

/// The entities of one host. An entity is the same if kind, parent and name are, a VM if its UUID is.
/// Thread: owned by one, or guarded by its owner.
class HostEntities {
 public:
  /// Takes up what is on the disk.
  void load(StoredEntity entity);

  /// Numbers of a catalog's entities, in its order. What is new or has changed is numbered and joins changed(), and
  /// so does what was not seen on this day yet. day: of the catalog or a frame of it, days since the epoch.
  std::vector<std::uint32_t> numbers_of(const Catalog& catalog, std::uint32_t day);
  /// How much more memory all entities take after that, about.
  std::size_t growth_by(const Catalog& catalog) const;
  /// Those of a catalog that are known have been seen on this day, and join changed().
  void see(const Catalog& catalog, std::uint32_t day);
  /// To be written before a page that refers to them; cleared by clear_changed().
  std::vector<StoredEntity> changed() const;
  /// Numbers that forget_oldest() has forgotten, to be erased where they were written; likewise.
  const std::vector<std::uint32_t>& erased() const { return erased_; }
  void clear_changed() {
    changed_.clear();
    erased_.clear();
  }
  /// Memory of all entities, about.
  std::size_t bytes() const { return bytes_; }

  SelectedEntities select(const SeriesSelector& selector) const;

  /// Numbers of what no catalog has listed since before the day. The highest number is not among them unless all are:
  /// numbers are not given twice while the host is known. What has no day yet, or one that only a
  /// wrong clock can have given it, counts as seen today.
  std::vector<std::uint32_t> unseen_since(std::uint32_t day, std::uint32_t today);
  void forget(const std::vector<std::uint32_t>& numbers);
  /// Forgets those that are known to have been seen last before the day, the longest unseen first, until no more than
  /// `bytes` are left or none of them; the highest number stays. How many were forgotten.
  std::size_t forget_oldest(std::size_t bytes, std::uint32_t day);

 private:
  std::uint32_t number_of(StoredEntity entity);
  std::vector<std::optional<std::uint32_t>> known_numbers(const Catalog& catalog) const;
  void drop_words(const StoredEntity& entity);
  void keep(StoredEntity entity);

  std::map<std::uint32_t, StoredEntity> entities_;
  std::map<std::string, std::uint32_t> by_identity_;
  std::unordered_map<std::string, std::uint32_t> vms_by_word_;  // how many VMs bear it as name or UUID
  std::set<std::uint32_t> changed_;
  std::vector<std::uint32_t> listed_;  // by the catalog whose numbers were asked for last, ascending
  std::vector<std::uint32_t> erased_;
  std::size_t bytes_ = 0;
  std::uint32_t next_ = 0;
};

}  // namespace proteus::store
