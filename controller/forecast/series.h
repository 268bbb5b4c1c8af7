#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controller/forecast/candidate.h"
#include "controller/forecast/engine.h"

namespace proteus::forecast {

/// One VM's demand for one resource: ticks into steps, steps into every model, and the choice among them.
/// Thread: owned by one.
class Series {
 public:
  /// phase: any number; series with different ones are refitted at different steps.
  Series(const EngineOptions& options, Resource resource, std::uint64_t phase);

  /// As Engine's.
  bool observe(Timestamp time, double value);
  Forecast forecast(Timestamp now) const;
  History history() const;
  std::vector<Accuracy> accuracy() const;

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  void reset();
  void close_step(double value, bool predict);
  void choose();
  bool set_aside(std::size_t i) const;
  bool refit_due() const;
  double newest_window_max() const;
  Timestamp end() const;
  Forecast cold_start() const;

  EngineOptions options_;
  Resource resource_;
  std::uint64_t phase_;
  std::vector<Candidate> candidates_;
  std::vector<int> better_steps_;  ///< per candidate: so long it has been better than the chosen one
  std::vector<int> worse_steps_;   ///< per candidate: so long it has been worse than the baseline
  std::size_t baseline_ = kNone;
  std::size_t chosen_ = kNone;

  std::int64_t open_step_ = 0;  ///< index on the grid since the epoch
  int open_count_ = 0;          ///< ticks in it; 0: nothing observed yet
  double open_value_ = 0;       ///< their sum or maximum

  std::vector<double> values_;  ///< closed steps, newest last
  std::int64_t closed_steps_ = 0;
  std::int64_t known_steps_ = 0;  ///< of them not missing
  double newest_known_ = 0;
  double highest_known_ = 0;
};

}  // namespace proteus::forecast
