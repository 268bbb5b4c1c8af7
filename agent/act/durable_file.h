#pragma once

#include <optional>
#include <string>

#include "common/result.h"

namespace proteus::act {

/// nullopt if there is no such file. Errors: kUnavailable with the system's reason.
Result<std::optional<std::string>> read_file_if_exists(const std::string& path);

/// Puts `content` in place of the file, so that after a crash it is either the old or the new one, whole: written
/// beside it, synced, renamed, and the directory synced. Mode 0600. Errors: kUnavailable with the system's reason.
Status replace_file(const std::string& path, const std::string& content);

/// Writes all of `content` to a descriptor. Errors: kUnavailable.
Status write_all(int descriptor, const std::string& content, const std::string& path);

}  // namespace proteus::act
