#include "controller/forecast/candidate.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace proteus::forecast {
namespace {

bool usable(const Forecast& forecast) {
  const auto good = [](const Quantiles& q) {
    return std::isfinite(q.p10) && std::isfinite(q.p99) && q.p10 <= q.p50 && q.p50 <= q.p90 && q.p90 <= q.p95 &&
           q.p95 <= q.p99;
  };
  return good(forecast.window_max) && std::all_of(forecast.steps.begin(), forecast.steps.end(), good);
}

}  // namespace

Candidate::Candidate(Contestant contestant, int horizon_steps)
    : contestant_(std::move(contestant)),
      horizon_steps_(horizon_steps),
      record_(horizon_steps, contestant_.standing < 1) {}

void Candidate::close(double actual, double window_max, const TrackRecord::PerLead& caps) {
  record_.close(actual, window_max, caps);
}

void Candidate::refit(const History& history) {
  fitted_ = false;
  if (history.values.size() < contestant_.steps_min) {
    failure_ = name() + ": a season has not been seen yet";
    return;
  }
  const Status status = contestant_.model->fit(history);
  fitted_ = status.has_value();
  if (!fitted_) failure_ = status.error().message;
}

void Candidate::update(double value) {
  if (fitted_) contestant_.model->update(value);
}

void Candidate::skip() {
  able_ = false;
  forecast_.reset();
  record_.skip();
}

void Candidate::predict() {
  skip();
  if (!fitted_) return;
  Result<Forecast> made = contestant_.model->forecast(horizon_steps_);
  if (!made) {
    failure_ = made.error().message;
    return;
  }
  if (!usable(*made)) {
    failure_ = "forecast not finite or not in order";
    return;
  }
  forecast_ = std::move(*made);
  record_.correct_and_remember(*forecast_);
  able_ = true;
  failure_.clear();
}

}  // namespace proteus::forecast
