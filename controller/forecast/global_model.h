#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "controller/forecast/global/forecaster.h"
#include "controller/forecast/host_pressure.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// The engine's resources are sums over directions; the networks know each by itself.
global::Kind kind_of(Resource resource);

class GlobalModel;
/// The global models of one VM's resources, each of which looks at what the others have seen. Outlives them. Thread:
/// owned by one.
using Siblings = std::array<GlobalModel*, kResources.size()>;

/// The networks that have seen many series (global/), as a model of one: their members by the shares that validation
/// gave them. They speak of means over five minutes, with days in them; so the model is for steps that divide five
/// minutes, a season of a day and a horizon of at most a day (suits()). Of finer steps it makes bins of five minutes,
/// the newest ending with the newest step, forecasts anew when a bin is full, and says for a step what it says for its
/// bin; how much wider single steps spread is for the guard to find out. A missing value is interpolated; the newest is
/// held. What the VM's other resources did over the last day is an input, and so are external signals, by bin, and the
/// pressure on the VM's host; a signal that is pushed meanwhile is seen when the bin is full. Of windows between a
/// step, an hour and a day the maximum is interpolated by the logarithm of their length.
class GlobalModel final : public Model {
 public:
  /// forecaster: outlives the model; of the same thread. siblings: of the same VM; null: it has none.
  /// pressure: on the VM's host; outlives the model; null: not known.
  GlobalModel(global::Forecaster& forecaster, Resource resource, Nanoseconds step, int horizon_steps,
              Siblings* siblings = nullptr, const HostPressure* pressure = nullptr);
  ~GlobalModel() override;
  GlobalModel(const GlobalModel&) = delete;
  GlobalModel& operator=(const GlobalModel&) = delete;
  static bool suits(Nanoseconds step, Nanoseconds season, int horizon_steps);

  std::string_view name() const override { return "global"; }
  void set_covariates(const Covariates* covariates) override { covariates_ = covariates; }
  /// Errors: kFailedPrecondition with less than two days of history; kInvalidArgument for values beyond 1e150.
  Status fit(const History& history) override;
  void update(double value) override;
  /// Steps beyond a day are like the last one within it.
  Result<Forecast> forecast(int steps) const override;

 private:
  std::vector<global::Past::Companion> companions() const;
  std::vector<float> signal_rows(std::size_t bins) const;

  global::Forecaster& forecaster_;
  const Resource resource_;
  Siblings* const siblings_;
  const HostPressure* const pressure_;
  const Covariates* covariates_ = nullptr;
  const std::size_t bin_steps_;
  const std::size_t horizon_bins_;

  bool fitted_ = false;
  std::vector<double> bins_;  ///< newest last
  double open_sum_ = 0;
  std::size_t open_count_ = 0;  ///< steps after the newest bin
  double newest_ = 0;
  Timestamp bins_end_{};
  Nanoseconds step_{};
  mutable std::optional<global::MixedForecast> made_;  ///< from bins_; nullopt: to be made
};

}  // namespace proteus::forecast
