#include "controller/store/packed_block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace proteus::store {
namespace {

static_assert(std::endian::native == std::endian::little, "packed bits are read as the machine holds them");

constexpr unsigned char kHasExceptions = 128;
/// A width that an unaligned word of 64 bits holds wherever its field begins in a byte.
constexpr unsigned kWordWidthMax = 57;

constexpr std::uint64_t low_bits(unsigned width) {
  return width == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width) - 1;
}
constexpr std::size_t packed_bytes(std::size_t count, unsigned width) {
  return (count * width + 7) / 8;
}

struct Width {
  unsigned width = 0;
  std::size_t bits = 0;  // of offsets and exceptions
};
/// The width that makes the block smallest.
Width best_width(const std::array<std::uint8_t, 65>& lengths, std::size_t count, unsigned longest) {
  Width best{longest, count * longest};
  for (unsigned width = longest; width-- > 0;) {
    std::size_t bits = count * width + 8;
    for (unsigned length = width + 1; length <= longest; ++length) {
      bits += lengths[length] * (8 + 8 * std::size_t{(length - width + 6) / 7});
    }
    if (bits < best.bits) best = {width, bits};
  }
  return best;
}

void pack(std::string& out, std::span<const std::uint64_t> offsets, unsigned width) {
  const std::size_t begin = out.size();
  const std::size_t size = packed_bytes(offsets.size(), width);
  out.resize(begin + size + 8);
  char* to = out.data() + begin;
  const std::uint64_t mask = low_bits(width);
  std::uint64_t word = 0;
  unsigned filled = 0;
  for (const std::uint64_t offset : offsets) {
    const std::uint64_t bits = offset & mask;
    word |= bits << filled;
    filled += width;
    if (filled < 64) continue;
    std::memcpy(to, &word, 8);
    to += 8;
    filled -= 64;
    word = filled == 0 ? 0 : bits >> (width - filled);
  }
  std::memcpy(to, &word, 8);
  out.resize(begin + size);
}

/// The field that begins at `bit`. width: at most kWordWidthMax.
std::uint64_t field_at(const unsigned char* from, std::size_t bit, unsigned width) {
  std::uint64_t word;
  std::memcpy(&word, from + bit / 8, 8);
  return (word >> bit % 8) & low_bits(width);
}

/// With the width known to the compiler, eight fields take a whole number of bytes and no shift is computed.
template <unsigned kWidth>
void unpack_width(const unsigned char* from, std::size_t count, std::uint64_t base, std::int64_t* values) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8, from += kWidth) {
#pragma GCC unroll 8
    for (unsigned k = 0; k < 8; ++k) {
      values[i + k] = static_cast<std::int64_t>(base + field_at(from, std::size_t{k} * kWidth, kWidth));
    }
  }
  for (unsigned k = 0; i < count; ++i, ++k) {
    values[i] = static_cast<std::int64_t>(base + field_at(from, std::size_t{k} * kWidth, kWidth));
  }
}

using Unpack = void (*)(const unsigned char*, std::size_t, std::uint64_t, std::int64_t*);
template <unsigned... kWidths>
constexpr std::array<Unpack, sizeof...(kWidths)> unpack_table(std::integer_sequence<unsigned, kWidths...>) {
  return {unpack_width<kWidths>...};
}
constexpr auto kUnpack = unpack_table(std::make_integer_sequence<unsigned, kWordWidthMax + 1>());

void unpack(const unsigned char* from, std::size_t count, unsigned width, std::int64_t reference,
            std::int64_t* values) {
  const auto base = static_cast<std::uint64_t>(reference);
  if (width <= kWordWidthMax) return kUnpack[width](from, count, base, values);
  const std::uint64_t mask = low_bits(width);
  std::size_t bit = 0;
  for (std::size_t i = 0; i < count; ++i, bit += width) {
    std::uint64_t word;
    std::memcpy(&word, from + bit / 8, 8);
    word >>= bit % 8;
    if (bit % 8 != 0) word |= static_cast<std::uint64_t>(from[bit / 8 + 8]) << (64 - bit % 8);
    values[i] = static_cast<std::int64_t>(base + (word & mask));
  }
}

}  // namespace

std::size_t packed_bits(const std::array<std::uint8_t, 65>& lengths, std::size_t count) {
  unsigned longest = 64;
  while (longest > 0 && lengths[longest] == 0) --longest;
  return best_width(lengths, count, longest).bits;
}

void put_block(std::string& out, std::span<const std::int64_t> values) {
  const std::int64_t reference = *std::min_element(values.begin(), values.end());
  std::array<std::uint64_t, kBlockValues> offsets;
  std::array<std::uint8_t, 65> lengths{};  // how many offsets have so many bits
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    offsets[i] = static_cast<std::uint64_t>(values[i]) - static_cast<std::uint64_t>(reference);
    ++lengths[static_cast<std::size_t>(std::bit_width(offsets[i]))];
    all |= offsets[i];
  }
  const unsigned width = best_width(lengths, values.size(), static_cast<unsigned>(std::bit_width(all))).width;
  std::array<unsigned char, kBlockValues> exceptions;
  std::size_t count = 0;
  if (width < 64) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      exceptions[count] = static_cast<unsigned char>(i);
      count += (offsets[i] >> width) != 0;
    }
  }
  out.push_back(static_cast<char>(width | (count > 0 ? kHasExceptions : 0)));
  if (count > 0) out.push_back(static_cast<char>(count));
  put_varint(out, zigzag(reference));
  pack(out, {offsets.data(), values.size()}, width);
  out.append(reinterpret_cast<const char*>(exceptions.data()), count);
  for (std::size_t i = 0; i < count; ++i) put_varint(out, offsets[exceptions[i]] >> width);
}

bool take_block(ByteSpan& in, std::size_t count, std::int64_t* values) {
  const unsigned char head = in.byte();
  const unsigned width = head & ~kHasExceptions;
  const std::size_t exceptions = (head & kHasExceptions) != 0 ? in.byte() : 0;
  if (width > 64 || exceptions > count || (exceptions > 0 && width == 64)) return false;
  const std::int64_t reference = in.signed_varint();
  const unsigned char* const packed = in.bytes(packed_bytes(count, width));
  const unsigned char* const positions = in.bytes(exceptions);
  if (!in.ok) return false;
  unpack(packed, count, width, reference, values);
  for (std::size_t i = 0; i < exceptions; ++i) {
    const std::uint64_t high = in.varint();
    if (positions[i] >= count || std::bit_width(high) + width > 64) return false;
    values[positions[i]] =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(values[positions[i]]) + (high << width));
  }
  return in.ok;
}

}  // namespace proteus::store
