#include "controller/store/page_choice.h"

#include <algorithm>
#include <array>
#include <bit>

#include "controller/store/packed_block.h"

namespace proteus::store {
namespace {

// What a change in kSparse, and what a block's head costs, about.
constexpr std::uint64_t kChangeBits = 20;
constexpr std::uint64_t kBlockHeadBits = 24;
// Values that the choice looks at: the first of each stretch, of few stretches.
constexpr std::size_t kLook = 16;
constexpr std::size_t kStretch = 128;
constexpr std::size_t kStretchesMax = 6;
constexpr std::size_t kLookMax = kLook * kStretchesMax;
static_assert(kLookMax < 256);  // lengths are counted in bytes
// Classes take twice as long to read as blocks: they are worth it if they take no more than so many sixteenths.
constexpr std::uint64_t kClassedSixteenths = 12;
// Likeness is looked for among so many series, in series that change at least every so many values.
constexpr std::size_t kLikeAmong = 32;
constexpr std::uint32_t kLikeValuesPerChange = 4;
constexpr std::size_t kShapePlaces = 32;
// Of two times 32 signs; of series that have nothing to do with each other about 32 differ.
constexpr int kShapeDistanceMax = 18;
constexpr std::uint64_t kLikeHeadBits = 16;
constexpr std::size_t kMiddleOf = 15;

std::int64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

/// 256 · n · log2(n), rounded down.
constexpr std::uint32_t scaled_n_log_n(std::uint32_t n) {
  if (n < 2) return 0;
  // log2 bit by bit: squaring doubles it
  constexpr unsigned kBits = 20;
  const auto whole = static_cast<unsigned>(std::bit_width(n)) - 1;
  std::uint64_t mantissa = (std::uint64_t{n} << 30) >> whole;  // 1 … 2, in 2^-30
  std::uint64_t log = whole;
  for (unsigned i = 0; i < kBits; ++i) {
    mantissa = mantissa * mantissa >> 30;
    log <<= 1;
    if (mantissa >= std::uint64_t{2} << 30) {
      mantissa >>= 1;
      log |= 1;
    }
  }
  return static_cast<std::uint32_t>(log * n >> (kBits - 8));
}
constexpr auto kNLogN = [] {
  std::array<std::uint32_t, kLookMax + 1> table{};
  for (std::uint32_t n = 0; n < table.size(); ++n) table[n] = scaled_n_log_n(n);
  return table;
}();

/// Lengths in bits of what was looked at.
struct Lengths {
  std::array<std::uint8_t, kClasses> counts{};
  std::uint32_t looked = 0;
  std::uint32_t sum = 0;

