#pragma once

#include <cstdint>
#include <vector>

#include "controller/forecast/model.h"

namespace proteus::forecast {

/// Weighted quantiles of the whole history, the same for every step ahead; a value's weight halves every
/// half_life_steps. The quantile is the smallest value at which its share of the weights is reached. For the window
/// maximum the same is done with the history's own maxima over as many steps.
/// Source: Rzadca et al., Autopilot (EuroSys 2020); the Kubernetes vertical pod autoscaler.
class DecayingHistogram final : public Model {
 public:
  explicit DecayingHistogram(int half_life_steps);
  std::string_view name() const override { return "decaying_histogram"; }
  /// Errors: kFailedPrecondition without a finite value; kInvalidArgument for values beyond 1e150.
  Status fit(const History& history) override;
  void update(double value) override;
  Result<Forecast> forecast(int steps) const override;

 private:
  struct Entry {
    double value;
    std::int64_t step;  ///< when; the newest weighs most
  };
  Quantiles weighted(const std::vector<Entry>& sorted) const;

  double half_life_steps_;
  std::size_t kept_ = 0;        ///< as many as fit() was given
  std::vector<double> values_;  ///< oldest first, NaN = missing
  std::vector<Entry> sorted_;   ///< the known ones by value
  std::int64_t newest_step_ = 0;
  bool fitted_ = false;
  Timestamp end_{};
  Nanoseconds step_{};
};

}  // namespace proteus::forecast
