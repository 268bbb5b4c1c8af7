#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "controller/store/varint.h"

/// Values whose sizes differ much from one to the next, in two parts: of each its class, how many bits it has, as a
/// symbol, and those of its bits that the class does not tell. Symbols stand together in a page, where an entropy coder
/// makes the frequent ones short; for that they are ranks: 0 is the most frequent class of the series, 1 the next. The
/// other bits are noise and are packed as they are.
///
/// Of n values the first is known. What is written of each of the others is x (kValues: the value; kDifferences: its
/// difference to the one before; kAlike, kOpposite: that difference less, or plus, the same difference of another
/// series), made positive as u: zigzag(x − reference) or x − reference. In the payload of page.h:
///
///   u8         bits 0-1 what x is, bit 2 zigzag, the others 0
///   varint     reference, zigzag
///   [varint    of kAlike and kOpposite: how many series of the page further in front the other one is, 1 or more]
///   u8         classes c, 1 … 65
///   c bytes    the classes by rank: 0 … 64, none twice
///
/// A symbol is a byte, a rank. For each u of class 2 or more follow, in the rests, its lowest class − 1 bits, the first
/// value in the lowest bits; ⌈bits/8⌉ bytes in all. Differences wrap at 64 bits. Thread: pure.
namespace proteus::store {

enum class ClassedOf : std::uint8_t { kValues, kDifferences, kAlike, kOpposite };

constexpr std::size_t kClasses = 65;

struct ClassedForm {
  ClassedOf of = ClassedOf::kDifferences;
  bool zigzag = false;
  std::int64_t reference = 0;  ///< without zigzag no x is below it
  std::uint32_t back = 0;      ///< of kAlike and kOpposite

  bool has_other() const { return of == ClassedOf::kAlike || of == ClassedOf::kOpposite; }
};

/// Appends the values, at least two, without the first. other: as many values of the other series, if the form has one.
void put_classed(const ClassedForm& form, std::span<const std::int64_t> values, std::span<const std::int64_t> other,
                 std::string& payload, std::string& symbols, std::string& rests);

/// What the payload says.
struct ClassedHead {
  ClassedForm form;
  std::size_t count = 0;  ///< of classes
  std::array<std::uint8_t, kClasses> classes{};
};
/// Reads all of `payload`. False: it is none.
bool take_classed_head(ByteSpan payload, ClassedHead& head);

/// Reads values, at least two, each times `factor`; `first` is the first, not yet multiplied. symbols: one for each
/// value but the first. rests: all of this series; kBlockPadding bytes behind its end can be read. other: as for
/// put_classed. wanted: numbers of the values to be given, ascending, one for each place in `values`; empty: all, of
/// which values.size() are there. False: the bytes are not what `head` says.
bool take_classed(const ClassedHead& head, std::span<const unsigned char> symbols, ByteSpan rests, std::int64_t first,
                  std::uint64_t factor, std::span<const std::int64_t> other, std::span<const std::uint32_t> wanted,
                  std::span<std::int64_t> values);

}  // namespace proteus::store
