#include "controller/store/classed_values.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

namespace proteus::store {
namespace {

static_assert(std::endian::native == std::endian::little, "packed bits are read as the machine holds them");

constexpr unsigned char kOfMask = 3;
constexpr unsigned char kZigzagBit = 4;
/// Bits that an unaligned word of 64 holds wherever they begin in a byte.
constexpr unsigned kWordBitsMax = 57;

std::uint64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b);
}

constexpr unsigned rest_bits(unsigned value_class) {
  return value_class < 2 ? 0 : value_class - 1;
}

/// Calls visit(x) for each value but the first; x as the header has it.
template <typename Visit>
void for_each_x(ClassedOf of, std::span<const std::int64_t> values, std::span<const std::int64_t> other,
                const Visit& visit) {
  const std::size_t n = values.size();
  switch (of) {
    case ClassedOf::kValues:
      for (std::size_t i = 1; i < n; ++i) visit(static_cast<std::uint64_t>(values[i]));
      break;
    case ClassedOf::kDifferences:
      for (std::size_t i = 1; i < n; ++i) visit(difference(values[i], values[i - 1]));
      break;
    case ClassedOf::kAlike:
      for (std::size_t i = 1; i < n; ++i) {
        visit(difference(values[i], values[i - 1]) - difference(other[i], other[i - 1]));
      }
      break;
    case ClassedOf::kOpposite:
      for (std::size_t i = 1; i < n; ++i) {
        visit(difference(values[i], values[i - 1]) + difference(other[i], other[i - 1]));
      }
      break;
  }
}

/// Writes bits where there is room for them and for seven bytes more.
class BitWriter {
 public:
  explicit BitWriter(char* to) : to_(to) {}
  /// value: no more than `bits` (at most 63) of it are set.
  void put(std::uint64_t value, unsigned bits) {
    word_ |= value << filled_;
    filled_ += bits;
    if (filled_ < 64) return;
    std::memcpy(to_, &word_, 8);
    to_ += 8;
    filled_ -= 64;
    word_ = filled_ == 0 ? 0 : value >> (bits - filled_);
  }
  /// Returns: the end of what was written.
  char* finish() {
    std::memcpy(to_, &word_, 8);
    return to_ + (filled_ + 7) / 8;
  }

 private:
  char* to_;
  std::uint64_t word_ = 0;
  unsigned filled_ = 0;
};

/// The classes that occur, the most frequent one first.
std::size_t rank(const std::array<std::uint32_t, kClasses>& counts, std::array<std::uint8_t, kClasses>& by_rank) {
  std::size_t used = 0;
  for (std::size_t i = 0; i < kClasses; ++i) {
    if (counts[i] > 0) by_rank[used++] = static_cast<std::uint8_t>(i);
  }
  std::sort(by_rank.begin(), by_rank.begin() + static_cast<std::ptrdiff_t>(used),
            [&](std::uint8_t a, std::uint8_t b) { return counts[a] != counts[b] ? counts[a] > counts[b] : a < b; });
  return used;
}

/// What symbols stand for. Only those of head.count are set.
struct Meanings {
  explicit Meanings(const ClassedHead& head) {
    for (std::size_t i = 0; i < head.count; ++i) {
      const unsigned value_class = head.classes[i];
      base[i] = value_class == 0 ? 0 : std::uint64_t{1} << (value_class - 1);
      mask[i] = value_class == 0 ? 0 : base[i] - 1;
      bits[i] = rest_bits(value_class);
      longest = std::max(longest, bits[i]);
    }
  }

  std::array<std::uint64_t, kClasses> base;  // the bit that a class implies
  std::array<std::uint64_t, kClasses> mask;  // of the others
  std::array<std::uint32_t, kClasses> bits;  // how many they are
  std::uint32_t longest = 0;                 // of those
};

/// What begins at `bit`, 0 … 7, of the eight bytes at `from`.
std::uint64_t word_at(const unsigned char* from, std::size_t bit) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, 8);
  return word >> bit;
}

