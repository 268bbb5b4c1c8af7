#include "controller/store/encoded_head.h"

#include <algorithm>

#include "common/log.h"
#include "controller/store/page.h"

namespace proteus::store {
namespace {

/// Where in the window of ten minutes a host's windows begin. The same in every process.
std::int64_t window_offset_us(const HostId& host) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : host.value) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(kWindowUs));
}

std::int64_t window_of(const HostId& host, Timestamp time) {
  return (to_us(time) + window_offset_us(host)) / kWindowUs;
}
bool ends_window(const HostId& host, const EncodedRow& before, const EncodedRow& row) {
  return row.time_us() <= before.time_us() || window_of(host, row.frame->time) != window_of(host, before.frame->time);
}

}  // namespace

void HeadSize::add(const EncodedRow& row) {
  ++rows_;
  bytes_ += row.bytes();
  values_ += row.known->quanta.size();
  if (std::find(catalogs_.rbegin(), catalogs_.rend(), row.known.get()) != catalogs_.rend()) return;
  catalogs_.push_back(row.known.get());
  catalog_bytes_ += row.known->memory_bytes;
}

bool HeadSize::is_full() const {
  return rows_ >= kChunkTicksMax || (rows_ >= kChunkTicksMin && bytes_ >= kChunkBytesMax) ||
         bytes_ >= kPageBodyBytesMax / 4 || values_ >= kChunkValuesMax || catalog_bytes_ >= kChunkCatalogBytesMax;
}

std::span<const HeadRow> decode(std::span<const EncodedRow> encoded, wire::FrameBases& bases,
                                std::vector<HeadRow>& rows) {
  if (rows.size() < encoded.size()) rows.resize(encoded.size());
  std::size_t count = 0;
  for (const EncodedRow& row : encoded) {
    HeadRow& to = rows[count];
    if (const Status decoded = bases.decode(*row.frame, *row.known, to.frame); !decoded) {
      log::debug("pages: telemetry of {}: {}", row.known->catalog->host.value, decoded.error().message);
      continue;
    }
    to.lsn = row.lsn;
    to.received = row.received;
    to.catalog = row.catalog;
    ++count;
  }
  return {rows.data(), count};
}

Cut cut(const HostId& host, std::span<const EncodedRow> rows) {
  Cut chunk;
  if (rows.empty()) return chunk;
  HeadSize size;
  size.add(rows.front());
  for (chunk.rows = 1; chunk.rows < rows.size() && !size.is_full(); ++chunk.rows) {
    if (ends_window(host, rows[chunk.rows - 1], rows[chunk.rows])) {
      chunk.complete = chunk.ends_window = true;
      return chunk;
    }
    size.add(rows[chunk.rows]);
  }
  chunk.complete = size.is_full();
  chunk.ends_window = chunk.rows < rows.size() && ends_window(host, rows[chunk.rows - 1], rows[chunk.rows]);
  return chunk;
}

bool completes(const HostId& host, std::span<const EncodedRow> rows, const HeadSize& size) {
  return size.is_full() || (rows.size() > 1 && ends_window(host, rows[rows.size() - 2], rows.back()));
}

}  // namespace proteus::store
