#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "controller/store/varint.h"

/// A page: the series of one KPI of one host over the ticks of one window, side by side so that neighbours compress
/// each other. Every series has its figures in a directory, which is read without decoding a value.
///
///   u8    format: 2 if a series is in classes, else 1
///   u8    format 1: 1 if the body is a zstd frame, 0 if it is as it is; format 2: 0
///   u16   0
///   u32   ticks, 1 … 65,536            numbers of the head are little-endian
///   u32   series, 0 … 1,048,576
///   u32   size of the body, uncompressed, at most 64 MiB
///   u64   XXH64 of the body as it is here, its seed the XXH64 (seed 0) of the 16 bytes above
///   [u32 × 3  format 2: front, its size here, symbols' size here]
///   …     body, to the end
///
/// The body is a varint `unit` (values are multiples of it and divided by it), the directory, the payloads and, in
/// format 2, the symbols and the rests of series in classes (classed_values.h), in the directory's order. What is in
/// front of the symbols is called front. In format 2 front and symbols are each a zstd frame of their own, unless they
/// have the same size here as uncompressed, and the rests are as they are. The checksum goes over all behind the head.
/// The directory goes column by column, each for all series in ascending order of (entity, bucket):
///
///   entity      varint: difference from the series before (the first: from 0)
///   bucket      u8
///   form        u8: bits 0-2 Mode, 3-4 Presence, 5 monotone (never falls), 6 has a shift, 7 is 0
///   presence    one column: of kRun varint first tick, varint count; of kBitmap varint count; of kAll nothing
///   shift       u8, if it has one: values are also divided by 2^shift
///   first       varint, zigzag
///   last        varint, zigzag, last − first; not of a constant
///   min, max    one column of pairs: varint first − min, varint max − first; neither of a constant nor of a monotone
///               series
///   sum         varint of up to 128 bits, Σ (value − min); not of a constant
///   size        varint: bytes of the payload; not of a constant without a bitmap
///   rests       varint: bytes of its rests; only of a series in classes
///
/// A payload begins, for kBitmap, with one bit for each tick (⌈ticks/8⌉ bytes, the first in the lowest bit, n of them
/// set). n values follow, by Mode:
///
///   kConstant      nothing
///   kSparse        for each change: varint number of values between the one that changed last (at the begin: before
///                  the first, which counts) and this one, 0 being the very next; varint difference (zigzag); to the
///                  payload's end
///   kFrame         the values in blocks of 128 (packed_block.h), the last shorter
///   kDelta         the n − 1 differences between neighbours, in blocks
///   kDeltaOfDelta  varint first difference (zigzag), then the n − 2 differences between differences, in blocks
///   kClassed       see classed_values.h; n − 1 symbols. Another series that it names has, like itself, a value at
///                  every tick (kAll) and names none; its values count in its own units and shift
///
/// In format 2 the size of the body is front + symbols + rests, without the three u32, which are little-endian as the
/// rest of the head; seed and checksum cover them too. Symbols: Σ (n − 1) over the series in classes.
/// Refused: a unit of 0 or above 2^62, a shift above 63, an entity above 2^32 − 1, more series than a quarter of what
/// the body has left, kClassed with fewer than 2 values, a count of 0 or beyond the ticks. Not looked at: the u16 of
/// the head, padding bits of blocks, and exceptions there that packed_block.h does not write.
///
/// Differences wrap at 64 bits. Thread: a Page is immutable and may be read by any; a builder belongs to one.
namespace proteus::store {

constexpr std::uint32_t kPageTicksMax = 65'536;
constexpr std::uint32_t kPageSeriesMax = 1'048'576;
constexpr std::uint32_t kPageBodyBytesMax = 64u << 20;

enum class Mode : std::uint8_t { kConstant, kSparse, kFrame, kDelta, kDeltaOfDelta, kClassed };
enum class Presence : std::uint8_t { kAll, kRun, kBitmap };

/// Whose values: the entity by the number that the store gave it within its host, and the histogram's bucket or 0.
struct SeriesKey {
  std::uint32_t entity = 0;
  std::uint8_t bucket = 0;
  auto operator<=>(const SeriesKey&) const = default;
};

/// The ticks that have a value, as bits of words, the first tick in the lowest bit of the first.
using PresenceWords = std::vector<std::uint64_t>;

/// What a page's directory says of a series.
struct PageEntry {
  SeriesKey key;
  Mode mode = Mode::kConstant;
  Presence presence = Presence::kAll;
  bool monotone = false;
  std::uint8_t shift = 0;
  std::uint32_t first_tick = 0;  ///< of kRun
  std::uint32_t count = 0;       ///< values, at least 1
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::int64_t min = 0;
  std::int64_t max = 0;
  Uint128 sum_above_min = 0;        ///< Σ (value − min)
  std::int64_t first_in_units = 0;  ///< first / (unit · 2^shift)
  std::uint32_t payload_at = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t symbols_at = 0;  ///< of kClassed, as the next two
  std::uint32_t rests_at = 0;
  std::uint32_t rests_bytes = 0;

