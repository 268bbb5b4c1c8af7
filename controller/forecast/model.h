#pragma once

#include <memory>
#include <string_view>

#include "common/result.h"
#include "controller/forecast/covariates.h"
#include "controller/forecast/forecast.h"

namespace proteus::forecast {

/// One way to forecast one series. Pure: no clock, no socket, no global state; the same calls give the same bits.
/// Thread: owned by one.
class Model {
 public:
  virtual ~Model() = default;
  /// As printed and journalled, for example "seasonal_naive".
  virtual std::string_view name() const = 0;
  /// External signals for the calls to come, valid as long as the model is used; null: none. A model that can use
  /// them reads them in fit, update and forecast. Default: they are passed over.
  virtual void set_covariates(const Covariates* covariates) { static_cast<void>(covariates); }
  /// Learns from scratch. Errors: kFailedPrecondition if the history is too short or has no finite value.
  virtual Status fit(const History& history) = 0;
  /// One more step's value; NaN = missing.
  virtual void update(double value) = 0;
  /// Quantiles for the next `steps` steps (1 … 1,440), finite and sorted, and of the window maximum.
  /// Errors: kFailedPrecondition before a successful fit.
  virtual Result<Forecast> forecast(int steps) const = 0;
};

}  // namespace proteus::forecast
