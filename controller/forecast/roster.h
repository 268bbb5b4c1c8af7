#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "controller/forecast/engine.h"
#include "controller/forecast/global/forecaster.h"
#include "controller/forecast/global_model.h"
#include "controller/forecast/kin.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// What the models of one VM's series share. Each outlives the models, and may be null.
struct Shared {
  const KinTable* kin = nullptr;
  global::Forecaster* networks = nullptr;
  Siblings* siblings = nullptr;  ///< this VM's own
  HostPressure* pressure = nullptr;  ///< on its host; kept with each of its series
};

/// A model as it is entered for a series.
struct Contestant {
  std::unique_ptr<Model> model;
  /// A model that follows the newest values (one of them is chosen, and is the fallback), or one that has learned how
  /// the series usually goes (these are blended in where they have proved better).
  bool learned = false;
  std::size_t steps_min = 0;  ///< of history, before it is asked
  /// Its loss counts by this factor in a blend. Below 1: it has been seen to do better than the others on most series
  /// before this one, is given the benefit of the doubt, and its quantiles are trusted.
  double standing = 1;
};

/// The models that every series is forecast with, in the order in which they are preferred while none has been scored.
/// What is learned of a series younger than a season says little: it has not shown its usual ups and downs, and a ramp
/// would be taken for noise. The global model takes part where step, season and horizon suit it (global_model.h).
std::vector<Contestant> make_models(const EngineOptions& options, Resource resource, const Shared& shared);

/// What a model is measured against: the seasonal naive, and the naive while a season has not passed.
inline constexpr std::string_view kSeasonalBaseline = "seasonal_naive";
inline constexpr std::string_view kBaseline = "naive";
/// Its choice is provisional: it gives way at once to a model that has proved better.
inline constexpr std::string_view kProvisional = "like";
/// Forecast::model of what several models have a share in.
inline constexpr const char* kBlend = "blend";

}  // namespace proteus::forecast
