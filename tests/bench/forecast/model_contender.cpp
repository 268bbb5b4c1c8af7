#include "tests/bench/forecast/model_contender.h"

#include <utility>

namespace proteus::bench {
namespace {

constexpr std::chrono::seconds kStep(300);

Levels levels_of(const forecast::Quantiles& q) {
  return {q.p10, q.p50, q.p90, q.p95, q.p99};
}

class ModelContender final : public Contender {
 public:
  ModelContender(std::unique_ptr<forecast::Model> model, Windows windows)
      : model_(std::move(model)), windows_(windows) {}

  Result<Prediction> forecast(const Past& past) override {
    forecast::History history;
    history.step = kStep;
    history.end = Timestamp(std::chrono::seconds(past.series.start_epoch.value_or(0)) +
                            kStep * static_cast<std::int64_t>(past.values.size()));
    history.values.assign(past.values.begin(), past.values.end());
    if (Status status = model_->fit(history); !status) return status.error();
    Result<forecast::Forecast> made = model_->forecast(kHorizon);
    if (!made) return made.error();
    Prediction prediction;
    for (const forecast::Quantiles& step : made->steps) prediction.steps.push_back(levels_of(step));
    if (windows_ == Windows::kOfSteps) return prediction;
    for (std::size_t w = 0; w < kWindows.size(); ++w) {
      Result<forecast::Forecast> shorter =
          kWindows[w] == kHorizon ? made : model_->forecast(static_cast<int>(kWindows[w]));
      if (!shorter) return shorter.error();
      prediction.window_max[w] = levels_of(shorter->window_max);
    }
    return prediction;
  }

 private:
  std::unique_ptr<forecast::Model> model_;
  Windows windows_;
};

}  // namespace

ContenderKind model_contender(std::string name, std::string note, Windows windows,
                              std::function<std::unique_ptr<forecast::Model>()> make) {
  ContenderKind kind;
  kind.name = std::move(name);
  kind.note = std::move(note);
  kind.make = [windows, make = std::move(make)](const SeriesInfo&) {
    return Result<std::unique_ptr<Contender>>(std::make_unique<ModelContender>(make(), windows));
  };
  return kind;
}

}  // namespace proteus::bench
