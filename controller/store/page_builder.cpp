#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

#include "controller/store/classed_values.h"
#include "controller/store/page.h"
#include "controller/store/page_choice.h"
#include "controller/store/page_head.h"
#include "controller/store/page_series.h"

namespace proteus::store {
namespace {

constexpr int kCompressionLevel = 1;

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

/// Directory columns and payloads of a page under way.
struct Columns {
  std::string entity, bucket, form, presence, shift, first, last, extremes, sum, size, rests_size, payload;
  std::string symbols, rests;
};

/// Division without a remainder by multiplication with the inverse modulo 2^64 (Granlund and Montgomery, "Division by
/// invariant integers using multiplication", PLDI 1994): several times faster than the processor's.
class ExactDivisor {
 public:
  explicit ExactDivisor(std::int64_t divisor)
      : shift_(std::countr_zero(static_cast<std::uint64_t>(divisor))),
        odd_(static_cast<std::uint64_t>(divisor) >> shift_),
        quotient_max_(std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(odd_)) {
    for (int i = 0; i < 6; ++i) inverse_ *= 2 - odd_ * inverse_;  // Newton: each turn doubles the bits that are right
  }
  bool divides(std::int64_t value) const {
    const std::int64_t quotient = divide(value);
    return (static_cast<std::uint64_t>(value) & ((std::uint64_t{1} << shift_) - 1)) == 0 && quotient <= quotient_max_ &&
           quotient >= -quotient_max_;
  }
  /// Of a multiple.
  std::int64_t divide(std::int64_t value) const {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(value >> shift_) * inverse_);
  }

 private:
  int shift_;
  std::uint64_t odd_;
  std::int64_t quotient_max_;
  std::uint64_t inverse_ = 1;
};

/// The values in units and in the largest power of two that divides them all; that power's exponent.
unsigned scale(std::span<std::int64_t> values, const ExactDivisor& unit) {
  std::uint64_t all = 0;
  for (std::int64_t& value : values) {
    value = unit.divide(value);
    all |= static_cast<std::uint64_t>(value);
  }
  const unsigned shift = all == 0 ? 0 : static_cast<unsigned>(std::countr_zero(all));
  if (shift > 0) {
    for (std::int64_t& value : values) value >>= shift;
  }
  return shift;
}

void put_extremes(std::string& out, std::int64_t first, const ValueFigures& figures) {
  put_varint(out, static_cast<std::uint64_t>(first) - static_cast<std::uint64_t>(figures.min));
  put_varint(out, static_cast<std::uint64_t>(figures.max) - static_cast<std::uint64_t>(first));
}

/// Appends `bytes` as a zstd frame, or as they are if that takes no fewer. Returns: whether they are compressed.
bool append_compressed(std::string& page, const std::string& bytes) {
  static thread_local const std::unique_ptr<ZSTD_CCtx, FreeCompressor> compressor(ZSTD_createCCtx());
  const std::size_t begin = page.size();
  page.resize(begin + ZSTD_compressBound(bytes.size()));
  const std::size_t size = ZSTD_compressCCtx(compressor.get(), page.data() + begin, page.size() - begin, bytes.data(),
                                             bytes.size(), kCompressionLevel);
  const bool compressed = ZSTD_isError(size) == 0 && size < bytes.size();
  page.resize(begin + (compressed ? size : bytes.size()));
  if (!compressed) std::memcpy(page.data() + begin, bytes.data(), bytes.size());
  return compressed;
}

/// The page of a body without its symbols and rests, and of these.
std::string make_page(PageHead head, const std::string& front, const std::string& symbols, const std::string& rests) {
  std::string page(kPageHeadBytes, '\0');
  if (symbols.empty()) {
    head.body_bytes = static_cast<std::uint32_t>(front.size());
    head.compressed = append_compressed(page, front);
  } else {
    head.format = kPageFormatClassed;
    head.body_bytes = static_cast<std::uint32_t>(front.size() + symbols.size() + rests.size());
    std::string stored;
    (void)append_compressed(stored, front);
    PageParts parts{.front = static_cast<std::uint32_t>(front.size()),
                    .front_stored = static_cast<std::uint32_t>(stored.size())};
    (void)append_compressed(stored, symbols);
    parts.symbols_stored = static_cast<std::uint32_t>(stored.size()) - parts.front_stored;
    append_parts(parts, page);
    page += stored;
    page += rests;
  }
  write_head(head, page);
  return page;
}

}  // namespace

void PageBuilder::begin(std::uint32_t ticks, std::int64_t unit) {
  if (ticks == 0 || ticks > kPageTicksMax || unit < 1) std::abort();
  ticks_ = ticks;
  unit_ = unit;
  series_.clear();
  values_.clear();
  bitmaps_.clear();
}

