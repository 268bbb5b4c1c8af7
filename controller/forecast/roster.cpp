#include "controller/forecast/roster.h"

#include <algorithm>

#include "controller/forecast/holt_damped.h"
#include "controller/forecast/like.h"
#include "controller/forecast/naive.h"
#include "controller/forecast/regression.h"
#include "controller/forecast/seasonal_naive.h"

namespace proteus::forecast {

std::vector<std::unique_ptr<Model>> make_models(const EngineOptions& options, Resource resource, const KinTable* kin) {
  const int horizon = options.horizon_steps;
  const auto season = static_cast<int>(std::max<std::int64_t>(1, options.season / options.step));
  std::vector<std::unique_ptr<Model>> models;
  if (kin != nullptr) models.push_back(std::make_unique<Like>(*kin, resource, horizon));
  models.push_back(std::make_unique<HoltDamped>(horizon));
  models.push_back(std::make_unique<SeasonalNaive>(season, horizon));
  models.push_back(std::make_unique<Naive>(horizon));
  models.push_back(std::make_unique<Regression>(season, horizon));
  return models;
}

}  // namespace proteus::forecast