  void add(std::uint64_t value) {
    const auto length = static_cast<std::uint32_t>(std::bit_width(value));
    ++counts[length];
    ++looked;
    sum += length;
  }
  /// Of `values` such values in blocks.
  std::uint64_t packed_bits(std::size_t values) const {
    if (looked == 0) return 0;
    return store::packed_bits(counts, looked) * values / looked +
           kBlockHeadBits * ((values + kBlockValues - 1) / kBlockValues);
  }
  /// Of `values` such values in classes.
  std::uint64_t classed_bits(std::size_t values) const {
    std::uint64_t scaled = kNLogN[looked];
    std::uint64_t classes = 0;
    for (const std::uint8_t count : counts) {
      scaled -= kNLogN[count];
      classes += count != 0;
    }
    const std::uint64_t symbols = std::max<std::uint64_t>(scaled / 256, looked);  // no symbol takes less than a bit
    return (symbols + sum - (looked - counts[0])) * values / looked + 8 * (classes + 4);
  }
};

/// The values looked at, those of a stretch after those of another, and the differences among them.
struct Look {
  std::array<std::int64_t, kLookMax> steps;
  std::size_t step_count = 0;
  Lengths frame, delta, second;  // offsets from the smallest of a stretch
};

void add_offsets(std::span<const std::int64_t> part, Lengths& lengths) {
  if (part.empty()) return;
  const std::int64_t least = *std::min_element(part.begin(), part.end());
  for (const std::int64_t value : part) lengths.add(static_cast<std::uint64_t>(difference(value, least)));
}

/// visit(begin, end): of each stretch.
template <typename Visit>
void for_stretches(std::size_t values, const Visit& visit) {
  const std::size_t stretch = std::max(kStretch, (values + kStretchesMax - 1) / kStretchesMax);
  for (std::size_t begin = 0; begin < values; begin += stretch) visit(begin, std::min(values, begin + kLook));
}

void look_at(std::span<const std::int64_t> values, Look& look) {
  for_stretches(values.size(), [&](std::size_t begin, std::size_t end) {
    std::array<std::int64_t, kLook> seconds;
    std::size_t second_count = 0;
    const std::size_t steps_begin = look.step_count;
    for (std::size_t i = std::max<std::size_t>(begin, 1); i < end; ++i) {
      const std::int64_t step = difference(values[i], values[i - 1]);
      if (i >= 2) seconds[second_count++] = difference(step, difference(values[i - 1], values[i - 2]));
      look.steps[look.step_count++] = step;
    }
    add_offsets(values.subspan(begin, end - begin), look.frame);
    add_offsets({look.steps.data() + steps_begin, look.step_count - steps_begin}, look.delta);
    add_offsets({seconds.data(), second_count}, look.second);
  });
}

struct Best {
  Choice choice;
  std::uint64_t bits = 0;
};

Best best_packed(const Look& look, std::size_t n) {
  const auto mean = [](const Lengths& lengths) {
    return lengths.looked == 0 ? ~std::uint64_t{0} : 256 * std::uint64_t{lengths.sum} / lengths.looked;
  };
  const std::uint64_t frame = mean(look.frame);
  const std::uint64_t delta = mean(look.delta);
  const std::uint64_t second = mean(look.second);
  if (delta <= frame && delta <= second) return {{Mode::kDelta, {}}, look.delta.packed_bits(n)};
  if (frame <= second) return {{Mode::kFrame, {}}, look.frame.packed_bits(n)};
  return {{Mode::kDeltaOfDelta, {}}, look.second.packed_bits(n)};
}

/// The median of a few of them.
std::int64_t middle_of(std::span<const std::int64_t> values) {
  std::array<std::int64_t, kMiddleOf> some;
  const std::size_t count = std::min(values.size(), kMiddleOf);
  for (std::size_t i = 0; i < count; ++i) some[i] = values[i * values.size() / count];
  std::nth_element(some.begin(), some.begin() + count / 2, some.begin() + count);
  return some[count / 2];
}

std::int64_t least_step(std::span<const std::int64_t> values) {
  std::int64_t least = difference(values[1], values[0]);
  for (std::size_t i = 2; i < values.size(); ++i) least = std::min(least, difference(values[i], values[i - 1]));
  return least;
}

Best best_classed(std::span<const std::int64_t> values, const ValueFigures& figures, const Look& look) {
  Best best{{}, ~std::uint64_t{0}};
  const auto consider = [&](std::span<const std::int64_t> looked, const ClassedForm& form) {
    Lengths lengths;
    for (const std::int64_t x : looked) {
      const std::int64_t offset = difference(x, form.reference);
      lengths.add(form.zigzag ? zigzag(offset) : static_cast<std::uint64_t>(offset));
    }
    const std::uint64_t bits = lengths.classed_bits(values.size());
    if (bits < best.bits) best = {{Mode::kClassed, form}, bits};
  };
  const std::span<const std::int64_t> steps(look.steps.data(), look.step_count);
  const std::int64_t least = least_step(values);
  consider(steps, {ClassedOf::kDifferences, false, least});
  if (const std::int64_t middle = middle_of(steps); middle != least) {
    consider(steps, {ClassedOf::kDifferences, true, middle});
  }
  if (look.frame.sum < look.delta.sum) {
    std::array<std::int64_t, kLookMax> some;
    std::size_t count = 0;
    for_stretches(values.size(), [&](std::size_t begin, std::size_t end) {
      std::copy(values.begin() + static_cast<std::ptrdiff_t>(begin), values.begin() + static_cast<std::ptrdiff_t>(end),
                some.begin() + static_cast<std::ptrdiff_t>(count));
      count += end - begin;
    });
    consider({some.data(), count}, {ClassedOf::kValues, false, figures.min});
    consider({some.data(), count}, {ClassedOf::kValues, true, middle_of({some.data(), count})});
  }
  return best;
}

Lengths lengths_beside(std::span<const std::int64_t> values, std::span<const std::int64_t> other, bool opposite) {
  Lengths lengths;
  for_stretches(values.size(), [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = std::max<std::size_t>(begin, 1); i < end; ++i) {
      const auto step = static_cast<std::uint64_t>(difference(values[i], values[i - 1]));
      const auto others = static_cast<std::uint64_t>(difference(other[i], other[i - 1]));
      lengths.add(zigzag(static_cast<std::int64_t>(opposite ? step + others : step - others)));
    }
  });
  return lengths;
}

}  // namespace

