#pragma once

#include <functional>
#include <memory>
#include <string>

#include "controller/forecast/model.h"
#include "tests/bench/forecast/contender.h"

namespace proteus::bench {

/// Whether the model's own quantiles of the window maximum are scored, or those of its steps.
enum class Windows { kOwn, kOfSteps };

/// A model of the controller as a contender: fitted anew at every origin. windows: kOfSteps for those that are
/// compared with figures of others which have no window maximum.
ContenderKind model_contender(std::string name, std::string note, Windows windows,
                              std::function<std::unique_ptr<forecast::Model>()> make);

}  // namespace proteus::bench
