#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/kpi.h"
#include "common/telemetry.h"

namespace proteus::collect {

/// The largest multiple of `quantum` that is not above `value`. Since a counter is floored and not its increments, the
/// sum of what is sent is never off by more than one quantum.
constexpr std::int64_t quantised(std::int64_t value, std::int64_t quantum) {
  if (quantum == 1) return value;  // most figures, and a division is dear
  const std::int64_t remainder = value % quantum;
  return value - (remainder < 0 ? remainder + quantum : remainder);
}

constexpr std::size_t kKpiNumbersMost = 256;
/// The quantum of each KPI by its number: info(kpi) searches, and the walk asks for every value of every tick.
const std::array<std::int64_t, kKpiNumbersMost>& kpi_quanta();

// One walk over a host's entities and figures serves two listeners, so that the columns of a frame cannot fall out of
// step with the catalog. entity(make) begins an entity and returns its index; value(kpi, figure) and histogram(kpi,
// buckets), kHistogramBucketCount of them or null where there are none this time, belong to the entity begun last.

/// Writes down the names.
class CatalogSink {
 public:
  /// Makes room for as many as there were the last time.
  explicit CatalogSink(std::size_t entities = 0, std::size_t series = 0) {
    entities_.reserve(entities);
    series_.reserve(series);
  }
  static constexpr bool wants_values() { return false; }

  template <typename Make>
  std::uint32_t entity(Make make) {
    entities_.push_back(make());
    return static_cast<std::uint32_t>(entities_.size() - 1);
  }
  void value(Kpi kpi, std::optional<std::int64_t>) { add(kpi, 0); }
  template <typename Count>
  void histogram(Kpi kpi, const Count*) {
    for (std::size_t b = 0; b < kHistogramBucketCount; ++b) add(kpi, static_cast<std::uint8_t>(b));
  }

  const std::vector<Entity>& entities() const { return entities_; }
  const std::vector<Series>& series() const { return series_; }
  std::vector<Entity> take_entities() { return std::move(entities_); }
  std::vector<Series> take_series() { return std::move(series_); }

 private:
  void add(Kpi kpi, std::uint8_t bucket) {
    series_.push_back({static_cast<std::uint32_t>(entities_.size() - 1), kpi, bucket});
  }

  std::vector<Entity> entities_;
  std::vector<Series> series_;
};

/// Writes down the values; allocates nothing but the frame's two columns.
class FrameSink {
 public:
  FrameSink(const Catalog& catalog, Frame& frame) : quanta_(kpi_quanta()), frame_(frame) {
    frame_.present.reserve(catalog.series.size());
    frame_.values.reserve(catalog.series.size());
  }
  static constexpr bool wants_values() { return true; }

  template <typename Make>
  std::uint32_t entity(Make) {
    return entity_count_++;
  }
  void value(Kpi kpi, std::optional<std::int64_t> figure) {
    frame_.present.push_back(figure ? 1 : 0);
    frame_.values.push_back(figure ? quantised(*figure, quanta_[static_cast<std::size_t>(kpi)]) : 0);
  }
  /// Counts, which have no quantum; most of a frame are such.
  template <typename Count>
  void histogram(Kpi, const Count* buckets) {
    frame_.present.insert(frame_.present.end(), kHistogramBucketCount, buckets != nullptr ? 1 : 0);
    if (buckets != nullptr) {
      frame_.values.insert(frame_.values.end(), buckets, buckets + kHistogramBucketCount);
    } else {
      frame_.values.insert(frame_.values.end(), kHistogramBucketCount, 0);
    }
  }

 private:
  const std::array<std::int64_t, kKpiNumbersMost>& quanta_;
  Frame& frame_;
  std::uint32_t entity_count_ = 0;
};

}  // namespace proteus::collect