void PageBuilder::add(const SeriesKey& key, std::span<const std::int64_t> values,
                      std::span<const std::uint64_t> present) {
  if (values.size() != ticks_ || (!present.empty() && present.size() != (ticks_ + 63) / 64)) std::abort();
  if (!series_.empty() && !(series_.back().key < key)) std::abort();
  Collected series{.key = key, .values_at = values_.size()};
  if (present.empty()) {
    series.count = ticks_;
    values_.insert(values_.end(), values.begin(), values.end());
  } else {
    std::uint32_t last_tick = 0;
    for (std::size_t w = 0; w < present.size(); ++w) {
      for (std::uint64_t bits = present[w]; bits != 0; bits &= bits - 1) {
        const auto tick = static_cast<std::uint32_t>(64 * w + static_cast<std::size_t>(std::countr_zero(bits)));
        if (series.count == 0) series.first_tick = tick;
        last_tick = tick;
        values_.push_back(values[tick]);
        ++series.count;
      }
    }
    if (series.count == 0) return;
    const bool gapless = last_tick - series.first_tick + 1 == series.count;
    series.presence = series.count == ticks_ ? Presence::kAll : gapless ? Presence::kRun : Presence::kBitmap;
    if (series.presence == Presence::kBitmap) {
      series.bitmap_at = bitmaps_.size();
      for (std::size_t byte = 0; byte < (ticks_ + 7) / 8; ++byte) {
        bitmaps_.push_back(static_cast<char>(present[byte / 8] >> 8 * (byte % 8)));
      }
    }
  }
  series_.push_back(series);
}

std::string PageBuilder::finish() {
  if (const ExactDivisor unit(unit_);
      !std::all_of(values_.begin(), values_.end(), [&](std::int64_t v) { return unit.divides(v); })) {
    unit_ = 1;
  }
  const ExactDivisor unit(unit_);
  Columns columns;
  Likenesses likenesses;
  std::uint32_t entity_before = 0;
  for (std::size_t number = 0; number < series_.size(); ++number) {
    const Collected& series = series_[number];
    const std::span<std::int64_t> values(values_.data() + series.values_at, series.count);
    const unsigned shift = scale(values, unit);
    const ValueFigures figures = figures_of(values);
    const std::size_t payload_at = columns.payload.size();
    if (series.presence == Presence::kBitmap) columns.payload.append(bitmaps_, series.bitmap_at, (ticks_ + 7) / 8);

    const std::uint64_t shape = series.presence == Presence::kAll ? shape_of(values, figures) : 0;
    const Likenesses::Found like = likenesses.find(shape);
    std::span<const std::int64_t> other;
    if (like.any) other = {values_.data() + series_[like.series].values_at, ticks_};
    Choice choice = choose(values, figures, other, like.opposite);
    const std::size_t rests_at = columns.rests.size();
    if (choice.mode == Mode::kClassed) {
      if (choice.form.has_other()) choice.form.back = static_cast<std::uint32_t>(number - like.series);
      put_classed(choice.form, values, other, columns.payload, columns.symbols, columns.rests);
    } else {
      put_values(columns.payload, values, choice.mode);
    }
    if (shape != 0 && !choice.form.has_other()) likenesses.add(number, shape);

    put_varint(columns.entity, series.key.entity - entity_before);
    entity_before = series.key.entity;
    columns.bucket.push_back(static_cast<char>(series.key.bucket));
    columns.form.push_back(static_cast<char>(form_of(choice.mode, series.presence, figures.monotone, shift > 0)));
    if (series.presence == Presence::kRun) put_varint(columns.presence, series.first_tick);
    if (series.presence != Presence::kAll) put_varint(columns.presence, series.count);
    if (shift > 0) columns.shift.push_back(static_cast<char>(shift));
    put_varint(columns.first, zigzag(values.front()));
    if (choice.mode != Mode::kConstant) {
      const auto span = static_cast<std::uint64_t>(values.back()) - static_cast<std::uint64_t>(values.front());
      put_varint(columns.last, zigzag(static_cast<std::int64_t>(span)));
      if (!figures.monotone) put_extremes(columns.extremes, values.front(), figures);
      put_varint(columns.sum, figures.sum_above_min);
    }
    if (choice.mode != Mode::kConstant || series.presence == Presence::kBitmap) {
      put_varint(columns.size, columns.payload.size() - payload_at);
    }
    if (choice.mode == Mode::kClassed) put_varint(columns.rests_size, columns.rests.size() - rests_at);
  }
  std::string front;
  put_varint(front, static_cast<std::uint64_t>(unit_));
  for (const std::string* column :
       {&columns.entity, &columns.bucket, &columns.form, &columns.presence, &columns.shift, &columns.first,
        &columns.last, &columns.extremes, &columns.sum, &columns.size, &columns.rests_size, &columns.payload}) {
    front += *column;
  }
  return make_page({.ticks = ticks_, .series = static_cast<std::uint32_t>(series_.size())}, front, columns.symbols,
                   columns.rests);
}

}  // namespace proteus::store
