#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <utility>

namespace proteus {

/// A string identifier that does not mix with others of its kind.
template <typename Tag>
struct StringId {
  std::string value;

  StringId() = default;
  explicit StringId(std::string v) : value(std::move(v)) {}
  bool empty() const { return value.empty(); }
  auto operator<=>(const StringId&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const StringId& id) { return out << id.value; }
};

/// A host's name as its agent is configured with it; unique in the cluster.
using HostId = StringId<struct HostTag>;
/// A domain's libvirt UUID in lower-case text form; stays the same across live migration.
using VmId = StringId<struct VmTag>;

/// An action of a plan, and the command that carries it out. Unique for ever in one controller store.
using ActionId = std::uint64_t;
/// Fencing term of the deciding controller; an agent refuses terms older than the newest it has seen.
using Term = std::uint64_t;

}  // namespace proteus

template <typename Tag>
struct std::hash<proteus::StringId<Tag>> {
  std::size_t operator()(const proteus::StringId<Tag>& id) const noexcept { return std::hash<std::string>{}(id.value); }
};