/// What take_classed() is asked.
struct Taking {
  std::span<const unsigned char> symbols;
  ByteSpan rests;
  std::int64_t first = 0;
  std::uint64_t factor = 1;
  std::span<const std::int64_t> other;
  std::span<const std::uint32_t> wanted;
  std::span<std::int64_t> values;
};

/// Makes values of what is read. `Of` and `kZigzag` are the form's; kAll: every value is given.
template <ClassedOf kOf, bool kZigzag, bool kAll>
bool take(const ClassedHead& head, const Taking& asked) {
  const Meanings meanings(head);
  const auto reference = static_cast<std::uint64_t>(head.form.reference);
  const ByteSpan rests = asked.rests;
  const std::size_t bytes = rests.remaining();
  const unsigned char* const symbols = asked.symbols.data();
  std::size_t bit = 0;
  std::size_t i = 1;  // number of the next value
  auto value = static_cast<std::uint64_t>(asked.first);
  const auto scaled = [&] { return static_cast<std::int64_t>(value * asked.factor); };
  const auto step = [&](std::uint64_t u) {
    const std::uint64_t x = (kZigzag ? static_cast<std::uint64_t>(unzigzag(u)) : u) + reference;
    if constexpr (kOf == ClassedOf::kValues) {
      value = x;
    } else if constexpr (kOf == ClassedOf::kDifferences) {
      value += x;
    } else if constexpr (kOf == ClassedOf::kAlike) {
      value += x + difference(asked.other[i], asked.other[i - 1]);
    } else {
      value += x - difference(asked.other[i], asked.other[i - 1]);
    }
    if constexpr (kAll) asked.values[i] = scaled();
  };
  // Those that reach beyond the rests are told by where the last one ends; what is read for them is within the padding.
  const auto advance = [&](std::size_t end) {
    for (; i < end; ++i) {
      const unsigned char symbol = symbols[i - 1];
      const std::uint64_t word = word_at(rests.at + std::min(bit / 8, bytes), bit % 8);
      step(meanings.base[symbol] | (word & meanings.mask[symbol]));
      bit += meanings.bits[symbol];
    }
  };
  // The same where one word may not hold them. False: the rests are at their end in front of it.
  const auto advance_long = [&](std::size_t end) {
    for (; i < end; ++i) {
      const unsigned char symbol = symbols[i - 1];
      const unsigned bits = meanings.bits[symbol];
      if (bits > 8 * bytes - bit) return false;
      std::uint64_t word = word_at(rests.at + bit / 8, bit % 8);
      if (bits > kWordBitsMax && bit % 8 != 0) {
        word |= static_cast<std::uint64_t>(rests.at[bit / 8 + 8]) << (64 - bit % 8);
      }
      step(meanings.base[symbol] | (word & meanings.mask[symbol]));
      bit += bits;
    }
    return true;
  };
  const auto go_to = [&](std::size_t end) {
    if (meanings.longest > kWordBitsMax) return advance_long(end);
    advance(end);
    return true;
  };
  if constexpr (kAll) {
    asked.values[0] = scaled();
  } else {
    for (std::size_t given = 0; given < asked.wanted.size(); ++given) {
      if (!go_to(std::size_t{asked.wanted[given]} + 1)) return false;
      asked.values[given] = scaled();
    }
  }
  return go_to(asked.symbols.size() + 1) && (bit + 7) / 8 == bytes;
}

template <ClassedOf kOf>
bool take(const ClassedHead& head, const Taking& asked) {
  if (asked.wanted.empty())
    return head.form.zigzag ? take<kOf, true, true>(head, asked) : take<kOf, false, true>(head, asked);
  return head.form.zigzag ? take<kOf, true, false>(head, asked) : take<kOf, false, false>(head, asked);
}

}  // namespace

