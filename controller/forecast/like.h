#pragma once

#include <vector>

#include "controller/forecast/kin.h"
#include "controller/forecast/model.h"

namespace proteus::forecast {

/// For a series that is too young to know itself: what like series of the cluster did from a similar level (kin.h).
/// Wide, and honest about it. A series that has seen four horizons needs it no more.
class Like final : public Model {
 public:
  /// kin: outlives the model.
  Like(const KinTable& kin, Resource resource, int horizon_steps)
      : kin_(kin), resource_(resource), horizon_steps_(horizon_steps) {}
  std::string_view name() const override { return "like"; }
  /// Errors: kFailedPrecondition without a value, with a history of its own, or while too few like series are known.
  Status fit(const History& history) override;
  void update(double value) override;
  /// Steps beyond the horizon are like the last one within it.
  Result<Forecast> forecast(int steps) const override;

 private:
  const KinTable& kin_;
  const Resource resource_;
  const int horizon_steps_;
  bool fitted_ = false;
  std::vector<double> newest_;  ///< as many as make a level
  Timestamp end_{};
  Nanoseconds step_{};
};

}  // namespace proteus::forecast
