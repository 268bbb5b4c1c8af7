#include "tests/bench/forecast/global_contenders.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "controller/forecast/global/ensemble.h"
#include "tests/bench/forecast/training_data.h"

namespace proteus::bench {
namespace {

namespace global = forecast::global;

/// What the contenders of one program share.
struct Shared {
  std::filesystem::path file;
  std::shared_ptr<const global::Weights> weights;
  std::unique_ptr<global::Forecaster> forecaster;

  Status load() {
    if (weights) return {};
    Result<global::Weights> read = global::read_weights(file);
    if (!read) return read.error();
    weights = std::make_shared<const global::Weights>(std::move(*read));
    forecaster = std::make_unique<global::Forecaster>(weights);
    return {};
  }
};

class GlobalContender final : public Contender {
 public:
  GlobalContender(std::shared_ptr<Shared> shared, const global::Members& members)
      : shared_(std::move(shared)), ensemble_(shared_->weights, members) {}

  Result<Prediction> forecast(const Past& past) override {
    std::vector<global::Past::Companion> companions;
    for (const Past::Companion& companion : past.companions) {
      companions.push_back({kind_of(companion.column), companion.values});
    }
    global::Past window{
        .kind = kind_of(past.series.column), .values = past.values, .companions = companions, .next_epoch_s = {}};
    const auto origin = static_cast<std::int64_t>(past.values.size());
    if (past.series.start_epoch) window.next_epoch_s = *past.series.start_epoch + 300 * origin;
    Result<global::EnsembleForecast> made = ensemble_.forecast(*shared_->forecaster, window, origin);
    if (!made) return made.error();
    Prediction prediction{.steps = made->steps, .window_max = {}};
    for (std::size_t w = 0; w < global::kWindows.size(); ++w) {
      // The slack at equal risk moves along the line from p50 through p95: here that from the frugal reservation
      // through the usual one, which is how they go on where more or less risk is to be taken.
      Levels levels = made->maxima[w];
      levels[kP95] = made->reservations[w];
      levels[kP50] = made->frugal[w];
      levels[kP10] = std::min(levels[kP10], levels[kP50]);
      levels[kP90] = std::clamp(levels[kP90], levels[kP50], levels[kP95]);
      levels[kP99] = std::max(levels[kP99], levels[kP95]);
      prediction.window_max[w] = levels;
    }
    return prediction;
  }

 private:
  std::shared_ptr<Shared> shared_;
  global::Ensemble ensemble_;
};

}  // namespace

std::vector<ContenderKind> global_contenders(const std::filesystem::path& weights) {
  const auto shared = std::make_shared<Shared>();
  shared->file = weights;
  std::vector<ContenderKind> kinds;
  const auto add = [&](const std::string& name, const std::string& note, const global::Members& members) {
    const auto make = [shared, members](const SeriesInfo&) -> Result<std::unique_ptr<Contender>> {
      if (Status loaded = shared->load(); !loaded) return loaded.error();
      return Result<std::unique_ptr<Contender>>(std::make_unique<GlobalContender>(shared, members));
    };
    kinds.push_back({.name = name, .note = note, .make = make});
  };
  add("mlp", "global quantile MLPs over simple forecasts", {true, false, false, false});
  add("lstm", "the same with an LSTM over the last six hours", {false, true, false, false});
  add("ensemble", "mlp, lstm and two autoregressions by recent pinball loss", {true, true, true, true});
  for (std::size_t m = 0; m < global::kMembers; ++m) {
    global::Members members = {true, true, true, true};
    members[m] = false;
    add(std::string("ensemble-without-") + global::to_string(static_cast<global::Member>(m)), "", members);
  }
  return kinds;
}

}  // namespace proteus::bench
