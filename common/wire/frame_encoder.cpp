#include <endian.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <string>

#include "common/log.h"
#include "common/wire/capnp_bytes.h"
#include "common/wire/telemetry_codec.h"
#include "schemas/telemetry.capnp.h"

namespace proteus::wire {
namespace {

std::int64_t floor_divide(std::int64_t value, std::int64_t quantum) {
  if (quantum == 1) return value;
  const std::int64_t quotient = value / quantum;
  return quotient - (value % quantum < 0 ? 1 : 0);
}

std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

/// Differences wrap: the extremes of 64 bits are further apart than 64 bits can say.
std::int64_t wrapping_difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

/// Writes at `out`, which has kVarintBytesMax bytes of room. Returns: the end. Lengths follow no pattern that a
/// processor could guess, so that but for the largest there is no loop: the seven bits of each byte are moved to its
/// place.
char* put_varint(char* out, std::uint64_t value) {
  if (value >> 56 != 0) [[unlikely]] {
    while (value >= 0x80) {
      *out++ = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    *out++ = static_cast<char>(value);
    return out;
  }
  const auto length = (static_cast<unsigned>(std::bit_width(value | 1)) + 6) / 7;
  value = (value & 0x0000'0000'0fff'ffff) | (value & 0x00ff'ffff'f000'0000) << 4;
  value = (value & 0x0000'3fff'0000'3fff) | (value & 0x0fff'c000'0fff'c000) << 2;
  value = (value & 0x007f'007f'007f'007f) | (value & 0x3f80'3f80'3f80'3f80) << 1;
  const std::uint64_t others = (std::uint64_t{1} << 8 * (length - 1)) - 1;  // bytes before the last
  value = htole64(value | (0x8080'8080'8080'8080 & others));
  std::memcpy(out, &value, sizeof value);
  return out + length;
}

constexpr std::size_t kGroup = 8;  // series whose presence is one byte

/// The presence of a group: eight flags, of which 0 is absent.
std::uint8_t presence_of(const std::uint8_t* flags) {
  unsigned bits = 0;
  for (std::size_t k = 0; k < kGroup; ++k) bits |= static_cast<unsigned>(flags[k] != 0) << k;
  return static_cast<std::uint8_t>(bits);
}

bool is_same_group(const std::int64_t* a, const std::int64_t* b) {
  std::uint64_t differs = 0;
  for (std::size_t k = 0; k < kGroup; ++k) differs |= static_cast<std::uint64_t>(a[k] ^ b[k]);
  return differs == 0;
}

}  // namespace

void FrameEncoder::begin_stream() {
  catalog_.reset();
  previous_sequence_ = 0;
}

void FrameEncoder::encode(const Sample& sample, std::vector<std::string>& messages) {
  const Frame& frame = sample.frame;
  const std::size_t count = frame.values.size();
  if (sample.catalog == nullptr || frame.present.size() != count || sample.catalog->series.size() != count ||
      frame.boot_id != sample.catalog->boot_id || frame.catalog_version != sample.catalog->version) {
    log::error("frame {} does not fit its catalog", frame.sequence);
    std::abort();
  }
  const bool is_new_boot = catalog_ == nullptr || catalog_->boot_id != sample.catalog->boot_id;
  if (is_new_boot) previous_sequence_ = 0;
  const bool is_new_catalog = is_new_boot || catalog_->version != sample.catalog->version;
  if (is_new_catalog) {
    catalog_ = sample.catalog;
    quanta_ = quanta_of(*catalog_);
    is_counted_.assign(count / kGroup, 1);
    for (std::size_t i = 0; i < count / kGroup * kGroup; ++i) is_counted_[i / kGroup] &= quanta_[i] == 1 ? 1 : 0;
    columns_.resize(count * kVarintBytesMax);
    messages.push_back(wire::encode(*catalog_));
  }
  const bool is_keyframe = is_new_catalog || since_keyframe_ + 1 >= keyframe_interval_;
  since_keyframe_ = is_keyframe ? 0 : since_keyframe_ + 1;
  if (is_keyframe) base_.assign(count, 0);

  presence_.assign((count + kGroup - 1) / kGroup, '\0');
  char* end = columns_.data();
  const auto put = [&](std::size_t i) {
    const std::int64_t value = floor_divide(frame.values[i], quanta_[i]);
    end = put_varint(end, zigzag(wrapping_difference(value, base_[i])));
    base_[i] = value;
  };
  std::size_t i = 0;
  for (; i + kGroup <= count; i += kGroup) {
    const std::uint8_t bits = presence_of(&frame.present[i]);
    presence_[i / kGroup] = static_cast<char>(bits);
    if (bits == 0xff && is_counted_[i / kGroup] != 0 && is_same_group(&frame.values[i], &base_[i])) {
      std::memset(end, 0, kGroup);  // most of a frame are counts that stand still
      end += kGroup;
      continue;
    }
    for (std::size_t k = 0; k < kGroup; ++k) {
      if ((bits >> k & 1) != 0) {
        put(i + k);
      } else {
        base_[i + k] = 0;
      }
    }
  }
  for (; i < count; ++i) {
    if (frame.present[i] == 0) {
      base_[i] = 0;
      continue;
    }
    presence_[i / kGroup] = static_cast<char>(presence_[i / kGroup] | 1 << i % kGroup);
    put(i);
  }
  const std::size_t size = static_cast<std::size_t>(end - columns_.data());

  // One segment: the columns, and a few words of structure.
  capnp::MallocMessageBuilder message(static_cast<unsigned>((presence_.size() + size) / 8 + 32));
  auto out = message.initRoot<schema::Upstream>().initFrame();
  out.setBootId(frame.boot_id);
  out.setCatalogVersion(frame.catalog_version);
  out.setSequence(frame.sequence);
  out.setBaseSequence(is_keyframe ? 0 : previous_sequence_);
  out.setPreviousSequence(previous_sequence_);
  out.setTimeNs(to_unix_ns(frame.time));
  out.setPresence({reinterpret_cast<const capnp::byte*>(presence_.data()), presence_.size()});
  out.setValues({reinterpret_cast<const capnp::byte*>(columns_.data()), size});
  messages.push_back(to_bytes(message));
  previous_sequence_ = frame.sequence;
}

}  // namespace proteus::wire
