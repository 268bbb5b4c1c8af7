#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace proteus::simulate {

/// A small table of text, as benchmark files have them: a header, then lines of as many cells. No quoting.
struct CsvTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;

  /// Index of the column so named.
  std::optional<std::size_t> column(std::string_view name) const;
};

/// name: for messages. Errors: kInvalidArgument with the line's number: no header, or another number of cells.
Result<CsvTable> parse_csv(std::string_view text, const std::string& name);

/// Many series over the same steps: a header `id,t0,t1,…`, then a line a series: its name and a number each step.
struct TraceTable {
  std::size_t steps = 0;
  std::vector<std::string> names;
  std::vector<double> values;  ///< series by series: value of series s at step k is values[s * steps + k]

  std::size_t series() const { return names.size(); }
  const double* row(std::size_t s) const { return values.data() + s * steps; }
};

/// name: for messages. Errors: kInvalidArgument with the line's number: no header, no series, another number of cells,
/// or a cell that is no finite number of at least 0.
Result<TraceTable> parse_traces(std::string_view text, const std::string& name);

/// read_compressed_file and parse_traces.
Result<TraceTable> read_traces(const std::string& path);

}  // namespace proteus::simulate
