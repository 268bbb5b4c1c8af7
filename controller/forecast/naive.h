#pragma once

#include "controller/forecast/error_table.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// The last value, with the quantiles of how far the series has moved away from it within h steps. Moves
/// across a change of regime count by the rate of changes, as in HoltDamped.
class Naive final : public Model {
 public:
  /// Errors are learned up to horizon_steps, from the newest fit_steps of the history.
  explicit Naive(int horizon_steps, int fit_steps = 360);
  std::string_view name() const override { return "naive"; }
  Status fit(const History& history) override;
  void update(double value) override;
  Result<Forecast> forecast(int steps) const override;

 private:
  int fit_steps_;
  ErrorTable errors_;
  bool fitted_ = false;
  double last_ = 0;
  Timestamp end_{};
  Nanoseconds step_{};
};

}  // namespace proteus::forecast
