#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What every fuzz target defines: one decoder fed with one input, and inputs to begin with. The target aborts if a
/// decoder breaks its promise; crashes and sanitizers' reports say the rest. libFuzzer's name for the entry.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace proteus::fuzz {

std::vector<std::string> seeds();

/// Several messages in one input: each with its length in front, two bytes, little-endian.
inline std::string join(const std::vector<std::string>& messages) {
  std::string input;
  for (const std::string& message : messages) {
    input += static_cast<char>(message.size() & 0xff);
    input += static_cast<char>(message.size() >> 8 & 0xff);
    input += message;
  }
  return input;
}
inline std::vector<std::string_view> split(std::string_view input) {
  std::vector<std::string_view> messages;
  while (input.size() >= 2) {
    const std::size_t length =
        static_cast<unsigned char>(input[0]) | static_cast<std::size_t>(static_cast<unsigned char>(input[1])) << 8;
    messages.push_back(input.substr(2, length));
    input.remove_prefix(2 + messages.back().size());
  }
  return messages;
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace proteus::fuzz
