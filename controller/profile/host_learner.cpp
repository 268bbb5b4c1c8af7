#include "controller/profile/host_learner.h"

#include <algorithm>
#include <utility>

namespace proteus::profile {

HostLearner::HostLearner(Nanoseconds half_life) : kept_(kCurveResources.size()) {
  for (const Resource resource : kCurveResources) {
    Prior prior = prior_of(resource, {});
    learners_.emplace_back(std::move(prior.curve), half_life, shape_of(resource));
    priors_.push_back(std::move(prior.source));
  }
}

void HostLearner::set_calibration(const std::map<std::string, std::int64_t>& calibration) {
  for (std::size_t i = 0; i < kCurveResources.size(); ++i) {
    Prior prior = prior_of(kCurveResources[i], calibration);
    learners_[i].set_prior(std::move(prior.curve));
    priors_[i] = std::move(prior.source);
  }
}

void HostLearner::observe(Resource resource, Timestamp time, double load, double weight, double amount) {
  const auto found = std::find(kCurveResources.begin(), kCurveResources.end(), resource);
  if (found == kCurveResources.end()) return;
  learners_[static_cast<std::size_t>(found - kCurveResources.begin())].observe(time, load, weight, amount);
}

void HostLearner::add_evidence(EvidenceByResource& to) const {
  for (std::size_t i = 0; i < learners_.size(); ++i) to[i].add(learners_[i].evidence());
}

void HostLearner::write(const EvidenceByResource& of_class, Fingerprint& fingerprint) {
  for (std::size_t i = 0; i < learners_.size(); ++i) {
    HostCurve& answer = *fingerprint.curve_of(kCurveResources[i]);
    answer.curve = kept_[i].of(learners_[i], of_class[i]);
    answer.evidence = kept_[i].weight();
    // Rounding apart.
    const bool others_seen = of_class[i].weight() > 1.000001 * learners_[i].evidence().weight();
    answer.prior = others_seen ? "hosts of its class; " + priors_[i] : priors_[i];
  }
}

SavedCurves HostLearner::saved() const {
  SavedCurves saved;
  for (std::size_t i = 0; i < learners_.size(); ++i) saved[i] = learners_[i].saved();
  return saved;
}

void HostLearner::restore(const SavedCurves& saved) {
  for (std::size_t i = 0; i < learners_.size(); ++i) learners_[i].restore(saved[i]);
}

}  // namespace proteus::profile
