#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "controller/profile/response_curve.h"

namespace proteus::profile {

/// What a host answers on, each with a curve of its own.
///
/// | resource | load                                    | answer                                  | evidence        |
/// |----------|-----------------------------------------|-----------------------------------------|-----------------|
/// | kCpu     | CPU used / capacity                     | run-queue wait, s for each s run        | s run           |
/// | kMemory  | share of the host's memory in use       | share of time that some task stalls     | s               |
/// | kStorage | requests of its VMs, per s              | time in a request, s                    | requests        |
/// | kNetwork | bytes of its VMs' interfaces, per s     | share of packets dropped                | packets         |
/// | kExits   | CPU used / capacity                     | time in an exit to user space, s        | exits           |
enum class Resource : std::uint8_t { kCpu, kMemory, kStorage, kNetwork, kExits };
/// Those with a HostCurve; the CPU's curve depends on the size of the host.
inline constexpr std::array kCurveResources = {Resource::kMemory, Resource::kStorage, Resource::kNetwork,
                                               Resource::kExits};
const char* to_string(Resource resource);

CurveShape shape_of(Resource resource);

/// The prior for a host of `cpus` CPUs of which nothing is known yet: the mean wait of an M/M/c queue (Erlang
/// C), continued linearly by the share of demand that finds no capacity beyond 1. wake_up: what the host takes to
/// let a thread run on an idle CPU (`proteus-agent calibrate`), waited once in each slice; zero: not measured.
ResponseCurve prior_curve(double cpus, Nanoseconds wake_up = Nanoseconds::zero());

/// A prior, and what it rests on.
struct Prior {
  ResponseCurve curve;
  std::string source;  ///< for people: "calibrated storage_read_latency_ns", "assumed"
};

/// The prior of a host's resource other than kCpu, from the figures of `proteus-agent calibrate` as far as they are
/// there. Storage: a request takes what was measured at rest, and waits as in a queue of eight servers. Memory: nobody
/// stalls until little is left. Network: hardly a packet is dropped. Exits: the round trip as measured, however busy.
Prior prior_of(Resource resource, const std::map<std::string, std::int64_t>& calibration);

}  // namespace proteus::profile
