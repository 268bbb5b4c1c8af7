#pragma once

#include <string>

#include "agent/collect/calibration_file.h"
#include "common/result.h"
#include "common/units.h"

namespace proteus::calibrate {

struct Options {
  std::string root = "/";                               ///< procfs and /dev/kvm are looked for below it
  std::string directory;                                ///< on the storage to be measured; where results are kept, too
  Nanoseconds budget = std::chrono::milliseconds(250);  ///< of one round of one measurement
};

/// Rounds of each measurement.
constexpr int kRounds = 3;
/// Between two calibrations of a host.
constexpr Nanoseconds kPause = std::chrono::minutes(10);
/// Share of the CPUs that may be busy, by the load average of the last minute.
constexpr double kLoadMax = 0.5;

/// Whether the host may be measured now. Errors: kUnavailable (it is busy: the figures would tell the load, and the
/// measuring would disturb; or it was measured less than kPause ago), with figures.
Status may_calibrate(const Options& options, Timestamp now);

/// Measures everything, kRounds rounds of each, about 6 s in all with the default budget. What this host cannot is
/// there with its reason. Does not ask whether it may.
collect::Calibration run_calibration(const Options& options, Timestamp now);

/// Keeps it in the directory, for the running agent to publish. Errors: kUnavailable.
Status keep_calibration(const Options& options, const collect::Calibration& calibration);
std::string calibration_path(const std::string& directory);

/// Aligned table for people, a newline at the end of each row.
std::string calibration_table(const collect::Calibration& calibration);

}  // namespace proteus::calibrate
