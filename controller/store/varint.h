#pragma once

#include <cstdint>
#include <string>

/// Integers of few bytes when they are small (LEB128), signed ones with the sign in the lowest bit (zigzag).
namespace proteus::store {

__extension__ using Uint128 = unsigned __int128;

constexpr std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

/// Unsigned: 64 or 128 bits.
template <typename Unsigned>
void put_varint(std::string& out, Unsigned value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(value) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

/// Bytes that are read from the front. Past the end, or at a number that is too large, `ok` turns false and what is
/// read is 0.
struct ByteSpan {
  const unsigned char* at = nullptr;
  const unsigned char* end = nullptr;
  bool ok = true;

  std::size_t remaining() const { return static_cast<std::size_t>(end - at); }

  unsigned char byte() {
    if (at == end) return fail();
    return *at++;
  }
  std::uint64_t varint() {
    if (at != end && *at < 0x80) return *at++;
    return long_varint<std::uint64_t>();
  }
  Uint128 varint128() { return long_varint<Uint128>(); }
  std::int64_t signed_varint() { return unzigzag(varint()); }
  /// Begin of `count` bytes that are there, or nullptr.
  const unsigned char* bytes(std::uint64_t count) {
    if (count > remaining()) {
      fail();
      return nullptr;
    }
    const unsigned char* begin = at;
    at += count;
    return begin;
  }

 private:
  unsigned char fail() {
    ok = false;
    at = end;
    return 0;
  }
  template <typename Unsigned>
  Unsigned long_varint() {
    constexpr unsigned kBits = 8 * sizeof(Unsigned);
    Unsigned value = 0;
    for (unsigned shift = 0; at != end && shift < kBits; shift += 7) {
      const unsigned char next = *at++;
      const auto part = static_cast<Unsigned>(next & 0x7f);
      if (shift + 7 > kBits && (part >> (kBits - shift)) != 0) break;
      value |= part << shift;
      if (next < 0x80) return value;
    }
    return fail();
  }
};

}  // namespace proteus::store
