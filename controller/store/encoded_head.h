#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/wire/telemetry_codec.h"
#include "controller/store/series_head.h"

/// The ticks of one host that are in no page yet, as they came off the wire: a fifth of what they take decoded. Values
/// are looked at when ticks are sealed or asked for.
namespace proteus::store {

struct EncodedRow {
  std::uint64_t lsn = 0;
  Timestamp received;  ///< controller's clock
  std::shared_ptr<const wire::KnownCatalog> known;
  std::shared_ptr<const PlacedCatalog> catalog;     ///< of `known`
  std::shared_ptr<const wire::EncodedFrame> frame;  ///< shared with copies that queries take

  std::int64_t time_us() const { return to_us(frame->time); }
  /// Memory of its values.
  std::size_t bytes() const { return frame->presence.size() + frame->values.size(); }
};

/// A chunk is as long as its window, so that it need not be read and written again when that ends; of more ticks than
/// the former only while it holds fewer bytes (EncodedRow::bytes) than the latter.
constexpr std::size_t kChunkTicksMin = 128;
constexpr std::size_t kChunkTicksMax = 640;  ///< of a host that ticks faster than once a second
constexpr std::size_t kChunkBytesMax = 3u << 19;

/// Decodes rows that follow each other. bases: what the first of them builds on; left as the last one leaves it.
/// rows: their memory is used again; what is behind the returned ones means nothing.
/// Returns: those that could be decoded, the others left out.
std::span<const HeadRow> decode(std::span<const EncodedRow> encoded, wire::FrameBases& bases,
                                std::vector<HeadRow>& rows);

/// Length of the windows that pages are joined for.
constexpr std::int64_t kWindowUs = 10 * 60 * 1'000'000LL;

/// How many rows from the front make a chunk, and whether its window has ended behind them.
struct Cut {
  std::size_t rows = 0;
  bool complete = false;
  bool ends_window = false;
};
Cut cut(const HostId& host, std::span<const EncodedRow> rows);
/// Whether the newest row makes what is in front of it, or itself, complete; the others were looked at before.
/// bytes: of all rows.
bool completes(const HostId& host, std::span<const EncodedRow> rows, std::size_t bytes);

}  // namespace proteus::store
