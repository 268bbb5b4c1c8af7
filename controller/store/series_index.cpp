#include "controller/store/series_index.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace proteus::store {
namespace {

std::string identity_of(const StoredEntity& entity) {
  std::string identity(1, static_cast<char>(entity.kind));
  if (entity.kind == EntityKind::kVm && !entity.uuid.empty()) return identity + entity.uuid;
  return identity + std::to_string(entity.parent) + '/' + entity.name;
}

/// An entity as it is listed, without a number yet.
StoredEntity listed(const Entity& entity, std::uint32_t parent, std::uint32_t day) {
  return {.number = 0,
          .kind = entity.kind,
          .parent = parent,
          .name = entity.name,
          .uuid = entity.uuid,
          .labels = entity.labels,
          .seen_day = day};
}

/// Parents before their children: the host, VMs, what belongs to either.
std::vector<std::size_t> parents_first(const Catalog& catalog) {
  const auto rank = [](EntityKind kind) { return kind == EntityKind::kHost ? 0 : kind == EntityKind::kVm ? 1 : 2; };
  std::vector<std::size_t> order(catalog.entities.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return rank(catalog.entities[a].kind) < rank(catalog.entities[b].kind);
  });
  return order;
}

}  // namespace

/// With its place by number and its place by identity; names count twice, as a VM's are found by.
std::size_t memory_of(const StoredEntity& entity) {
  constexpr std::size_t kNode = 48;
  std::size_t bytes =
      sizeof(StoredEntity) + sizeof(std::string) + 2 * kNode + 2 * (entity.name.size() + entity.uuid.size());
  for (const auto& [key, value] : entity.labels) {
    bytes += kNode + 2 * sizeof(std::string) + key.size() + value.size();
  }
  return bytes;
}

void HostEntities::load(StoredEntity entity) {
  next_ = std::max(next_, entity.number + 1);
  by_identity_[identity_of(entity)] = entity.number;
  keep(std::move(entity));
}

void HostEntities::drop_words(const StoredEntity& entity) {
  if (entity.kind != EntityKind::kVm) return;
  for (const std::string& word : {entity.name, entity.uuid}) {
    if (const auto found = vms_by_word_.find(word); found != vms_by_word_.end() && --found->second == 0) {
      vms_by_word_.erase(found);
    }
  }
}

/// In place of what was known under its number.
void HostEntities::keep(StoredEntity entity) {
  const auto [place, is_new] = entities_.try_emplace(entity.number);
  StoredEntity& known = place->second;
  if (!is_new) bytes_ -= memory_of(known);
  bytes_ += memory_of(entity);
  drop_words(known);
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
  if (!is_new) entity.seen_day = std::max(entity.seen_day, entities_.at(number).seen_day);
  if (is_new || entities_.at(number) != entity) {
    changed_.insert(number);
    keep(std::move(entity));
  }
  return number;
}

std::vector<std::uint32_t> HostEntities::numbers_of(const Catalog& catalog, std::uint32_t day) {
  std::vector<std::uint32_t> numbers(catalog.entities.size());
  for (const std::size_t i : parents_first(catalog)) {
    const Entity& entity = catalog.entities[i];
    numbers[i] = number_of(listed(entity, entity.parent == kNoParent ? kNoParent : numbers[entity.parent], day));
  }
  listed_ = numbers;
  std::sort(listed_.begin(), listed_.end());
  return numbers;
}

/// In its order; nullopt: not known yet.
std::vector<std::optional<std::uint32_t>> HostEntities::known_numbers(const Catalog& catalog) const {
  std::vector<std::optional<std::uint32_t>> numbers(catalog.entities.size());
  for (const std::size_t i : parents_first(catalog)) {
    const Entity& entity = catalog.entities[i];
    const std::optional<std::uint32_t> parent = entity.parent == kNoParent ? kNoParent : numbers[entity.parent];
    if (!parent) continue;
    const auto known = by_identity_.find(identity_of(listed(entity, *parent, 0)));
    if (known != by_identity_.end()) numbers[i] = known->second;
  }
  return numbers;
}

std::size_t HostEntities::growth_by(const Catalog& catalog) const {
  std::size_t growth = 0;
  const std::vector<std::optional<std::uint32_t>> numbers = known_numbers(catalog);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t after = memory_of(listed(catalog.entities[i], kNoParent, 0));
    const std::size_t before = numbers[i] ? memory_of(entities_.at(*numbers[i])) : 0;
    growth += std::max(after, before) - before;
  }
  return growth;
}

