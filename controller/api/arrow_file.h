#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

/// An Apache Arrow IPC file ("Feather 2") of samples: what pyarrow, pandas, polars, DuckDB and R read as a table.
/// Columns:
///   time    timestamp[us, UTC]
///   host, vm, uuid, kind, entity, kpi    utf8; empty where CSV has nothing
///   bucket  uint8, null unless the KPI is a histogram
///   value   int64, base unit of the KPI
/// Batches of kArrowBatchRows rows, not compressed. Thread: owned by one.
namespace proteus::api {

constexpr std::size_t kArrowBatchRows = 16'384;
constexpr std::size_t kArrowTexts = 6;

class ArrowFile {
 public:
  /// write: takes the file's bytes in order; false: it wants no more.
  explicit ArrowFile(std::function<bool(std::string_view)> write);
  ~ArrowFile();

  /// texts: host, vm, uuid, kind, entity, kpi.
  void add(const std::array<std::string_view, kArrowTexts>& texts, std::optional<std::uint8_t> bucket,
           std::int64_t time_us, std::int64_t value);
  /// The rest of the rows and the footer. Nothing may follow.
  void finish();
  /// Still wanted: write has not returned false.
  bool wanted() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace proteus::api
