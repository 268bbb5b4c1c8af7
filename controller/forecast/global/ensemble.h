#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/result.h"
#include "controller/forecast/global/forecaster.h"
#include "controller/forecast/global/training_set.h"
#include "controller/forecast/quantile_tracker.h"

namespace proteus::forecast::global {

/// Whose forecasts are averaged. Members that validation gave no share in any band are left out, if others are in.
using Members = std::array<bool, kMembers>;

struct EnsembleForecast {
  Path steps;
  std::array<ValueLevels, kWindows.size()> maxima{};   ///< quantiles of the largest step of each of kWindows
  std::array<double, kWindows.size()> reservations{};  ///< to set aside for each (reservation.h)
  std::array<double, kWindows.size()> frugal{};        ///< the same where a step above costs a tenth of that
};

/// One series' ensemble: the members' quantiles, averaged level by level. A member's weight, by band of steps ahead,
/// is what validation gave it (Weights::shares) times a power of its recent pinball loss on this very series against
/// the best member's, trusted more the more has been scored. A guard then keeps the upper levels true while the
/// world drifts: each miss widens the distance from the median a little, each hit narrows it, so that in the long
/// run misses come to 1 − level whatever the data do.
/// Thread: owned by one; weights are shared, and so is the Forecaster, between series of one thread.
/// Source: averaging quantiles, Lichtendahl et al. (2013); guard as in quantile tracking, Angelopoulos et al. (2023),
/// after adaptive conformal inference, Gibbs & Candès (2021).
class Ensemble {
 public:
  Ensemble(std::shared_ptr<const Weights> weights, const Members& members);

  /// now: how many steps the series has had so far, of which past.values are the newest; from one call to the next
  /// it grows by as many steps as have arrived. What was forecast before is scored first.
  /// Errors: those of make_features.
  Result<EnsembleForecast> forecast(Forecaster& forecaster, const Past& past, std::int64_t now);

  /// Weight of each member in a band of steps ahead; they add up to 1.
  std::array<double, kMembers> shares(std::size_t band) const;

 private:
  static constexpr std::array<std::size_t, 14> kScored = {1, 2, 3, 5, 8, 12, 18, 36, 72, 108, 144, 192, 240, 288};

  /// A forecast that waits for what comes, at the steps of kScored.
  struct Pending {
    std::int64_t made_at = 0;
    std::size_t scored = 0;  ///< of kScored
    std::array<std::array<ValueLevels, kScored.size()>, kMembers> members{};
    std::array<ValueLevels, kScored.size()> mixed{};    ///< before the guard
    std::array<ValueLevels, kScored.size()> guarded{};  ///< as told
  };

  void score(const Past& past, std::int64_t now);
  void score_step(const Pending& pending, std::size_t i, double actual);

  std::shared_ptr<const Weights> weights_;
  Members members_;
  std::vector<Pending> pending_;
  std::array<std::array<double, kMembers>, kBands> losses_{};  ///< discounted sums
  std::array<double, kBands> evidence_{};                      ///< discounted count
  std::vector<std::vector<QuantileTracker>> guards_;           ///< by band, by level
};

}  // namespace proteus::forecast::global
