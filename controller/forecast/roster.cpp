#include "controller/forecast/roster.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "controller/forecast/asinh_ar.h"
#include "controller/forecast/global_model.h"
#include "controller/forecast/holt_damped.h"
#include "controller/forecast/like.h"
#include "controller/forecast/naive.h"
#include "controller/forecast/regression.h"
#include "controller/forecast/seasonal_naive.h"

namespace proteus::forecast {
namespace {

/// On the benchmark's series they lose half as much as asinh_ar a day ahead, and hardly ever more (docs/forecast.md).
constexpr double kStandingOfNetworks = 0.5;

}  // namespace

std::vector<Contestant> make_models(const EngineOptions& options, Resource resource, const Shared& shared) {
  const int horizon = options.horizon_steps;
  const auto season = static_cast<int>(std::max<std::int64_t>(1, options.season / options.step));
  std::vector<Contestant> models;
  const auto add = [&](std::unique_ptr<Model> model) { models.push_back({.model = std::move(model)}); };
  const auto add_learned = [&](std::unique_ptr<Model> model, int steps_min, double standing = 1) {
    models.push_back({.model = std::move(model),
                      .learned = true,
                      .steps_min = static_cast<std::size_t>(steps_min),
                      .standing = standing});
  };
  if (shared.kin != nullptr) add(std::make_unique<Like>(*shared.kin, resource, horizon));
  add(std::make_unique<HoltDamped>(horizon));
  add(std::make_unique<SeasonalNaive>(season, horizon));
  add(std::make_unique<Naive>(horizon));
  add_learned(std::make_unique<AsinhAr>(AsinhAr::Options{.horizon_steps = horizon}), season);
  if (shared.networks != nullptr && GlobalModel::suits(options.step, options.season, horizon)) {
    add_learned(std::make_unique<GlobalModel>(*shared.networks, resource, options.step, horizon, shared.siblings,
                                              shared.pressure),
                season, kStandingOfNetworks);
  }
  add_learned(std::make_unique<Regression>(season, horizon), 0);  // signals, not the past, are what it knows
  return models;
}

}  // namespace proteus::forecast
