#pragma once

#include <string>

#include "common/toml_document.h"

namespace proteus {

/// Reads `log_level` of a program's configuration; a problem of the table unless it is one that log::init() takes.
inline void read_log_level(TomlDocument::Table& table, std::string& level) {
  table.read("log_level", level);
  if (level != "debug" && level != "info" && level != "warning" && level != "error") {
    table.problem("log_level", "'log_level' must be debug, info, warning or error");
  }
}

}  // namespace proteus
