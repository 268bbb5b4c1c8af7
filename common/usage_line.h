#pragma once

#include <algorithm>
#include <string>

namespace proteus {

/// What a command line's parser has to say, in one line like every other error, with a newline.
inline std::string usage_line(const std::string& program, std::string what) {
  std::replace(what.begin(), what.end(), '\n', ' ');
  return program + ": " + what + "; run with --help for more information\n";
}

}  // namespace proteus
