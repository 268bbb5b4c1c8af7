#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "controller/store/varint.h"

/// Up to 128 integers as offsets from their smallest, in as many bits each as most of them need; the few that need more
/// are patched (PFOR: Zukowski et al., "Super-scalar RAM-CPU cache compression", ICDE 2006).
///
///   u8            width: bits of a packed offset, 0 … 64; + 128 if there are exceptions
///   [u8           number of exceptions e, 1 … n]
///   varint        reference, the smallest value, zigzag
///   ⌈n·width/8⌉   offsets, their low `width` bits, the first value in the lowest bits
///   [e bytes      positions of the exceptions, ascending]
///   [e varints    what their offsets have above the low bits: offset >> width, never 0]
///
/// Differences wrap at 64 bits, so that every input comes back. Thread: pure.
namespace proteus::store {

constexpr std::size_t kBlockValues = 128;
/// Bytes behind `end` that decoding may read (and ignores).
constexpr std::size_t kBlockPadding = 8;

/// Bits of a block without its head. lengths: how many of the `count` offsets have so many bits.
std::size_t packed_bits(const std::array<std::uint8_t, 65>& lengths, std::size_t count);

/// values.size() is 1 … kBlockValues.
void put_block(std::string& out, std::span<const std::int64_t> values);

/// Reads a block of `count` (1 … kBlockValues) values. kBlockPadding bytes behind in.end can be read. False: the bytes
/// are not a block.
bool take_block(ByteSpan& in, std::size_t count, std::int64_t* values);

}  // namespace proteus::store
