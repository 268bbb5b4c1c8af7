#include "controller/forecast/global/autoregression.h"

#include <algorithm>

#include "controller/forecast/innovation_errors.h"
#include "controller/forecast/levinson.h"
#include "controller/forecast/linear_process.h"

namespace proteus::forecast::global {

ArForecast autoregress(std::span<const float> values, std::size_t horizon) {
  constexpr std::size_t kOrderMax = 24;
  const float centre = mean(values);
  std::vector<double> x(values.begin(), values.end());
  for (double& value : x) value -= static_cast<double>(centre);
  const std::vector<double> ar = fit_autoregression(x, kOrderMax).coefficients;
  const std::vector<double> surprises = autoregressive_errors(x, ar);
  InnovationErrors errors(static_cast<int>(horizon), InnovationErrors::Detail::kSteps);
  errors.learn(x, surprises, ar.size(), impulse_response(ar, {}, horizon));

  ArForecast result;
  result.order = static_cast<int>(ar.size());
  for (const double coefficient : ar) result.persistence += static_cast<float>(coefficient);
  for (const double ahead : autoregressive_path(x, ar, horizon)) {
    result.path.push_back(centre + static_cast<float>(ahead));
  }
  result.surprises.assign(surprises.begin(), surprises.end());
  for (std::size_t h = 1; h <= horizon; ++h) {
    const Quantiles at = errors.at(static_cast<int>(h));
    Levels& levels = result.errors.emplace_back();
    for (std::size_t k = 0; k < kLevels.size(); ++k) levels[k] = static_cast<float>(at.*kQuantileMembers[k]);
    levels[1] *= 0.5F;  // a median far from zero is mostly chance
  }
  return result;
}

}  // namespace proteus::forecast::global
