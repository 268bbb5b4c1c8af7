#pragma once

#include <nlohmann/json_fwd.hpp>

#include "controller/api/json_view.h"

/// JSON of what has been learned.
namespace proteus::api {

Json to_json(const ham::learning::Note& note);
Json to_json(const ham::LearningPart& part);
Json to_json(const ham::learning::Outcome& outcome);
/// {"enabled": false} or {"enabled": true, "acting": …, "revision": …, "evaluation": {…}, "coefficients": {…}}
Json learning_json(const Snapshot& snapshot);
Json to_json(const ham::learning::Report& report);

}  // namespace proteus::api
