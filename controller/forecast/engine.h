#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "controller/forecast/model.h"

namespace proteus::forecast {

struct EngineOptions {
  Nanoseconds step = std::chrono::seconds(60);
  int horizon_steps = 30;
  int history_steps = 2880;  ///< kept per series
  Nanoseconds season = std::chrono::hours(24);
  int min_history_steps = 5;   ///< fewer: a wide forecast around the last value, model "cold_start"
  int refit_every_steps = 30;  ///< parameters are chosen anew this often, series in turn; young series more often
};

/// How well a model has forecast lately, exponentially weighted over closed steps.
struct Accuracy {
  std::string model;
  double pinball_loss = 0;  ///< mean over p50, p90 and p99, and over the first, middle and last step of the
                            ///< horizon (one step alone would favour the last value), unit of the series;
                            ///< a surprise counts for at most five times the usual loss of the naive
  double coverage_p90 = 0;  ///< share of steps at or below the p90 of one step before
  std::int64_t scored_steps = 0;
  bool chosen = false;
  bool set_aside = false;  ///< not to be chosen for now
  std::string reason;      ///< why it is set aside; empty otherwise
};

/// The Demand Prediction Engine: all series of all VMs, every model side by side, the best by recent pinball
/// loss chosen; a model that does worse than the seasonal naive, or fails, is set aside. Intervals are kept
/// honest by an adaptive conformal correction. Deterministic: time is an argument. Thread: owned by one.
class Engine {
 public:
  explicit Engine(EngineOptions options);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  /// Demand observed over the instant's tick; ticks are averaged (CPU, I/O, network) or their maximum taken
  /// (memory) into steps on a grid aligned to the epoch. Older than the open step: ignored. Returns true if a
  /// step closed.
  bool observe(const VmId& vm, Resource resource, Timestamp time, double value);

  /// Stale series: as many steps more as have gone by unseen (four horizons at most), wider the longer the
  /// silence. Errors: kNotFound for a series never observed.
  Result<Forecast> forecast(const VmId& vm, Resource resource, Timestamp now) const;

  /// Closed steps, newest last, at most history_steps. Empty for a series never observed.
  History history(const VmId& vm, Resource resource) const;
  std::vector<Accuracy> accuracy(const VmId& vm, Resource resource) const;

  /// Drops a VM's series (it is gone from the cluster).
  void forget(const VmId& vm);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace proteus::forecast
