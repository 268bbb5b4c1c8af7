#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace proteus::wire {

/// A host's name: 1 to 253 letters, digits, '.', '-' or '_', not beginning with '-' or '.'.
bool valid_host_name(std::string_view name);

/// A UUID in lower-case text form: 8-4-4-4-12 hexadecimal digits.
bool valid_uuid(std::string_view text);

/// UTF-8 of at most `bytes_max` bytes without control characters. Everything that comes off the wire must pass, so that
/// terminals and JSON writers further on need not fear it.
bool valid_text(std::string_view text, std::size_t bytes_max);

/// The nearest text that passes valid_text: control characters become spaces, bytes that are not UTF-8 become '?', and
/// what is too long is cut between characters.
std::string clean_text(std::string_view text, std::size_t bytes_max);

}  // namespace proteus::wire
