#include "controller/store/series_index.h"

#include <algorithm>
#include <utility>

namespace proteus::store {
namespace {

std::string identity_of(const StoredEntity& entity) {
  std::string identity(1, static_cast<char>(entity.kind));
  if (entity.kind == EntityKind::kVm && !entity.uuid.empty()) return identity + entity.uuid;
  return identity + std::to_string(entity.parent) + '/' + entity.name;
}

}  // namespace

void HostEntities::load(StoredEntity entity) {
  next_ = std::max(next_, entity.number + 1);
  by_identity_[identity_of(entity)] = entity.number;
  keep(std::move(entity));
}

/// In place of what was known under its number.
void HostEntities::keep(StoredEntity entity) {
  StoredEntity& known = entities_[entity.number];
  if (known.kind == EntityKind::kVm) {
    for (const std::string& word : {known.name, known.uuid}) {
      if (const auto found = vms_by_word_.find(word); found != vms_by_word_.end() && --found->second == 0) {
        vms_by_word_.erase(found);
      }
    }
  }
  if (entity.kind == EntityKind::kVm) {
    ++vms_by_word_[entity.name];
    ++vms_by_word_[entity.uuid];
  }
  known = std::move(entity);
}

std::uint32_t HostEntities::number_of(StoredEntity entity) {
  const auto [place, is_new] = by_identity_.try_emplace(identity_of(entity), next_);
  const std::uint32_t number = entity.number = place->second;
  next_ += is_new ? 1 : 0;
  if (is_new || entities_.at(number) != entity) {
    changed_.insert(number);
    keep(std::move(entity));
  }
  return number;
}

std::vector<std::uint32_t> HostEntities::numbers_of(const Catalog& catalog) {
  std::vector<std::uint32_t> numbers(catalog.entities.size());
  // Parents before their children: the host, VMs, what belongs to either.
  const auto rank = [](EntityKind kind) { return kind == EntityKind::kHost ? 0 : kind == EntityKind::kVm ? 1 : 2; };
  for (int turn = 0; turn <= 2; ++turn) {
    for (std::size_t i = 0; i < catalog.entities.size(); ++i) {
      const Entity& entity = catalog.entities[i];
      if (rank(entity.kind) != turn) continue;
      numbers[i] = number_of({.number = 0,
                              .kind = entity.kind,
                              .parent = entity.parent == kNoParent ? kNoParent : numbers[entity.parent],
                              .name = entity.name,
                              .uuid = entity.uuid,
                              .labels = entity.labels});
    }
  }
  return numbers;
}

std::vector<StoredEntity> HostEntities::changed() const {
  std::vector<StoredEntity> entities;
  for (const std::uint32_t number : changed_) entities.push_back(entities_.at(number));
  return entities;
}

SelectedEntities HostEntities::select(const SeriesSelector& selector) const {
  SelectedEntities selected;
  if (!selector.vm.empty() && !vms_by_word_.contains(selector.vm)) return selected;
  for (const auto& numbered : entities_) {
    const StoredEntity& entity = numbered.second;
    const StoredEntity* vm = entity.kind == EntityKind::kVm ? &entity : nullptr;
    if (entity.parent != kNoParent) {
      const auto parent = entities_.find(entity.parent);
      if (parent != entities_.end() && parent->second.kind == EntityKind::kVm) vm = &parent->second;
    }
    if (!selector.entity.empty() && selector.entity != entity.name) continue;
    if (!selector.vm.empty() && (vm == nullptr || (vm->name != selector.vm && vm->uuid != selector.vm))) continue;
    const bool labelled = std::all_of(selector.labels.begin(), selector.labels.end(), [&](const auto& label) {
      const auto carries = [&](const StoredEntity& one) {
        const auto found = one.labels.find(label.first);
        return found != one.labels.end() && found->second == label.second;
      };
      return carries(entity) || (vm != nullptr && carries(*vm));
    });
    if (!labelled) continue;
    SelectedEntity one{.entity = entity, .vm_name = {}, .vm_uuid = {}, .vm_labels = {}};
    if (vm != nullptr) {
      one.vm_name = vm->name;
      one.vm_uuid = vm->uuid;
      one.vm_labels = vm->labels;
    }
    selected.emplace(entity.number, std::move(one));
  }
  return selected;
}

}  // namespace proteus::store
