#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/units.h"

namespace proteus::forecast {

/// What is known about a series from outside of it: calendars, metrics that applications push. Each signal runs ahead
/// of demand by a lead of its own, which is taken into account here: the value at a step is what bears on demand in
/// that step. Thread: reading from any, while nobody writes.
class Covariates {
 public:
  virtual ~Covariates() = default;
  /// One per signal, in the order of at(); for example "office hours", "orders". May grow and change its order between
  /// two calls of a model, when a signal comes up.
  virtual const std::vector<std::string>& names() const = 0;
  /// The signals for the step that begins at `begin`, past or future; NaN = not known (yet).
  /// out: as many as names().
  virtual void at(Timestamp begin, std::span<double> out) const = 0;
};

}  // namespace proteus::forecast
