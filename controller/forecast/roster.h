#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "controller/forecast/engine.h"
#include "controller/forecast/kin.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// The models that every series is forecast with, in the order in which they are preferred while none has been scored.
/// kin: valid as long as the models; may be null.
std::vector<std::unique_ptr<Model>> make_models(const EngineOptions& options, Resource resource, const KinTable* kin);

/// What a model is measured against: the seasonal naive, and the naive while a season has not passed.
inline constexpr std::string_view kSeasonalBaseline = "seasonal_naive";
inline constexpr std::string_view kBaseline = "naive";
/// Its choice is provisional: it gives way at once to a model that has proved better.
inline constexpr std::string_view kProvisional = "like";

}  // namespace proteus::forecast
