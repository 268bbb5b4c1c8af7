#include "tests/bench/forecast/training_data.h"

#include <array>
#include <utility>

namespace proteus::bench {

using forecast::global::Kind;
using forecast::global::TrainingSeries;

Kind kind_of(std::string_view column) {
  constexpr std::array<std::pair<std::string_view, Kind>, 7> kNames = {{{"cpu", Kind::kCpu},
                                                                        {"cpu_max", Kind::kCpuMax},
                                                                        {"mem", Kind::kMemory},
                                                                        {"disk_read", Kind::kDiskRead},
                                                                        {"disk_write", Kind::kDiskWrite},
                                                                        {"net_rx", Kind::kNetReceived},
                                                                        {"net_tx", Kind::kNetSent}}};
  for (const auto& [name, kind] : kNames) {
    if (name == column) return kind;
  }
  return Kind::kOther;
}

std::vector<TrainingSeries> training_series(const DataSet& set) {
  std::vector<TrainingSeries> result;
  for (const SeriesInfo& info : set.series) {
    TrainingSeries series{.kind = kind_of(info.column),
                          .values = std::span(set.values(info)).first(info.first_origin),
                          .companions = {},
                          .start_epoch_s = info.start_epoch};
    for (const DataSet::Column& column : set.columns.at(info.vm)) {
      if (column.name == info.column) continue;
      series.companions.push_back({kind_of(column.name), std::span(column.values).first(info.first_origin)});
    }
    result.push_back(std::move(series));
  }
  return result;
}

}  // namespace proteus::bench
