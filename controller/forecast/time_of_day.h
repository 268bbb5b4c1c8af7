#pragma once

#include <vector>

#include "controller/forecast/model.h"

namespace proteus::forecast {

/// What was seen at the same time of day: for each step ahead, quantiles of the values up to three steps around its
/// time of day on up to seven days before. The window maximum has the quantiles of those days' maxima over the same
/// window, with as many windows a little shifted. Source: benchmark name "tod_7d"; cf. Cortez et al., Resource Central
/// (SOSP 2017), on how regular VMs are.
class TimeOfDay final : public Model {
 public:
  explicit TimeOfDay(int day_steps);
  std::string_view name() const override { return "time_of_day"; }
  /// Errors: kFailedPrecondition without a day of history and a value in it that is known; kInvalidArgument for values
  /// beyond 1e150.
  Status fit(const History& history) override;
  void update(double value) override;
  Result<Forecast> forecast(int steps) const override;

 private:
  std::size_t day_steps_;
  std::vector<double> values_;  ///< the newest days and the margin, oldest first
  bool fitted_ = false;
  Timestamp end_{};
  Nanoseconds step_{};
};

}  // namespace proteus::forecast
