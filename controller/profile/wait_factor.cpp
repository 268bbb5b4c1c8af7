#include "controller/profile/wait_factor.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "controller/profile/finite_queue.h"

namespace proteus::profile {
namespace {

ResponseCurve as_by_theory() {
  return ResponseCurve({{.load = 0, .response = 1}, {.load = ResponseCurve::kMaxUtilisation, .response = 1}});
}

}  // namespace

WaitFactorLearner::WaitFactorLearner(Nanoseconds half_life) : learner_(as_by_theory(), half_life, shape()) {}

void WaitFactorLearner::observe(Timestamp time, const Contenders& contenders, double cpus, double wait_ratio,
                                double tick_s) {
  if (!(cpus > 0)) return;
  const double busy = contenders.busy_cores;
  const double waiting = finite_wait_cores(busy, equal_vcpus(busy, contenders.squares), cpus);
  const double seen = wait_ratio * std::min(busy, cpus);
  learner_.observe(time, busy / cpus, waiting * tick_s, seen * tick_s);
}

ResponseCurve WaitFactorLearner::known(const Evidence& of_class) {
  if (of_class.weight() <= shape().factor_prior_weight) return ResponseCurve(std::vector<ResponseCurve::Knot>{});
  return kept_.of(learner_, of_class);
}

void WaitFactorLearner::restore(SavedCurve saved) {
  learner_.restore(std::move(saved));
}

}  // namespace proteus::profile
