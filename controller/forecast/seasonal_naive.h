#pragma once

#include <vector>

#include "controller/forecast/error_table.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// The value of one season ago, with the quantiles of how far the series was from it lately.
class SeasonalNaive final : public Model {
 public:
  /// season_steps > 0. fit() needs one season and a few steps to compare with it, else kFailedPrecondition.
  SeasonalNaive(int season_steps, int horizon_steps);
  std::string_view name() const override { return "seasonal_naive"; }
  Status fit(const History& history) override;
  void update(double value) override;
  Result<Forecast> forecast(int steps) const override;

 private:
  std::size_t season_steps_;
  ErrorTable errors_;
  bool fitted_ = false;
  std::vector<double> season_;  ///< ring of the newest season; a missing value: that of a season before
  std::size_t next_ = 0;        ///< where the next value goes, which is also its forecast
  Timestamp end_{};
  Nanoseconds step_{};
};

}  // namespace proteus::forecast