void HostEntities::see(const Catalog& catalog, std::uint32_t day) {
  for (const std::optional<std::uint32_t>& number : known_numbers(catalog)) {
    if (!number || entities_.at(*number).seen_day >= day) continue;
    entities_.at(*number).seen_day = day;
    changed_.insert(*number);
  }
}

std::vector<StoredEntity> HostEntities::changed() const {
  std::vector<StoredEntity> entities;
  for (const std::uint32_t number : changed_) entities.push_back(entities_.at(number));
  return entities;
}

std::vector<std::uint32_t> HostEntities::unseen_since(std::uint32_t day, std::uint32_t today) {
  std::vector<std::uint32_t> unseen;
  for (auto& [number, entity] : entities_) {
    if (entity.seen_day == 0 || entity.seen_day > today + 1) {
      entity.seen_day = today;
      changed_.insert(number);
    } else if (entity.seen_day < day) {
      unseen.push_back(number);
    }
  }
  if (unseen.size() < entities_.size() && !unseen.empty() && unseen.back() + 1 == next_) unseen.pop_back();
  return unseen;
}

void HostEntities::forget(const std::vector<std::uint32_t>& numbers) {
  for (const std::uint32_t number : numbers) {
    const auto found = entities_.find(number);
    drop_words(found->second);
    bytes_ -= memory_of(found->second);
    by_identity_.erase(identity_of(found->second));
    changed_.erase(number);
    entities_.erase(found);
  }
}

std::size_t HostEntities::forget_oldest(std::size_t bytes, std::uint32_t day) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> unseen;  // last day, number
  for (const auto& [number, entity] : entities_) {
    if (entity.seen_day != 0 && entity.seen_day < day && number + 1 != next_)
      unseen.emplace_back(entity.seen_day, number);
  }
  std::sort(unseen.begin(), unseen.end());
  std::vector<std::uint32_t> numbers;
  std::size_t left = bytes_;
  for (const auto& [seen_day, number] : unseen) {
    if (left <= bytes) break;
    left -= memory_of(entities_.at(number));
    numbers.push_back(number);
  }
  forget(numbers);
  erased_.insert(erased_.end(), numbers.begin(), numbers.end());
  return numbers.size();
}

SelectedEntities HostEntities::select(const SeriesSelector& selector) const {
  SelectedEntities selected;
  const std::vector<std::string>& vms = selector.vms;
  const auto is_known = [&](const std::string& word) { return vms_by_word_.contains(word); };
  if (!vms.empty() && std::none_of(vms.begin(), vms.end(), is_known)) return selected;
  for (const auto& numbered : entities_) {
    const StoredEntity& entity = numbered.second;
    const StoredEntity* vm = entity.kind == EntityKind::kVm ? &entity : nullptr;
    if (entity.parent != kNoParent) {
      const auto parent = entities_.find(entity.parent);
      if (parent != entities_.end() && parent->second.kind == EntityKind::kVm) vm = &parent->second;
    }
    if (!selector.entity.empty() && selector.entity != entity.name &&
        (vm == nullptr || vm == &entity || selector.entity != vm->name + "/" + entity.name)) {
      continue;
    }
    const auto names_it = [&](const std::string& word) { return word == vm->name || word == vm->uuid; };
    if (!vms.empty() && (vm == nullptr || std::none_of(vms.begin(), vms.end(), names_it))) continue;
    const bool labelled = std::all_of(selector.labels.begin(), selector.labels.end(), [&](const auto& label) {
      const auto carries = [&](const StoredEntity& one) {
        const auto found = one.labels.find(label.first);
        return found != one.labels.end() && found->second == label.second;
      };
      return carries(entity) || (vm != nullptr && carries(*vm));
    });
    if (!labelled) continue;
    SelectedEntity one{.entity = entity, .vm_name = {}, .vm_uuid = {}, .vm_labels = {}};
    one.is_listed = std::binary_search(listed_.begin(), listed_.end(), entity.number);
    if (vm != nullptr) {
      one.vm_name = vm->name;
      one.vm_uuid = vm->uuid;
      one.vm_labels = vm->labels;
    }
    selected.emplace(entity.number, std::move(one));
  }
  return selected;
}

SelectedEntities take_some(SelectedEntities& left, std::size_t count) {
  SelectedEntities some;
  if (count >= left.size()) {
    some.swap(left);
    return some;
  }
  while (some.size() < count) some.insert(some.end(), left.extract(left.begin()));
  return some;
}

}  // namespace proteus::store
