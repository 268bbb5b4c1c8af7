#pragma once

#include <vector>

#include "common/result.h"
#include "controller/store/store.h"

/// What was learned of hosts in the store's `model` family, so that a restart does not begin anew.
///   "profile/moves"       ─▶ how far predictions were off where VMs have moved
///   "profile/hosts/" host ─▶ what its curves rest on; form of both: controller/profile/saved_state.h
namespace proteus::controller {

/// Reads everything, in pieces of about a mebibyte as they are to be journalled. Errors: kCorrupt, kUnsupported if any
/// of it is damaged or of another version: then all of it is to be left.
Result<std::vector<store::ProfileState>> load_profile(const store::Store& store);
/// What load_profile() would read if that were stored.
std::vector<store::ProfileState> profile_pieces(std::vector<profile::SavedRecord> records);
/// Stores this and drops what the family holds of other hosts. Errors: the store's.
Status save_profile(store::Store& store, const profile::SavedProfile& profile);
/// Drops everything. Errors: the store's.
Status drop_profile(store::Store& store);

}  // namespace proteus::controller
