#include "controller/profile/host_learner.h"

#include <algorithm>
#include <utility>

namespace proteus::profile {

HostLearner::HostLearner(Nanoseconds half_life) {
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

void HostLearner::write(EvidenceByResource of_class, Fingerprint& fingerprint) const {
  for (std::size_t i = 0; i < learners_.size(); ++i) {
    const Evidence& own = learners_[i].evidence();
    of_class[i].remove(own);
    HostCurve& answer = *fingerprint.curve_of(kCurveResources[i]);
    answer.curve = learners_[i].curve(of_class[i]);
    answer.evidence = own.weight();
    answer.prior = of_class[i].weight() > 0 ? "hosts of its class; " + priors_[i] : priors_[i];
  }
}

}  // namespace proteus::profile