void put_classed(const ClassedForm& form, std::span<const std::int64_t> values, std::span<const std::int64_t> other,
                 std::string& payload, std::string& symbols, std::string& rests) {
  static thread_local std::vector<std::uint64_t> list;
  list.resize(values.size() - 1);
  const auto reference = static_cast<std::uint64_t>(form.reference);
  std::uint64_t* to = list.data();
  for_each_x(form.of, values, other, [&](std::uint64_t x) {
    x -= reference;
    *to++ = form.zigzag ? zigzag(static_cast<std::int64_t>(x)) : x;
  });
  const std::size_t symbols_at = symbols.size();
  symbols.resize(symbols_at + list.size());
  char* const symbol = symbols.data() + symbols_at;
  std::array<std::uint32_t, kClasses> counts{};
  std::size_t bits_all = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto value_class = static_cast<unsigned>(std::bit_width(list[i]));
    ++counts[value_class];
    bits_all += rest_bits(value_class);
    symbol[i] = static_cast<char>(value_class);
  }
  std::array<std::uint8_t, kClasses> by_rank;
  const std::size_t used = rank(counts, by_rank);
  std::array<char, kClasses> ranks{};
  for (std::size_t r = 0; r < used; ++r) ranks[by_rank[r]] = static_cast<char>(r);

  payload.push_back(static_cast<char>(static_cast<unsigned>(form.of) | (form.zigzag ? kZigzagBit : 0u)));
  put_varint(payload, zigzag(form.reference));
  if (form.has_other()) put_varint(payload, form.back);
  payload.push_back(static_cast<char>(used));
  payload.append(reinterpret_cast<const char*>(by_rank.data()), used);

  const std::size_t rests_at = rests.size();
  rests.resize(rests_at + bits_all / 8 + 16);
  BitWriter writer(rests.data() + rests_at);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto value_class = static_cast<unsigned char>(symbol[i]);
    const unsigned bits = rest_bits(value_class);
    writer.put(list[i] & ((std::uint64_t{1} << bits) - 1), bits);
    symbol[i] = ranks[value_class];
  }
  rests.resize(static_cast<std::size_t>(writer.finish() - rests.data()));
}

bool take_classed_head(ByteSpan payload, ClassedHead& head) {
  const unsigned char form = payload.byte();
  if (form > (kOfMask | kZigzagBit)) return false;
  head.form.of = static_cast<ClassedOf>(form & kOfMask);
  head.form.zigzag = (form & kZigzagBit) != 0;
  head.form.reference = payload.signed_varint();
  if (head.form.has_other()) {
    const std::uint64_t back = payload.varint();
    if (back == 0 || back > 0xffffffff) return false;
    head.form.back = static_cast<std::uint32_t>(back);
  }
  head.count = payload.byte();
  if (!payload.ok || head.count == 0 || head.count > kClasses || head.count != payload.remaining()) return false;
  std::copy_n(payload.at, head.count, head.classes.begin());
  std::array<bool, kClasses> seen{};
  for (std::size_t i = 0; i < head.count; ++i) {
    if (head.classes[i] >= kClasses || std::exchange(seen[head.classes[i]], true)) return false;
  }
  return true;
}

bool take_classed(const ClassedHead& head, std::span<const unsigned char> symbols, ByteSpan rests, std::int64_t first,
                  std::uint64_t factor, std::span<const std::int64_t> other, std::span<const std::uint32_t> wanted,
                  std::span<std::int64_t> values) {
  unsigned char most = 0;
  for (std::size_t i = 0; i < symbols.size(); ++i) most = std::max(most, symbols[i]);
  if (most >= head.count) return false;
  const Taking asked{symbols, rests, first, factor, other, wanted, values};
  switch (head.form.of) {
    case ClassedOf::kValues: return take<ClassedOf::kValues>(head, asked);
    case ClassedOf::kDifferences: return take<ClassedOf::kDifferences>(head, asked);
    case ClassedOf::kAlike: return take<ClassedOf::kAlike>(head, asked);
    case ClassedOf::kOpposite: return take<ClassedOf::kOpposite>(head, asked);
  }
  return false;
}

}  // namespace proteus::store
