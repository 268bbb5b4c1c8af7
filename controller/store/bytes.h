#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace proteus::store {

/// Appends big-endian integers and short strings to a string. Big-endian, so that keys sort as their numbers do.
class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  template <typename T>
  ByteWriter& integer(T value) {
    using U = std::make_unsigned_t<T>;
    for (int shift = 8 * (static_cast<int>(sizeof(T)) - 1); shift >= 0; shift -= 8) {
      out_.push_back(static_cast<char>(static_cast<std::uint64_t>(static_cast<U>(value)) >> shift));
    }
    return *this;
  }
  /// Signed, so that negative sorts before positive: the sign bit is flipped.
  ByteWriter& ordered(std::int64_t value) {
    return integer(static_cast<std::uint64_t>(value) ^ (std::uint64_t{1} << 63));
  }
  /// Length in 2 bytes, then the text; at most 65,535 bytes of it.
  ByteWriter& text(std::string_view value) {
    value = value.substr(0, 0xffff);
    integer(static_cast<std::uint16_t>(value.size()));
    return bytes(value);
  }
  ByteWriter& bytes(std::string_view value) {
    out_.append(value);
    return *this;
  }

 private:
  std::string& out_;
};

/// Reads what ByteWriter wrote. Past the end it gives zeroes and empty text, and ok() turns false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}

  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }
  std::size_t remaining() const { return in_.size(); }

  template <typename T>
  T integer() {
    const std::string_view raw = bytes(sizeof(T));
    std::uint64_t value = 0;
    for (const char c : raw) value = value << 8 | static_cast<unsigned char>(c);
    return static_cast<T>(value);
  }
  std::int64_t ordered() {
    const auto value = integer<std::uint64_t>();
    return ok_ ? static_cast<std::int64_t>(value ^ (std::uint64_t{1} << 63)) : 0;
  }
  std::string_view text() { return bytes(integer<std::uint16_t>()); }
  std::string_view bytes(std::size_t count) {
    if (count > in_.size()) {
      ok_ = false;
      in_ = {};
      return {};
    }
    const std::string_view taken = in_.substr(0, count);
    in_.remove_prefix(count);
    return taken;
  }
  std::string_view rest() { return bytes(in_.size()); }

 private:
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace proteus::store