Choice choose(std::span<const std::int64_t> values, const ValueFigures& figures, std::span<const std::int64_t> other,
              bool opposite) {
  if (figures.changes == 0) return {};
  const std::size_t n = values.size();
  Look look;
  look_at(values, look);
  Best best = best_packed(look, n);
  const std::uint64_t sparse = figures.changes * kChangeBits;
  // A value that changes seldom needs no second look.
  if (sparse * 2 < best.bits) return {Mode::kSparse, {}};
  const Best classed = best_classed(values, figures, look);
  if (classed.bits * 16 < best.bits * kClassedSixteenths) best = classed;
  if (!other.empty()) {
    const std::uint64_t bits = lengths_beside(values, other, opposite).classed_bits(n) + kLikeHeadBits;
    if (bits * 16 < best.bits * kClassedSixteenths) {
      best = {{Mode::kClassed, {opposite ? ClassedOf::kOpposite : ClassedOf::kAlike, true}}, bits};
    }
  }
  return sparse < best.bits ? Choice{Mode::kSparse, {}} : best.choice;
}

std::uint64_t shape_of(std::span<const std::int64_t> values, const ValueFigures& figures) {
  const std::size_t n = values.size();
  if (n < 2 * kShapePlaces || figures.changes * kLikeValuesPerChange < n) return 0;
  std::uint64_t grows = 0;
  std::uint64_t shrinks = 0;
  for (std::size_t place = 0; place < kShapePlaces; ++place) {
    const std::size_t i = 2 + place * (n - 2) / kShapePlaces;
    const std::int64_t before = difference(values[i - 1], values[i - 2]);
    const std::int64_t now = difference(values[i], values[i - 1]);
    grows |= std::uint64_t{now > before} << place;
    shrinks |= std::uint64_t{now < before} << place;
  }
  return grows | shrinks << kShapePlaces;
}

Likenesses::Found Likenesses::find(std::uint64_t shape) const {
  Found found;
  if (shape == 0) return found;
  int least = kShapeDistanceMax + 1;
  const std::uint64_t turned = std::rotl(shape, kShapePlaces);
  for (std::size_t i = known_.size() - std::min(known_.size(), kLikeAmong); i < known_.size(); ++i) {
    const int same = std::popcount(known_[i].shape ^ shape);
    const int opposite = std::popcount(known_[i].shape ^ turned);
    if (std::min(same, opposite) >= least) continue;
    least = std::min(same, opposite);
    found = {true, known_[i].series, opposite < same};
  }
  return found;
}

}  // namespace proteus::store
