#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"

namespace proteus::collect {

/// One figure of `proteus-agent calibrate`.
struct CalibrationFigure {
  std::string name;                   ///< with its unit at the end, "page_fault_ns"
  std::optional<std::int64_t> value;  ///< median of the rounds; absent: see reason
  std::optional<std::int64_t> p99;    ///< of latencies: median of the rounds' 99th percentiles
  double spread = 0;                  ///< (largest − smallest round) / median: how far to trust it
  std::string reason;                 ///< why it could not be measured
  bool operator==(const CalibrationFigure&) const = default;
};

/// What a host can do when it is left alone. Kept as STATE_DIRECTORY/calibration.json:
///   {"version":1,"time_s":1764115200,"figures":[{"name":"page_fault_ns","value":512,"p99":900,"spread":0.04},
///                                               {"name":"exit_round_trip_ns","reason":"/dev/kvm: No such file"}]}
struct Calibration {
  Timestamp time{};
  std::vector<CalibrationFigure> figures;
};

std::string calibration_json(const Calibration& calibration);
/// Errors: kCorrupt. Keys it does not know are passed over.
Result<Calibration> parse_calibration(std::string_view json);

/// The file as labels of the host: "calibration.NAME" = value, "calibration.NAME.p99". Read again when it has changed;
/// no labels while it is missing or does not parse. Thread: owned by one.
class CalibrationLabels {
 public:
  /// path empty: never any labels.
  explicit CalibrationLabels(std::string path) : path_(std::move(path)) {}
  /// True if the labels have changed. One stat() if the file has not.
  bool refresh();
  const std::map<std::string, std::string>& labels() const { return labels_; }

 private:
  std::string path_;
  std::int64_t changed_ns_ = -1;  ///< the file's time of modification
  std::map<std::string, std::string> labels_;
};

}  // namespace proteus::collect
