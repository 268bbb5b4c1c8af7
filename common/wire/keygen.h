#pragma once

#include <string>

#include "common/result.h"

namespace proteus::wire {

/// Makes FOLDER/STEM.key (mode 0600) and FOLDER/STEM.pub, as the programs' `keygen` does. Never over an existing key.
/// Returns the public line `NAME KEY`, which is what the other side needs.
/// Errors: kAlreadyExists, kPermissionDenied, kInvalidArgument (a name that is no host name), kUnsupported.
Result<std::string> make_key_files(const std::string& folder, const std::string& stem, const std::string& name);

}  // namespace proteus::wire
