#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/ids.h"
#include "common/units.h"
#include "controller/profile/resource.h"
#include "controller/profile/response_curve.h"

namespace proteus::profile {

/// A host's answer on one resource.
struct HostCurve {
  ResponseCurve curve{std::vector<ResponseCurve::Knot>{}};  ///< no knots: nothing is known, not even a prior
  double evidence = 0;  ///< seen of the host itself, in the resource's unit; 0: it sends no such figure, or nothing yet
  std::string prior;    ///< what the curve rests on where nothing was seen
};

/// What a hypervisor is good at.
struct Fingerprint {
  HostId host;
  double cpu_capacity_cores = 0;
  std::int64_t memory_capacity_bytes = 0;
  /// Hosts with the same CPU model, kernel, hypervisor and capacity are of one class: what is learned of some is the
  /// prior of the others.
  std::string host_class;
  ResponseCurve run_queue_wait{std::vector<ResponseCurve::Knot>{}};
  double evidence_s = 0;  ///< seconds of CPU run behind run_queue_wait
  /// By utilisation: how many times what the very vCPUs on the host would wait by theory (finite_queue.h) they wait, as
  /// wait_factor.h learns it. No knots: not known; then run_queue_wait has to do, whoever is on the host.
  ResponseCurve wait_factor{std::vector<ResponseCurve::Knot>{}};
  HostCurve memory;
  HostCurve storage;
  HostCurve network;
  HostCurve exits;
  std::map<std::string, std::string> capabilities;  ///< name -> "yes" or "no: reason", from the agent's probing
  std::map<std::string, std::int64_t> calibration;  ///< name -> figure of `proteus-agent calibrate`; unit in the name

  /// nullptr for kCpu, whose curve is run_queue_wait.
  HostCurve* curve_of(Resource resource);
  const HostCurve* curve_of(Resource resource) const { return const_cast<Fingerprint*>(this)->curve_of(resource); }
};

}  // namespace proteus::profile
