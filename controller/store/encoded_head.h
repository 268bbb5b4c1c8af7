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

/// Of more than this, values of all its ticks or memory of its catalogs, no chunk is made, however few ticks it has:
/// the former are decoded together, the latter are held meanwhile. Nor of a quarter of the bytes that a page may have
/// (kPageBodyBytesMax): all may be of one KPI.
constexpr std::size_t kChunkValuesMax = 16u << 20;
constexpr std::size_t kChunkCatalogBytesMax = 64u << 20;

/// How large rows that follow each other are.
class HeadSize {
 public:
  void add(const EncodedRow& row);
  /// They are a chunk, though their window may go on.
  bool is_full() const;

 private:
  std::size_t rows_ = 0;
  std::size_t bytes_ = 0;   // EncodedRow::bytes
  std::size_t values_ = 0;  // decoded
  std::size_t catalog_bytes_ = 0;
  std::vector<const wire::KnownCatalog*> catalogs_;  // different ones; only compared
};

/// How many rows from the front make a chunk, and whether its window has ended behind them.
struct Cut {
  std::size_t rows = 0;
  bool complete = false;
  bool ends_window = false;
};
Cut cut(const HostId& host, std::span<const EncodedRow> rows);
/// Whether the newest row makes what is in front of it, or itself, complete; the others were looked at before.
/// size: of all rows.
bool completes(const HostId& host, std::span<const EncodedRow> rows, const HeadSize& size);

}  // namespace proteus::store
