#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace proteus::ctl {

/// For who asked. Bytes that are not UTF-8, as names of files and of people may have, are replaced.
/// indent: spaces a level; -1: one line.
inline std::string json_text(const nlohmann::ordered_json& json, int indent = 2) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace proteus::ctl
