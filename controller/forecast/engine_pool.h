#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "controller/forecast/engine.h"

namespace proteus::forecast {

/// One series with what is thought of its future.
struct SeriesReport {
  History history;
  Forecast forecast;
  SeriesAccuracy accuracy;
};

/// The report in a unit that is 1/factor of its own. factor > 0.
void scale(SeriesReport& report, double factor);

/// Thousands of series, forecast by worker threads while the thread that feeds them decides.
///
/// VMs are spread over a fixed number of shards, an Engine each. What is fed is collected; begin_round() hands it to
/// the workers, and take() makes the results of a round visible to the feeding thread. Rounds are worked off one after
/// the other, shards of a round side by side; what series learn from each other (kin.h) is passed on between rounds, in
/// the order of the shards. So the results depend on what was fed and where rounds began, never on the number or the
/// speed of the threads. Thread: the feeding thread's, except where said.
class EnginePool {
 public:
  /// workers: threads, at least 1.
  EnginePool(EngineOptions options, int workers);
  /// What has not been worked off is dropped.
  ~EnginePool();
  EnginePool(const EnginePool&) = delete;
  EnginePool& operator=(const EnginePool&) = delete;

  /// Called by a worker after each round that it has worked off; set it before the first.
  void on_round_done(std::function<void()> notify) { notify_ = std::move(notify); }

  /// What has been taken of one VM.
  struct Taken {
    std::array<std::optional<Forecast>, kResources.size()> forecasts;  ///< not aged
    std::array<std::uint64_t, kResources.size()> rounds{};             ///< that each came with; from 1
    std::array<Timestamp, kResources.size()> stale_after{};            ///< as the function says
  };
  /// A VM as the pool knows it: who feeds it each tick need not look it up each time.
  struct Vm {
    VmId id;
    std::size_t shard = 0;
    std::array<TickGatherer, kResources.size()> ticks;
    Taken taken;
  };
  /// Known from now on; stays where it is until forget().
  Vm& vm(const VmId& id);

  /// As Engine's. Ticks are gathered into steps; those of a step that is still open may not have been handed over.
  void observe(Vm& vm, Resource resource, Timestamp time, double value);
  void observe(const VmId& id, Resource resource, Timestamp time, double value) {
    observe(vm(id), resource, time, value);
  }
  /// As Engine's.
  void observe_pressure(const VmId& vm, Timestamp time, double waited_per_run);
  /// Makes room for a signal. Errors: kFailedPrecondition if the VM, or everybody, has as many signals as are taken.
  Status admit(const SignalPush& push);
  /// Of an admitted signal.
  void push(const SignalPush& push);
  void forget(const VmId& vm);
  void restore(SeriesState state);
  /// While on, observations are dropped and counted: the workers are too far behind. Steps without any are missing.
  void shed(bool on) { shedding_ = on; }
  std::uint64_t shed_count() const { return shed_count_; }

  /// Hands over what was fed. No new round if that is nothing; one that gives the workers nothing to do is done at
  /// once, if they are not behind. A feed of very many begins rounds by itself.
  void begin_round();
  /// Rounds handed over so far.
  std::uint64_t rounds_begun() const { return rounds_begun_; }
  /// Of them worked off. Any thread.
  std::uint64_t rounds_done() const;
  /// Waits until that many rounds have been worked off, and makes their forecasts the ones that forecast() gives.
  void take(std::uint64_t rounds);
  /// Waits while more than a few rounds are not worked off; for feeding faster than in real time.
  void catch_up();

  /// From the rounds taken; aged. Errors: kNotFound.
  Result<Forecast> forecast(const VmId& vm, Resource resource, Timestamp now) const;

  /// The newest, whether taken or not. Any thread; waits for the VM's shard, if it is at work. Errors: kNotFound.
  Result<SeriesReport> report(const VmId& vm, Resource resource, Timestamp now) const;
  std::vector<std::pair<SeriesKey, SeriesAccuracy>> accuracies() const;
  /// States of the shard's series; `shard` runs from 0 to shard_count() − 1. Any thread, likewise.
  std::vector<SeriesState> save(std::size_t shard) const;
  std::vector<SignalPush> signals() const;
  static std::size_t shard_count();

 private:
  struct Observation {
    VmId vm;
    Resource resource{};
    StepTicks ticks;
  };
  struct Pressure {
    VmId vm;
    Timestamp time;
    double waited_per_run = 0;
  };
  struct Forgotten {
    VmId vm;
  };
  using Input = std::variant<Observation, Pressure, SignalPush, Forgotten, SeriesState>;
  struct Shard;
  struct Outcome {
    SeriesKey key;
    std::optional<Forecast> forecast;  ///< nullopt: the series is gone
  };
  struct Round {
    std::vector<std::vector<Input>> inputs;       ///< by shard
    std::vector<std::vector<Outcome>> outcomes;   ///< by shard
    std::vector<std::vector<KinSample>> samples;  ///< by shard
    std::size_t next_shard = 0;
    std::size_t shards_done = 0;
  };

  std::size_t shard_of(const VmId& vm) const;
  void feed(std::size_t shard, Input input);
  void work();
  void run_shard(Round& round, std::size_t shard);

  const Nanoseconds step_;

  // The feeding thread's.
  std::vector<std::vector<Input>> fed_;  ///< by shard
  std::size_t fed_count_ = 0;
  bool observed_ = false;  ///< since the last round began
  std::uint64_t rounds_begun_ = 0;
  std::uint64_t rounds_taken_ = 0;
  bool shedding_ = false;
  std::uint64_t shed_count_ = 0;
  std::map<VmId, std::set<std::string>> signal_names_;
  std::unordered_map<VmId, Vm> vms_;  ///< an entry stays where it is

  KinTable kin_;  ///< written between rounds, read by the shards of one
  std::vector<std::unique_ptr<Shard>> shards_;
  std::function<void()> notify_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable work_ready_;
  mutable std::condition_variable round_done_;
  std::deque<std::unique_ptr<Round>> rounds_;    ///< the front is being worked off
  std::deque<std::unique_ptr<Round>> finished_;  ///< not taken yet
  std::uint64_t rounds_done_ = 0;
  bool stopping_ = false;

  std::vector<std::thread> workers_;
};

}  // namespace proteus::forecast
