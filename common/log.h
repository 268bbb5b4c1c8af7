#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "common/result.h"

/// Logging for every room. Only log.cpp knows spdlog: including it elsewhere triples compile times.
/// `error` means that something an operator asked for did not happen.
namespace proteus::log {

enum class Level { kDebug, kInfo, kWarning, kError };

/// Sends log lines to standard error (systemd's journal takes them from there). level: debug|info|warning|error.
/// Thread: call once from main before others start.
Status init(std::string_view program, std::string_view level);

/// True if a line of this level would be written.
bool enabled(Level level);
void write(Level level, std::string_view text);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kDebug)) write(Level::kDebug, fmt::vformat(format, fmt::make_format_args(args...)));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kInfo)) write(Level::kInfo, fmt::vformat(format, fmt::make_format_args(args...)));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kWarning)) write(Level::kWarning, fmt::vformat(format, fmt::make_format_args(args...)));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kError)) write(Level::kError, fmt::vformat(format, fmt::make_format_args(args...)));
}

}  // namespace proteus::log
