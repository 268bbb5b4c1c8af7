#include "controller/store/page.h"

#include <zstd.h>

#include <algorithm>
#include <bit>
#include <memory>

#include "controller/store/classed_values.h"
#include "controller/store/packed_block.h"
#include "controller/store/page_head.h"
#include "controller/store/page_series.h"

namespace proteus::store {
namespace {

struct FreeDecompressor {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

Error corrupt(const char* what) {
  return {ErrorCode::kCorrupt, what};
}

/// Wraps, as bytes that are no page may say anything.
std::int64_t times(std::int64_t value, std::uint64_t factor) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(value) * factor);
}
std::int64_t plus(std::int64_t value, std::uint64_t offset) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(value) + offset);
}

std::uint64_t factor_of(std::int64_t unit, unsigned shift) {
  return static_cast<std::uint64_t>(unit) << shift;
}

ByteSpan span_of(std::string_view bytes) {
  const auto* begin = reinterpret_cast<const unsigned char*>(bytes.data());
  return {begin, begin + bytes.size()};
}

/// False: it does not become `size` bytes.
bool uncompress(std::string_view bytes, char* to, std::size_t size) {
  static thread_local const std::unique_ptr<ZSTD_DCtx, FreeDecompressor> decompressor(ZSTD_createDCtx());
  const std::size_t got = ZSTD_decompressDCtx(decompressor.get(), to, size, bytes.data(), bytes.size());
  return ZSTD_isError(got) == 0 && got == size;
}

/// form and presence columns of one entry. False: they are impossible.
bool read_form(unsigned char form, PageEntry& entry) {
  const unsigned mode = form & 7;
  const unsigned presence = form >> 3 & 3;
  if (mode > static_cast<unsigned>(Mode::kClassed) || presence > static_cast<unsigned>(Presence::kBitmap)) {
    return false;
  }
  entry.mode = static_cast<Mode>(mode);
  entry.presence = static_cast<Presence>(presence);
  entry.monotone = (form >> 5 & 1) != 0;
  entry.shift = form >> 6 & 1;  // replaced by the shift itself once its column is read
  return form < 128;
}

bool read_presence(ByteSpan& in, std::uint32_t ticks, PageEntry& entry) {
  const std::uint64_t first = entry.presence == Presence::kRun ? in.varint() : 0;
  const std::uint64_t count = entry.presence == Presence::kAll ? ticks : in.varint();
  if (count == 0 || count > ticks || first > ticks - count) return false;
  entry.first_tick = static_cast<std::uint32_t>(first);
  entry.count = static_cast<std::uint32_t>(count);
  return true;
}

}  // namespace

bool can_be_read(std::string_view page) {
  const auto head = read_head(page);
  return head && head->body_bytes <= kPageBodyBytesMax && head->series <= kPageSeriesMax;
}

Result<Page> Page::open(std::string_view bytes) {
  const auto head = read_head(bytes);
  if (!head) return head.error();
  const std::string_view body = bytes.substr(kPageHeadBytes);
  if (head->body_bytes > kPageBodyBytesMax) return corrupt("a page's body is too large");
  if (head->format == kPageFormat && !head->compressed) {
    if (body.size() != head->body_bytes) return corrupt("a page's body has the wrong size");
    return from_body(body, head->ticks, head->series);
  }
  Page page;
  page.ticks_ = head->ticks;
  page.make_body(head->body_bytes);
  if (head->format == kPageFormatClassed) {
    if (const Status parts = page.uncompress_parts(body); !parts) return parts.error();
  } else if (!uncompress(body, page.body_.get(), head->body_bytes)) {
    return corrupt("a page's body does not uncompress");
  }
  if (const Status read = page.read_directory(head->series); !read) return read.error();
  return page;
}

Status Page::uncompress_parts(std::string_view stored) {
  const auto parts = take_parts(stored);
  if (!parts) return parts.error();
  const std::string_view rests = stored.substr(parts->front_stored + parts->symbols_stored);
  if (parts->front > body_bytes_ || rests.size() > body_bytes_ - parts->front) {
    return corrupt("a page's parts do not fit its body");
  }
  const std::size_t symbols = body_bytes_ - parts->front - rests.size();
  const auto take = [](std::string_view part, char* to, std::size_t size) {
    if (part.size() != size) return uncompress(part, to, size);
    std::copy(part.begin(), part.end(), to);
    return true;
  };
  if (!take(stored.substr(0, parts->front_stored), body_.get(), parts->front) ||
      !take(stored.substr(parts->front_stored, parts->symbols_stored), body_.get() + parts->front, symbols)) {
    return corrupt("a page's parts do not uncompress");
  }
  std::copy(rests.begin(), rests.end(), body_.get() + parts->front + symbols);
  return {};
}

