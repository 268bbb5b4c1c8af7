#include "common/wire/keygen.h"

#include <fmt/core.h>

#include <filesystem>

#include "common/wire/curve.h"

namespace proteus::wire {
namespace {

constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

}  // namespace

Result<std::string> make_key_files(const std::string& folder, const std::string& stem, const std::string& name) {
  if (name.empty() || name.size() > 253 || name.find_first_not_of(kNameCharacters) != std::string::npos) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' is not a host name", name)};
  }
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) return Error{ErrorCode::kPermissionDenied, fmt::format("cannot make {}: {}", folder, failed.message())};
  const Result<KeyPair> keys = generate_key_pair();
  if (!keys) return keys.error();
  const std::string path = folder + "/" + stem;
  if (Status written = write_key_pair(path + ".key", *keys); !written) return written.error();
  if (Status written = write_public_key(path + ".pub", {name, keys->public_key}); !written) return written.error();
  return name + " " + keys->public_key;
}

}  // namespace proteus::wire
