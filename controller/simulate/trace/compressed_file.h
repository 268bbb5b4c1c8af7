#pragma once

#include <cstddef>
#include <string>

#include "common/result.h"

namespace proteus::simulate {

/// No trace that we know comes near it; a file that unpacks to more is refused rather than filling the memory.
inline constexpr std::size_t kTraceBytesMax = std::size_t{1} << 30;

/// A file's content, unpacked if it is xz or gzip, which its first bytes tell and not its name.
/// Errors: kNotFound, kPermissionDenied, kUnavailable (reading fails), kCorrupt (does not unpack or ends early),
/// kInvalidArgument (a directory, or more than bytes_max unpacked). Each names the file.
Result<std::string> read_compressed_file(const std::string& path, std::size_t bytes_max = kTraceBytesMax);

}  // namespace proteus::simulate
