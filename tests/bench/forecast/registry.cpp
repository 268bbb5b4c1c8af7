#include "tests/bench/forecast/registry.h"

#include <memory>
#include <system_error>
#include <utility>

#include "controller/forecast/asinh_ar.h"
#include "controller/forecast/auto_arima.h"
#include "controller/forecast/decaying_histogram.h"
#include "controller/forecast/ets.h"
#include "controller/forecast/theta.h"
#include "controller/forecast/time_of_day.h"
#include "tests/bench/forecast/baselines.h"
#include "tests/bench/forecast/engine_contender.h"
#include "tests/bench/forecast/global_contenders.h"
#include "tests/bench/forecast/model_contender.h"

namespace proteus::bench {
namespace {

constexpr int kDay = kHorizon;

std::unique_ptr<forecast::Model> asinh_ar(bool every_step) {
  return std::make_unique<forecast::AsinhAr>(
      forecast::AsinhAr::Options{.horizon_steps = kHorizon, .every_step = every_step});
}

}  // namespace

std::vector<ContenderKind> contenders(const std::filesystem::path& weights) {
  std::vector<ContenderKind> all = baselines();
  all.push_back(model_contender("vpa_decay", "decaying_histogram with a half-life of a day", Windows::kOfSteps,
                                [] { return std::make_unique<forecast::DecayingHistogram>(kDay); }));
  all.push_back(model_contender("tod_7d", "time_of_day", Windows::kOfSteps,
                                [] { return std::make_unique<forecast::TimeOfDay>(kDay); }));
  all.push_back(model_contender("ar_emp", "asinh_ar with error quantiles of every step", Windows::kOfSteps,
                                [] { return asinh_ar(true); }));
  all.push_back(
      model_contender("asinh_ar", "as the controller runs it", Windows::kOwn, [] { return asinh_ar(false); }));
  all.push_back(model_contender(
      "auto_arima", "stepwise orders, exact likelihood; empirical quantiles", Windows::kOwn,
      [] { return std::make_unique<forecast::AutoArima>(forecast::AutoArima::Options{.horizon_steps = kHorizon}); }));
  all.push_back(model_contender("ets", "level or damped trend, additive or multiplicative errors; empirical quantiles",
                                Windows::kOwn, [] { return std::make_unique<forecast::Ets>(kHorizon); }));
  all.push_back(model_contender("theta", "with additive season; empirical quantiles", Windows::kOwn,
                                [] { return std::make_unique<forecast::Theta>(kDay, kHorizon); }));
  if (std::error_code none; std::filesystem::exists(weights, none)) {
    for (ContenderKind& kind : global_contenders(weights)) all.push_back(std::move(kind));
    all.push_back(engine_contender(weights));
  }
  return all;
}

}  // namespace proteus::bench
