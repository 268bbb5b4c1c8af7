#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "controller/store/store.h"

namespace proteus::controller {

// What a controller keeps under a name in its store's `meta` family, from one run to the next.

inline constexpr const char* kTermKey = "term";
inline constexpr const char* kMaintenanceKey = "maintenance";  ///< hosts, as join_hosts writes them
inline constexpr const char* kPausedKey = "paused";            ///< "yes" or "no"
inline constexpr const char* kLastActionKey = "last_action_id";

/// The number under `key` plus one; `step` is added to what is stored. Errors: kCorrupt, and the store's.
Result<std::uint64_t> take_number(store::Store& store, const char* key, std::uint64_t step);

/// A line each.
std::string join_hosts(const std::vector<HostId>& hosts);
std::vector<HostId> split_hosts(const std::string& text);

}  // namespace proteus::controller
