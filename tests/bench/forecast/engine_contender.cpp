#include "tests/bench/forecast/engine_contender.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "controller/forecast/engine.h"
#include "controller/forecast/global/weights.h"
#include "tests/bench/forecast/training_data.h"

namespace proteus::bench {
namespace {

using forecast::Resource;

constexpr std::chrono::minutes kStep(5);
constexpr std::size_t kWarmSteps = 10 * kHorizon;

/// By the name of a column: that whose ticks the engine treats likewise, and which its networks know it by.
Resource resource_of(std::string_view column) {
  switch (kind_of(column)) {
    case forecast::global::Kind::kMemory: return Resource::kMemory;
    case forecast::global::Kind::kDiskRead:
    case forecast::global::Kind::kDiskWrite: return Resource::kBlockIo;
    case forecast::global::Kind::kNetReceived:
    case forecast::global::Kind::kNetSent: return Resource::kNetwork;
    default: return Resource::kCpu;
  }
}

Levels levels_of(const forecast::Quantiles& q) {
  return {q.p10, q.p50, q.p90, q.p95, q.p99};
}

class EngineContender final : public Contender {
 public:
  EngineContender(const SeriesInfo& info, std::shared_ptr<const forecast::global::Weights> weights)
      : vm_(info.vm),
        resource_(resource_of(info.column)),
        start_(kStep * (std::chrono::seconds(info.start_epoch.value_or(0)) / kStep)),
        next_(info.first_origin - std::min(info.first_origin, kWarmSteps)),
        engine_({.step = kStep,
                 .horizon_steps = kHorizon,
                 .history_steps = 14 * kHorizon,
                 .calendar = nullptr,
                 .networks = std::move(weights)}) {}

  Result<Prediction> forecast(const Past& past) override {
    for (; next_ < past.values.size(); ++next_) {
      tick_companions(past);
      tick(resource_, past.values[next_]);
      opened_ = false;
    }
    // A first tick of the next step closes the newest; what follows in that step makes up for it.
    engine_.observe(vm_, resource_, now(), 0);
    opened_ = true;
    Result<forecast::Forecast> made = engine_.forecast(vm_, resource_, now());
    if (!made) return made.error();
    Prediction prediction;
    for (const forecast::Quantiles& step : made->steps) prediction.steps.push_back(levels_of(step));
    prediction.window_max.back() = levels_of(made->window_max);
    return prediction;
  }

 private:
  Timestamp now() const { return start_ + kStep * static_cast<std::int64_t>(next_); }
  void tick(Resource resource, double value) {
    const bool makes_up = opened_ && resource == resource_ && resource != Resource::kMemory;
    engine_.observe(vm_, resource, now(), makes_up ? 2 * value : value);
  }
  /// The first column of each other resource: an engine has no more of a VM.
  void tick_companions(const Past& past) {
    std::set<Resource> seen = {resource_};
    for (const Past::Companion& companion : past.companions) {
      const Resource resource = resource_of(companion.column);
      if (next_ < companion.values.size() && seen.insert(resource).second) tick(resource, companion.values[next_]);
    }
  }

  VmId vm_;
  Resource resource_;
  Timestamp start_;
  std::size_t next_;  ///< of the values, to be observed
  bool opened_ = false;
  forecast::Engine engine_;
};

}  // namespace

ContenderKind engine_contender(const std::filesystem::path& weights) {
  const auto shared = std::make_shared<std::shared_ptr<const forecast::global::Weights>>();
  ContenderKind kind;
  kind.name = "engine";
  kind.note = "every model as the controller blends them; CPU is that of 241 steps";
  kind.slow = true;
  kind.make = [shared, weights](const SeriesInfo& info) -> Result<std::unique_ptr<Contender>> {
    if (!*shared) {
      Result<forecast::global::Weights> read = forecast::global::read_weights(weights);
      if (!read) return read.error();
      *shared = std::make_shared<const forecast::global::Weights>(std::move(*read));
    }
    return Result<std::unique_ptr<Contender>>(std::make_unique<EngineContender>(info, *shared));
  };
  return kind;
}

}  // namespace proteus::bench
