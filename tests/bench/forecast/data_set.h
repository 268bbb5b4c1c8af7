#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "tests/bench/forecast/contender.h"

namespace proteus::bench {

/// A set folder in memory: manifest.csv, and series/<vm>.csv.gz of the VMs named there.
struct DataSet {
  struct Column {
    std::string name;
    std::vector<double> values;
  };
  std::vector<SeriesInfo> series;                      ///< manifest order
  std::map<std::string, std::vector<Column>> columns;  ///< by VM, in the file's order

  const std::vector<double>& values(const SeriesInfo& info) const;
};

/// Errors: kNotFound for a missing file, kCorrupt naming file and line for one that is not of the format, is too
/// short for the eight origins, or disagrees with the manifest about its length.
Result<DataSet> read_data_set(const std::filesystem::path& folder);

/// Which VMs of a set take part: of those whose place in the alphabet leaves remainder `index` by `count`.
struct Part {
  std::size_t index = 0;
  std::size_t count = 1;
};
/// "0/2" is every other VM from the first on. Errors: kInvalidArgument.
Result<Part> parse_part(std::string_view text);
/// The series of those VMs alone.
void keep_part(DataSet& set, const Part& part);
/// Those of all others.
void drop_part(DataSet& set, const Part& part);

}  // namespace proteus::bench
