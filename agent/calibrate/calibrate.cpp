#include "agent/calibrate/calibrate.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>

#include "agent/act/durable_file.h"
#include "agent/calibrate/measure.h"
#include "agent/collect/text_file.h"

namespace proteus::calibrate {
namespace {

using collect::Calibration;
using collect::CalibrationFigure;

/// The smallest value that `share` of them do not exceed. values: not empty.
double quantile(std::vector<double> values, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  const std::size_t index = std::clamp<std::size_t>(rank, 1, values.size()) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(index), values.end());
  return values[index];
}

CalibrationFigure measure(const char* name, const std::function<Result<std::vector<double>>()>& round) {
  CalibrationFigure figure;
  figure.name = name;
  std::vector<double> medians;
  std::vector<double> tails;
  for (int i = 0; i < kRounds; ++i) {
    const Result<std::vector<double>> values = round();
    if (!values || values->empty()) {
      figure.reason = values ? "no round ended in time" : values.error().message;
      return figure;
    }
    medians.push_back(quantile(*values, 0.5));
    if (values->size() > 1) tails.push_back(quantile(*values, 0.99));
  }
  const double median = quantile(medians, 0.5);
  const auto [least, most] = std::minmax_element(medians.begin(), medians.end());
  figure.value = std::llround(median);
  if (tails.size() == medians.size()) figure.p99 = std::llround(quantile(tails, 0.5));
  figure.spread = median > 0 ? (*most - *least) / median : 0;
  return figure;
}

}  // namespace

std::string calibration_path(const std::string& directory) {
  return directory + "/calibration.json";
}

Status may_calibrate(const Options& options, Timestamp now) {
  const auto load = collect::read_file(collect::under(options.root, "/proc/loadavg"));
  if (!load) return Error{ErrorCode::kUnavailable, "how busy this host is cannot be told: /proc/loadavg is missing"};
  const double runnable = std::strtod(load->c_str(), nullptr);
  const auto cpus = static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN));
  if (runnable > kLoadMax * cpus) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("this host is busy: its load of the last minute is {:.2f}, at most {:.2f} on {} CPUs is "
                             "quiet enough",
                             runnable, kLoadMax * cpus, cpus)};
  }
  const auto text = collect::read_file(calibration_path(options.directory));
  const auto last = text ? collect::parse_calibration(*text) : Result<Calibration>(Calibration{});
  // One that cannot be read, or from the future, hinders nobody.
  if (last && last->time <= now && now - last->time < kPause) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("this host was calibrated {:.0f} s ago; once in {:.0f} min is enough",
                             to_seconds(now - last->time), to_seconds(kPause) / 60)};
  }
  return {};
}

Calibration run_calibration(const Options& options, Timestamp now) {
  const Nanoseconds budget = options.budget;
  const std::string kvm = collect::under(options.root, "/dev/kvm");
  Calibration calibration;
  calibration.time = now;
  calibration.figures = {
      measure("wake_up_latency_ns", [&] { return measure_wake_up_ns(budget); }),
      measure("memory_bandwidth_bytes_per_s", [&] { return measure_memory_bandwidth(budget); }),
      measure("memory_latency_ns", [&] { return measure_memory_latency_ns(budget); }),
      measure("page_fault_ns", [&] { return measure_page_fault_ns(budget); }),
      measure("storage_sync_latency_ns", [&] { return measure_storage_sync_ns(options.directory, budget); }),
      measure("storage_read_latency_ns", [&] { return measure_storage_read_ns(options.directory, budget); }),
      measure("exit_round_trip_ns", [&] { return measure_exit_round_trip_ns(kvm, budget); }),
  };
  return calibration;
}

Status keep_calibration(const Options& options, const Calibration& calibration) {
  return act::replace_file(calibration_path(options.directory), collect::calibration_json(calibration) + "\n");
}

std::string calibration_table(const Calibration& calibration) {
  std::string table = fmt::format("{:<30} {:>14} {:>14} {:>8}\n", "figure", "median", "p99", "spread");
  for (const CalibrationFigure& figure : calibration.figures) {
    if (!figure.value) {
      table += fmt::format("{:<30} not measured: {}\n", figure.name, figure.reason);
      continue;
    }
    table += fmt::format("{:<30} {:>14} {:>14} {:>7.1f}%\n", figure.name, *figure.value,
                         figure.p99 ? fmt::format("{}", *figure.p99) : std::string("-"), 100 * figure.spread);
  }
  return table;
}

}  // namespace proteus::calibrate
