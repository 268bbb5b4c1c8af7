#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controller/profile/fingerprint.h"

namespace proteus::profile {

/// By resource, as in kCurveResources.
using EvidenceByResource = std::array<Evidence, kCurveResources.size()>;

/// Likewise.
using SavedCurves = std::array<SavedCurve, kCurveResources.size()>;

/// Learns what a host answers on memory, storage, network and exits. Thread: owned by one.
class HostLearner {
 public:
  explicit HostLearner(Nanoseconds half_life);
  /// The host has been calibrated, or anew: its priors follow, its evidence stays.
  void set_calibration(const std::map<std::string, std::int64_t>& calibration);
  /// One tick; see the table of Resource for what load, weight (evidence) and amount (weight · answer) are.
  void observe(Resource resource, Timestamp time, double load, double weight, double amount);
  void add_evidence(EvidenceByResource& to) const;
  /// of_class: evidence of all hosts of its class, this one's included.
  void write(const EvidenceByResource& of_class, Fingerprint& fingerprint);
  SavedCurves saved() const;
  /// What this one has seen is dropped; its priors stay.
  void restore(const SavedCurves& saved);

 private:
  std::vector<CurveLearner> learners_;  ///< as in kCurveResources
  std::vector<KeptCurve> kept_;
  std::vector<std::string> priors_;  ///< what they rest on
};

}  // namespace proteus::profile
