#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/ids.h"
#include "controller/forecast/accuracy.h"
#include "controller/forecast/calendar.h"
#include "controller/forecast/kin.h"
#include "controller/forecast/model.h"
#include "controller/forecast/signals.h"
#include "controller/forecast/step_ticks.h"

namespace proteus::forecast {

namespace global {
struct Weights;
}

struct EngineOptions {
  Nanoseconds step = std::chrono::seconds(60);
  int horizon_steps = 30;
  int history_steps = 4320;  ///< kept per series; the global model wants two days
  Nanoseconds season = std::chrono::hours(24);
  int min_history_steps = 5;   ///< fewer: a wide forecast around the last value, model "cold_start"
  int refit_every_steps = 30;  ///< parameters are chosen anew this often, series in turn; young series more often
  std::shared_ptr<const Calendar> calendar;         ///< may be null
  std::shared_ptr<const global::Weights> networks;  ///< of the global model; null: it does not take part
};

/// One series of one VM.
struct SeriesKey {
  VmId vm;
  Resource resource{};
  bool operator==(const SeriesKey&) const = default;
};

/// A series as it can be kept and brought back: its history and how its models have done (common/state_archive.h); not
/// the models, which are fitted again.
struct SeriesState {
  SeriesKey key;
  std::string bytes;
  bool operator==(const SeriesState&) const = default;
};

/// The Demand Prediction Engine: all series of some VMs, every model side by side. The forecast is that of the best
/// model that follows the newest values, blended with those of models that have learned how the series goes, by recent
/// pinball loss at each lead; a model that does worse than the seasonal naive, or fails, is set aside. Intervals are
/// kept honest by an adaptive conformal correction. Deterministic: time is an argument. Thread: owned by one.
class Engine {
 public:
  /// kin: what a series may learn from others, outlives the engine; may be null.
  explicit Engine(EngineOptions options, const KinTable* kin = nullptr);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  /// Demand observed over the instant's tick; ticks are averaged (CPU, I/O, network) or their maximum taken
  /// (memory) into steps on a grid aligned to the epoch. Older than the open step: ignored. Returns true if a
  /// step closed.
  bool observe(const VmId& vm, Resource resource, Timestamp time, double value);
  /// How short of CPU the VM's host is (HostPressure), once a step or so. Of a VM without series: ignored.
  void observe_pressure(const VmId& vm, Timestamp time, double waited_per_run);
  /// Several ticks at once.
  bool observe(const VmId& vm, Resource resource, const StepTicks& ticks);
  /// An external signal, see SignalBoard.
  void push(const SignalPush& push);

  /// As made after the newest closed step, aged (staleness.h). Errors: kNotFound for a series never observed.
  Result<Forecast> forecast(const VmId& vm, Resource resource, Timestamp now) const;

  /// Whether forecast() says something else than when this was last asked: a step has closed or, before the first has,
  /// its ticks make of it what differs by a tenth. False for a series never observed.
  bool take_news(const VmId& vm, Resource resource);

  /// Closed steps, newest last, at most history_steps. Empty for a series never observed.
  History history(const VmId& vm, Resource resource) const;
  SeriesAccuracy accuracy(const VmId& vm, Resource resource) const;
  /// Every series, by VM and resource.
  std::vector<SeriesKey> series() const;

  /// Drops a VM's series and signals (it is gone from the cluster).
  void forget(const VmId& vm);

  /// Errors: kNotFound.
  Result<SeriesState> save(const SeriesKey& key);
  /// Replaces the series. Errors: kCorrupt, kUnsupported (another version wrote it); nothing has changed then.
  Status restore(const SeriesState& state);
  /// Whether restore() would take it, as far as can be told without doing it. Errors: as restore().
  static Status check(const SeriesState& state, const EngineOptions& options);
  std::vector<SignalPush> signals() const;

  /// Appends what the series has had to tell others since the last call.
  void take_kin_samples(const SeriesKey& key, std::vector<KinSample>& samples);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// FNV-1a: the same on every machine and run, which std::hash does not promise.
std::uint64_t stable_hash(std::string_view text);

}  // namespace proteus::forecast
