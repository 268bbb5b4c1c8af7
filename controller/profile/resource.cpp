#include "controller/profile/resource.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

namespace proteus::profile {
namespace {

/// The queue's mean wait grows without bound towards 1, a host's does not: it serves a finite number of
/// vCPUs. The prior leaves the formula here.
constexpr double kErlangUntil = 0.9;
constexpr double kPriorKnotSpacing = 0.1;
/// A slice of the kernel's scheduler on a host of eight CPUs or more (base_slice_ns).
constexpr Nanoseconds kSlice = std::chrono::milliseconds(3);

/// Requests that storage serves side by side, as far as nothing is known of it.
constexpr double kStorageChannels = 8;
/// Where nothing was calibrated: a request to a disk of flash over a network, and a round trip to user space.
constexpr double kStorageAssumed_s = 1e-3;
constexpr double kExitAssumed_s = 10e-6;
/// Share of memory in use up to which nobody stalls, and the share of time that some task does when all of it is.
constexpr double kMemoryEase = 0.9;
constexpr double kMemoryFullStall = 0.5;
constexpr double kDropsAssumed = 1e-5;

/// Probability that a job finds all of `servers` busy (Erlang C), by the recurrence of Erlang B, which cannot
/// overflow.
double erlang_c(int servers, double utilisation) {
  const double load = servers * utilisation;
  double blocked = 1;
  for (int k = 1; k <= servers; ++k) blocked = load * blocked / (k + load * blocked);
  return blocked / (1 - utilisation * (1 - blocked));
}

/// Mean wait in an M/M/c queue in units of the mean service time.
double mean_wait(int servers, double utilisation) {
  return erlang_c(servers, utilisation) / (servers * (1 - utilisation));
}

/// The same for a fractional number of CPUs (a host behind a quota), between the whole numbers around it.
double mean_wait_at(double cpus, double utilisation) {
  const double servers = std::max(1.0, cpus);
  const double below = std::floor(servers);
  const double share = servers - below;
  const double wait = mean_wait(static_cast<int>(below), utilisation);
  if (share == 0) return wait;
  return (1 - share) * wait + share * mean_wait(static_cast<int>(below) + 1, utilisation);
}

std::optional<double> figure(const std::map<std::string, std::int64_t>& calibration, const char* name) {
  const auto found = calibration.find(name);
  if (found == calibration.end() || found->second <= 0) return std::nullopt;
  return static_cast<double>(found->second);
}

ResponseCurve flat(double response) {
  return ResponseCurve(std::vector<ResponseCurve::Knot>{{0, response, 0, 0}});
}

/// What a request takes that needs service_s at rest.
ResponseCurve storage_curve(double service_s) {
  const ResponseCurve queue = prior_curve(kStorageChannels);
  std::vector<ResponseCurve::Knot> knots = queue.knots();
  for (ResponseCurve::Knot& knot : knots) {
    knot.load *= kStorageChannels / service_s;
    knot.response = service_s * (1 + knot.response);
  }
  return ResponseCurve(std::move(knots));
}

Prior storage_prior(const std::map<std::string, std::int64_t>& calibration) {
  for (const char* name : {"storage_read_latency_ns", "storage_sync_latency_ns"}) {
    if (const auto ns = figure(calibration, name)) {
      return {storage_curve(*ns * 1e-9), std::string("calibrated ") + name};
    }
  }
  return {storage_curve(kStorageAssumed_s), "assumed"};
}

}  // namespace

const char* to_string(Resource resource) {
  switch (resource) {
    case Resource::kCpu: return "cpu";
    case Resource::kMemory: return "memory";
    case Resource::kStorage: return "storage";
    case Resource::kNetwork: return "network";
    case Resource::kExits: return "exits";
  }
  return "unknown";
}

CurveShape shape_of(Resource resource) {
  using Scale = CurveShape::Scale;
  switch (resource) {
    case Resource::kCpu: return {};
    case Resource::kMemory: return {Scale::kLinear, 0.05, 20, 300, 600, 0.001};
    case Resource::kStorage: return {Scale::kDoubling, 10, 18, 300, 600, 20e-6};
    case Resource::kNetwork: return {Scale::kDoubling, 100e3, 18, 10e3, 20e3, 1e-6};
    case Resource::kExits: return {Scale::kLinear, 0.1, 20, 1e3, 2e3, 1e-6};
  }
  return {};
}

ResponseCurve prior_curve(double cpus, Nanoseconds wake_up) {
  const double least = to_seconds(wake_up) / to_seconds(kSlice);
  std::vector<ResponseCurve::Knot> knots;
  const int steps = static_cast<int>(std::lround(kErlangUntil / kPriorKnotSpacing));
  for (int i = 0; i <= steps; ++i) {
    const double utilisation = i * kPriorKnotSpacing;
    knots.push_back({utilisation, least + mean_wait_at(cpus, utilisation), 0, 0});
  }
  // Demand u on capacity 1: u - 1 waits for each 1 that runs. The line starts where the formula ends, so that
  // the curve has no flat piece just before saturation, where it is read most.
  const double wait = knots.back().response;
  knots.push_back({ResponseCurve::kMaxUtilisation, wait + ResponseCurve::kMaxUtilisation - kErlangUntil, 0, 0});
  return ResponseCurve(std::move(knots));
}

Prior prior_of(Resource resource, const std::map<std::string, std::int64_t>& calibration) {
  switch (resource) {
    case Resource::kCpu: break;  // needs the number of CPUs: prior_curve()
    case Resource::kMemory: return {ResponseCurve({{kMemoryEase, 0, 0, 0}, {1, kMemoryFullStall, 0, 0}}), "assumed"};
    case Resource::kStorage: return storage_prior(calibration);
    case Resource::kNetwork: return {flat(kDropsAssumed), "assumed"};
    case Resource::kExits: {
      const auto ns = figure(calibration, "exit_round_trip_ns");
      return {flat(ns ? *ns * 1e-9 : kExitAssumed_s), ns ? "calibrated exit_round_trip_ns" : "assumed"};
    }
  }
  return {ResponseCurve(std::vector<ResponseCurve::Knot>{}), "none"};
}

}  // namespace proteus::profile