Result<Page> Page::from_body(std::string_view body, std::uint32_t ticks, std::uint32_t series) {
  Page page;
  page.ticks_ = ticks;
  page.make_body(body.size());
  std::copy(body.begin(), body.end(), page.body_.get());
  if (const Status read = page.read_directory(series); !read) return read.error();
  return page;
}

/// Not cleared but for the padding: all of it is written over.
void Page::make_body(std::size_t bytes) {
  body_ = std::make_unique_for_overwrite<char[]>(bytes + kBlockPadding);
  body_bytes_ = bytes;
  std::fill_n(body_.get() + bytes, kBlockPadding, '\0');
}

Status Page::read_directory(std::uint32_t series) {
  ByteSpan in = span_of(body());
  // Each entry takes four bytes at least, so that the directory is bounded by the body.
  if (ticks_ == 0 || ticks_ > kPageTicksMax || series > kPageSeriesMax || series > in.remaining() / 4) {
    return corrupt("a page's head is impossible");
  }
  const std::uint64_t unit = in.varint();
  if (unit == 0 || unit > std::uint64_t{1} << 62) return corrupt("a page's unit is impossible");
  unit_ = static_cast<std::int64_t>(unit);
  entries_.resize(series);
  std::uint64_t entity = 0;
  for (PageEntry& entry : entries_) {
    entity += in.varint();
    if (entity > 0xffffffff) return corrupt("a page's entity is too large");
    entry.key.entity = static_cast<std::uint32_t>(entity);
  }
  for (PageEntry& entry : entries_) entry.key.bucket = in.byte();
  for (PageEntry& entry : entries_) {
    if (!read_form(in.byte(), entry)) return corrupt("a page's form is impossible");
  }
  for (std::size_t i = 1; i < entries_.size(); ++i) {
    if (!(entries_[i - 1].key < entries_[i].key)) return corrupt("a page's series are out of order");
  }
  for (PageEntry& entry : entries_) {
    if (!read_presence(in, ticks_, entry)) return corrupt("a page's presence is impossible");
  }
  for (PageEntry& entry : entries_) {
    if (entry.shift != 0) entry.shift = in.byte();
    if (entry.shift > 63) return corrupt("a page's shift is impossible");
  }
  for (PageEntry& entry : entries_) entry.first = in.signed_varint();
  for (PageEntry& entry : entries_) {
    entry.last =
        entry.mode == Mode::kConstant ? entry.first : plus(entry.first, static_cast<std::uint64_t>(in.signed_varint()));
  }
  for (PageEntry& entry : entries_) {
    entry.min = entry.first;
    entry.max = entry.last;
    if (entry.mode == Mode::kConstant || entry.monotone) continue;
    entry.min = plus(entry.first, ~in.varint() + 1);
    entry.max = plus(entry.first, in.varint());
  }
  for (PageEntry& entry : entries_) {
    if (entry.mode != Mode::kConstant) entry.sum_above_min = in.varint128();
  }
  std::uint64_t payload_at = 0;
  for (PageEntry& entry : entries_) {
    if (entry.mode == Mode::kConstant && entry.presence != Presence::kBitmap) continue;
    const std::uint64_t size = in.varint();
    if (size > kPageBodyBytesMax - payload_at) return corrupt("a page's payload is too large");
    entry.payload_at = static_cast<std::uint32_t>(payload_at);
    entry.payload_bytes = static_cast<std::uint32_t>(size);
    payload_at += size;
  }
  std::uint64_t symbols = 0;
  std::uint64_t rests = 0;
  for (PageEntry& entry : entries_) {
    if (entry.mode != Mode::kClassed) continue;
    const std::uint64_t size = in.varint();
    if (size > kPageBodyBytesMax - rests || entry.count < 2) return corrupt("a page's rests are impossible");
    entry.symbols_at = static_cast<std::uint32_t>(symbols);
    entry.rests_at = static_cast<std::uint32_t>(rests);
    entry.rests_bytes = static_cast<std::uint32_t>(size);
    symbols += entry.count - 1;
    rests += size;
    if (symbols > kPageBodyBytesMax) return corrupt("a page has too many symbols");
  }
  if (!in.ok || in.remaining() != payload_at + symbols + rests) {
    return corrupt("a page's directory does not fit its payloads");
  }
  const auto rests_at = static_cast<std::uint32_t>(body_bytes_ - rests);
  const auto symbols_at = static_cast<std::uint32_t>(rests_at - symbols);
  const auto payloads_at = static_cast<std::uint32_t>(symbols_at - payload_at);
  for (PageEntry& entry : entries_) {
    entry.payload_at += payloads_at;
    entry.symbols_at += symbols_at;
    entry.rests_at += rests_at;
    entry.first_in_units = entry.first;
    const std::uint64_t factor = factor_of(unit_, entry.shift);
    for (std::int64_t* value : {&entry.first, &entry.last, &entry.min, &entry.max}) *value = times(*value, factor);
    entry.sum_above_min *= factor;
  }
  return {};
}

