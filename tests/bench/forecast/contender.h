#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

/// What takes part in the forecast benchmark. The protocol is that of a set folder of series, five minutes apart,
/// with eight origins each; the program around it is bench-forecast (main.cpp).
namespace proteus::bench {

/// The quantile levels that are scored: p10, p50, p90, p95, p99.
inline constexpr std::array kLevels = {0.10, 0.50, 0.90, 0.95, 0.99};
enum Level : std::size_t { kP10, kP50, kP90, kP95, kP99 };
using Levels = std::array<double, kLevels.size()>;

inline constexpr std::size_t kHorizon = 288;                       ///< steps ahead, and steps a day
inline constexpr std::size_t kOrigins = 8;                         ///< per series
inline constexpr std::array<std::size_t, 2> kWindows = {12, 288};  ///< of the reservations, in steps

/// One row of a set folder's manifest.
struct SeriesInfo {
  std::string id;  ///< "vm:column"
  std::string vm;
  std::string column;    ///< for example "cpu_max"
  std::string resource;  ///< for example "cpu"
  std::string source;    ///< for example "azure-2017-sample"
  std::size_t length = 0;
  std::size_t first_origin = 0;
  std::optional<std::int64_t> start_epoch;  ///< UTC seconds of values[0], if known
  bool subset = false;
};

/// All that may be known at one origin: nothing at or after it.
struct Past {
  struct Companion {
    std::string_view column;
    std::span<const double> values;  ///< as many as Past::values
  };
  const SeriesInfo& series;
  std::span<const double> values;         ///< oldest first; the origin is values.size()
  std::span<const Companion> companions;  ///< the other columns of the same VM
};

/// For the kHorizon steps from the origin on. The scorer sorts the levels and lifts negative ones to 0.
struct Prediction {
  std::vector<Levels> steps;                                      ///< kHorizon
  std::array<std::optional<Levels>, kWindows.size()> window_max;  ///< own quantiles of the largest of the first
                                                                  ///< kWindows[i] steps; absent: the largest of `steps`
};

/// Forecasts one series. The origins come in order, so state may be carried from one to the next.
class Contender {
 public:
  virtual ~Contender() = default;
  /// An error, a wrong shape or a value that is not finite: bench-forecast stands in with snaive and counts it.
  virtual Result<Prediction> forecast(const Past& past) = 0;
};

/// A contender by name. make() is called once per series; what is shared between series (weights) belongs to the
/// closure.
struct ContenderKind {
  std::string name;
  std::string note;  ///< for the last column of the table
  std::function<Result<std::unique_ptr<Contender>>(const SeriesInfo&)> make;
  double train_cpu_s = std::numeric_limits<double>::quiet_NaN();  ///< NaN: nothing is trained across series
  bool slow = false;                                              ///< runs only if it is named
};

}  // namespace proteus::bench
