#include "controller/profile_store.h"

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace proteus::controller {
namespace {

constexpr std::string_view kPrefix = "profile/";
constexpr std::size_t kPieceBytes = 1u << 20;

}  // namespace

std::vector<store::ProfileState> profile_pieces(std::vector<profile::SavedRecord> records) {
  std::vector<store::ProfileState> pieces;
  std::size_t piece_bytes = kPieceBytes;
  for (profile::SavedRecord& record : records) {
    if (piece_bytes >= kPieceBytes) {
      pieces.emplace_back();
      piece_bytes = 0;
    }
    piece_bytes += record.name.size() + record.bytes.size();
    pieces.back().records.push_back(std::move(record));
  }
  return pieces;
}

Result<std::vector<store::ProfileState>> load_profile(const store::Store& store) {
  std::vector<profile::SavedRecord> records;
  Status trouble;
  const Status read = store.visit_models(std::string(kPrefix), [&](const std::string& key, std::string value) {
    profile::SavedRecord record{key.substr(kPrefix.size()), std::move(value)};
    if (const auto decoded = profile::decode(std::span(&record, 1)); !decoded) {
      trouble = decoded.error();
      return false;
    }
    records.push_back(std::move(record));
    return true;
  });
  if (!read) return read.error();
  if (!trouble) return trouble.error();
  return profile_pieces(std::move(records));
}

namespace {

/// What the family holds of this and is not among these.
Status erase_others(store::Store& store, const std::set<std::string>& present) {
  std::vector<std::string> gone;
  const Status read = store.visit_models(std::string(kPrefix), [&](const std::string& key, const std::string&) {
    if (!present.contains(key)) gone.push_back(key);
    return true;
  });
  if (!read) return read;
  return gone.empty() ? Status() : store.erase_models(gone);
}

}  // namespace

Status save_profile(store::Store& store, const profile::SavedProfile& profile) {
  std::vector<std::pair<std::string, std::string>> models;
  std::set<std::string> present;
  for (profile::SavedRecord& record : profile::encode(profile)) {
    models.emplace_back(std::string(kPrefix) + record.name, std::move(record.bytes));
    present.insert(models.back().first);
  }
  if (Status erased = erase_others(store, present); !erased) return erased;
  return models.empty() ? Status() : store.put_models(models);
}

Status drop_profile(store::Store& store) {
  return erase_others(store, {});
}

}  // namespace proteus::controller