const PageEntry* Page::find(const SeriesKey& key) const {
  const auto found = std::lower_bound(entries_.begin(), entries_.end(), key,
                                      [](const PageEntry& entry, const SeriesKey& k) { return entry.key < k; });
  return found != entries_.end() && found->key == key ? &*found : nullptr;
}

std::span<const PageEntry> Page::of_entity(std::uint32_t entity) const {
  const auto before = [](const PageEntry& entry, const SeriesKey& k) { return entry.key < k; };
  const auto begin = std::lower_bound(entries_.begin(), entries_.end(), SeriesKey{entity, 0}, before);
  auto end = begin;
  while (end != entries_.end() && end->key.entity == entity) ++end;
  return {begin, end};
}

Status Page::decode(const PageEntry& entry, std::vector<std::int64_t>& values) const {
  return decode(entry, {.factor = factor_of(unit_, entry.shift), .numbers = {}}, values);
}

Status Page::decode_at(const PageEntry& entry, std::span<const std::uint32_t> wanted,
                       std::vector<std::int64_t>& values) const {
  return decode(entry, {.factor = factor_of(unit_, entry.shift), .numbers = wanted}, values);
}

Status Page::decode(const PageEntry& entry, const Wanted& wanted, std::vector<std::int64_t>& values) const {
  values.resize(wanted.numbers.empty() ? entry.count : wanted.numbers.size());
  const std::size_t bitmap = entry.presence == Presence::kBitmap ? (ticks_ + 7) / 8 : 0;
  if (bitmap > entry.payload_bytes) return corrupt("a page's bitmap is cut off");
  const ByteSpan in = span_of(body().substr(entry.payload_at + bitmap, entry.payload_bytes - bitmap));
  if (entry.mode == Mode::kClassed) return decode_classed(entry, in, wanted, values);
  const bool taken = wanted.numbers.empty() ? take_values(in, entry.mode, entry.first_in_units, wanted.factor, values)
                                            : take_values_at(in, entry.mode, entry.first_in_units, wanted.factor,
                                                             entry.count, wanted.numbers, values);
  return taken ? Status() : corrupt("a page's values do not decode");
}

Status Page::decode_classed(const PageEntry& entry, ByteSpan payload, const Wanted& wanted,
                            std::vector<std::int64_t>& values) const {
  static thread_local std::vector<std::int64_t> others;
  ClassedHead head;
  if (!take_classed_head(payload, head)) return corrupt("a page's classes are impossible");
  if (head.form.has_other()) {
    const auto number = static_cast<std::size_t>(&entry - entries_.data());
    if (!wanted.may_name_other || head.form.back > number || entry.presence != Presence::kAll) {
      return corrupt("a page's series is like one that it cannot be like");
    }
    const PageEntry& other = entries_[number - head.form.back];
    if (other.presence != Presence::kAll) return corrupt("a page's series is like one with gaps");
    const Status decoded = decode(other, {.factor = 1, .may_name_other = false, .numbers = {}}, others);
    if (!decoded) return decoded;
  }
  const ByteSpan rests = span_of(body().substr(entry.rests_at, entry.rests_bytes));
  const ByteSpan symbols = span_of(body().substr(entry.symbols_at, entry.count - 1));
  if (!take_classed(head, {symbols.at, symbols.remaining()}, rests, entry.first_in_units, wanted.factor, others,
                    wanted.numbers, values)) {
    return corrupt("a page's classed values do not decode");
  }
  return {};
}

Status Page::ticks_of(const PageEntry& entry, std::vector<std::uint32_t>& ticks) const {
  ticks.resize(entry.count);
  if (entry.presence != Presence::kBitmap) {
    for (std::uint32_t i = 0; i < entry.count; ++i) ticks[i] = entry.first_tick + i;
    return {};
  }
  const std::size_t bytes = (ticks_ + 7) / 8;
  if (bytes > entry.payload_bytes) return corrupt("a page's bitmap is cut off");
  std::size_t count = 0;
  for (std::size_t byte = 0; byte < bytes; ++byte) {
    auto bits = static_cast<unsigned>(static_cast<unsigned char>(body_[entry.payload_at + byte]));
    for (; bits != 0; bits &= bits - 1) {
      const auto tick = static_cast<std::uint32_t>(8 * byte + static_cast<std::size_t>(std::countr_zero(bits)));
      if (count == ticks.size() || tick >= ticks_) return corrupt("a page's bitmap does not fit its count");
      ticks[count++] = tick;
    }
  }
  if (count != ticks.size()) return corrupt("a page's bitmap does not fit its count");
  return {};
}

}  // namespace proteus::store