  double sum() const { return static_cast<double>(min) * count + static_cast<double>(sum_above_min); }
  /// Whether it has a value at every tick, never falls, and 64 bits hold what it grows by.
  bool only_grows() const {
    std::int64_t increase = 0;
    return presence == Presence::kAll && monotone && !__builtin_sub_overflow(last, first, &increase);
  }
};

/// Whether a page that was made has no more series, and no larger a body, than open() takes.
bool can_be_read(std::string_view page);

/// Makes pages, one after the other, and uses its memory again.
class PageBuilder {
 public:
  /// Begins a page. unit: at least 1. If a value is no multiple of it, the page is built with 1.
  PageBuilder(std::uint32_t ticks, std::int64_t unit) { begin(ticks, unit); }
  void begin(std::uint32_t ticks, std::int64_t unit);

  /// values: one for each tick, whatever it is where there is none. present: which ticks have a value; empty: all.
  /// A series without a value is left out. Keys ascend.
  void add(const SeriesKey& key, std::span<const std::int64_t> values, std::span<const std::uint64_t> present);
  bool empty() const { return series_.empty(); }
  /// The page's bytes; can_be_read() is for the caller to ask. begin() comes next.
  std::string finish();

 private:
  struct Collected {
    SeriesKey key;
    Presence presence = Presence::kAll;
    std::uint32_t first_tick = 0;
    std::uint32_t count = 0;
    std::size_t values_at = 0;  // in values_
    std::size_t bitmap_at = 0;  // in bitmaps_
  };
  std::uint32_t ticks_ = 0;
  std::int64_t unit_ = 1;
  std::vector<Collected> series_;
  std::vector<std::int64_t> values_;  // those that are there, of one series after the other
  std::string bitmaps_;
};

class Page {
 public:
  /// Verifies the checksum, uncompresses, reads the directory. Errors: kCorrupt; kUnsupported for another format.
  static Result<Page> open(std::string_view bytes);
  /// A body without head and checksum; what a fuzzer feeds. Errors: kCorrupt.
  static Result<Page> from_body(std::string_view body, std::uint32_t ticks, std::uint32_t series);

  std::uint32_t ticks() const { return ticks_; }
  std::int64_t unit() const { return unit_; }
  const std::vector<PageEntry>& entries() const { return entries_; }
  std::size_t memory_bytes() const { return body_bytes_ + entries_.size() * sizeof(PageEntry); }
  /// nullptr if the page has no such series.
  const PageEntry* find(const SeriesKey& key) const;
  /// The entries of one entity, in ascending order of the bucket.
  std::span<const PageEntry> of_entity(std::uint32_t entity) const;

  /// The `count` values of an entry of this page, in order. values: resized. Errors: kCorrupt.
  Status decode(const PageEntry& entry, std::vector<std::int64_t>& values) const;
  /// Of these the ones with the numbers `wanted`, at least one, ascending and below `count`: what lies between two of a
  /// counter is not needed for what it grew by. values: resized. Errors: kCorrupt.
  Status decode_at(const PageEntry& entry, std::span<const std::uint32_t> wanted,
                   std::vector<std::int64_t>& values) const;
  /// Which ticks the values belong to, ascending; resized to `count`. Errors: kCorrupt.
  Status ticks_of(const PageEntry& entry, std::vector<std::uint32_t>& ticks) const;

 private:
  Page() = default;
  void make_body(std::size_t bytes);
  std::string_view body() const { return {body_.get(), body_bytes_}; }
  Status read_directory(std::uint32_t series);
  Status uncompress_parts(std::string_view stored);
  /// What is decoded of an entry, and how.
  struct Wanted {
    std::uint64_t factor = 1;
    bool may_name_other = true;
    std::span<const std::uint32_t> numbers;  // empty: all
  };
  Status decode(const PageEntry& entry, const Wanted& wanted, std::vector<std::int64_t>& values) const;
  Status decode_classed(const PageEntry& entry, ByteSpan payload, const Wanted& wanted,
                        std::vector<std::int64_t>& values) const;

  std::uint32_t ticks_ = 0;
  std::int64_t unit_ = 1;
  std::unique_ptr<char[]> body_;  // with kBlockPadding zeroes behind it
  std::size_t body_bytes_ = 0;    // without them
  std::vector<PageEntry> entries_;
};

}  // namespace proteus::store
