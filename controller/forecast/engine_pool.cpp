#include "controller/forecast/engine_pool.h"

#include <pthread.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "controller/forecast/staleness.h"

namespace proteus::forecast {
namespace {

/// More than any machine has workers, so that they are busy evenly; fixed, since results depend on it.
constexpr std::size_t kShards = 32;
/// A feed of so many inputs begins a round by itself.
constexpr std::size_t kRoundInputsMax = 100'000;
/// catch_up() lets so many rounds wait.
constexpr std::uint64_t kRoundsWaiting = 2;

}  // namespace

void scale(SeriesReport& report, double factor) {
  if (factor == 1) return;
  scale(report.forecast, factor);
  for (double& value : report.history.values) value *= factor;
  report.accuracy.scale *= factor;
  for (Accuracy& model : report.accuracy.models) {
    model.pinball_loss *= factor;
    for (LeadAccuracy& lead : model.leads) lead.pinball_loss *= factor;
  }
}

struct EnginePool::Shard {
  explicit Shard(Engine with) : engine(std::move(with)) {}

  Engine engine;
  mutable std::mutex mutex;  // guards engine: a worker holds it during a round, readers between
};

EnginePool::EnginePool(EngineOptions options, int workers)
    : step_(std::max(options.step, Nanoseconds{1})), fed_(kShards), kin_(options.horizon_steps) {
  for (std::size_t i = 0; i < kShards; ++i) shards_.push_back(std::make_unique<Shard>(Engine(options, &kin_)));
  for (int i = 0; i < std::max(1, workers); ++i) {
    workers_.emplace_back([this, i] {
      pthread_setname_np(pthread_self(), ("forecast-" + std::to_string(i + 1)).c_str());
      work();
    });
  }
}

EnginePool::~EnginePool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_ready_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

std::size_t EnginePool::shard_count() {
  return kShards;
}

std::size_t EnginePool::shard_of(const VmId& vm) const {
  return stable_hash(vm.value) % kShards;
}

void EnginePool::feed(std::size_t shard, Input input) {
  fed_[shard].push_back(std::move(input));
  if (++fed_count_ >= kRoundInputsMax) begin_round();
}

EnginePool::Vm& EnginePool::vm(const VmId& id) {
  Vm& vm = vms_[id];
  if (vm.id.empty()) {
    vm.id = id;
    vm.shard = shard_of(id);
  }
  return vm;
}

void EnginePool::observe(Vm& vm, Resource resource, Timestamp time, double value) {
  if (shedding_) {
    ++shed_count_;
    return;
  }
  observed_ = true;
  if (!std::isfinite(value)) return;
  const std::int64_t step = to_unix_ns(time) / step_.count();
  vm.ticks[static_cast<std::size_t>(resource)].add(resource, step, std::max(0.0, value), [&](const StepTicks& ticks) {
    feed(vm.shard, Observation{vm.id, resource, ticks});
  });
}

void EnginePool::observe_pressure(const VmId& vm, Timestamp time, double waited_per_run) {
  if (!shedding_) feed(shard_of(vm), Pressure{vm, time, waited_per_run});
}

Status EnginePool::admit(const SignalPush& push) {
  std::set<std::string>& names = signal_names_[push.vm];
  if (!names.contains(push.name)) {
    if (names.size() >= kSignalsPerScopeMax) {
      return Error{ErrorCode::kFailedPrecondition,
                   "there is no room for the signal '" + push.name + "': " + std::to_string(kSignalsPerScopeMax) +
                       (push.vm.empty() ? " are pushed for the cluster" : " are pushed for this VM")};
    }
    names.insert(push.name);
  }
  return {};
}

void EnginePool::push(const SignalPush& push) {
  if (!push.vm.empty()) {
    feed(shard_of(push.vm), push);
    return;
  }
  for (std::size_t shard = 0; shard < kShards; ++shard) feed(shard, push);
}

void EnginePool::forget(const VmId& vm) {
  feed(shard_of(vm), Forgotten{vm});
  signal_names_.erase(vm);
  vms_.erase(vm);
}

void EnginePool::restore(SeriesState state) {
  Vm& of = vm(state.key.vm);
  of.ticks[static_cast<std::size_t>(state.key.resource)].clear();
  feed(of.shard, std::move(state));
}

void EnginePool::begin_round() {
  if (fed_count_ == 0 && !observed_) return;
  auto round = std::make_unique<Round>();
  const bool idle = fed_count_ == 0;
  observed_ = false;
  ++rounds_begun_;
  if (idle) {
    const std::lock_guard lock(mutex_);
    if (rounds_.empty()) {
      finished_.push_back(std::move(round));
      ++rounds_done_;
      return;
    }
  }
  round->inputs = std::exchange(fed_, std::vector<std::vector<Input>>(kShards));
  round->outcomes.resize(kShards);
  round->samples.resize(kShards);
  fed_count_ = 0;
  {
    const std::lock_guard lock(mutex_);
    rounds_.push_back(std::move(round));
  }
  work_ready_.notify_all();
}

std::uint64_t EnginePool::rounds_done() const {
  const std::lock_guard lock(mutex_);
  return rounds_done_;
}

void EnginePool::catch_up() {
  if (rounds_begun_ > rounds_taken_ + kRoundsWaiting) take(rounds_begun_ - kRoundsWaiting);
}

void EnginePool::take(std::uint64_t rounds) {
  std::deque<std::unique_ptr<Round>> taken;
  {
    std::unique_lock lock(mutex_);
    round_done_.wait(lock, [&] { return rounds_done_ >= std::min(rounds, rounds_begun_); });
    for (; rounds_taken_ < rounds && !finished_.empty(); ++rounds_taken_) {
      taken.push_back(std::move(finished_.front()));
      finished_.pop_front();
    }
  }
  std::uint64_t number = rounds_taken_ - taken.size();
  for (const std::unique_ptr<Round>& round : taken) {
    ++number;
    for (std::vector<Outcome>& outcomes : round->outcomes) {
      for (Outcome& outcome : outcomes) {
        const auto found = vms_.find(outcome.key.vm);
        if (found == vms_.end()) continue;  // forgotten since
        const auto resource = static_cast<std::size_t>(outcome.key.resource);
        Taken& to = found->second.taken;
        to.forecasts[resource] = std::move(outcome.forecast);
        to.rounds[resource] = number;
        if (to.forecasts[resource]) to.stale_after[resource] = stale_after(*to.forecasts[resource]);
      }
    }
  }
}

Result<Forecast> EnginePool::forecast(const VmId& vm, Resource resource, Timestamp now) const {
  const auto found = vms_.find(vm);
  const auto index = static_cast<std::size_t>(resource);
  if (found == vms_.end() || !found->second.taken.forecasts[index]) {
    return Error{ErrorCode::kNotFound, std::string("no ") + to_string(resource) + " forecast of " + vm.value};
  }
  return aged(*found->second.taken.forecasts[index], now);
}

Result<SeriesReport> EnginePool::report(const VmId& vm, Resource resource, Timestamp now) const {
  const Shard& shard = *shards_[shard_of(vm)];
  const std::lock_guard lock(shard.mutex);
  Result<Forecast> made = shard.engine.forecast(vm, resource, now);
  if (!made) return made.error();
  return SeriesReport{shard.engine.history(vm, resource), std::move(*made), shard.engine.accuracy(vm, resource)};
}

std::vector<std::pair<SeriesKey, SeriesAccuracy>> EnginePool::accuracies() const {
  std::vector<std::pair<SeriesKey, SeriesAccuracy>> all;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    for (SeriesKey& key : shard->engine.series()) {
      SeriesAccuracy accuracy = shard->engine.accuracy(key.vm, key.resource);
      all.emplace_back(std::move(key), std::move(accuracy));
    }
  }
  return all;
}

std::vector<SeriesState> EnginePool::save(std::size_t shard) const {
  std::vector<SeriesState> states;
  const std::lock_guard lock(shards_[shard]->mutex);
  Engine& engine = shards_[shard]->engine;
  for (const SeriesKey& key : engine.series()) {
    if (Result<SeriesState> state = engine.save(key)) states.push_back(std::move(*state));
  }
  return states;
}

std::vector<SignalPush> EnginePool::signals() const {
  std::vector<SignalPush> all;
  for (std::size_t i = 0; i < kShards; ++i) {
    const std::lock_guard lock(shards_[i]->mutex);
    for (SignalPush& push : shards_[i]->engine.signals()) {
      if (!push.vm.empty() || i == 0) all.push_back(std::move(push));  // every shard has those of everybody
    }
  }
  return all;
}

void EnginePool::run_shard(Round& round, std::size_t index) {
  if (round.inputs[index].empty()) return;
  Shard& shard = *shards_[index];
  const std::lock_guard lock(shard.mutex);
  std::map<VmId, std::set<Resource>> changed;
  for (const Input& input : round.inputs[index]) {
    if (const auto* seen = std::get_if<Observation>(&input)) {
      shard.engine.observe(seen->vm, seen->resource, seen->ticks);
      if (shard.engine.take_news(seen->vm, seen->resource)) changed[seen->vm].insert(seen->resource);
    } else if (const auto* pressure = std::get_if<Pressure>(&input)) {
      shard.engine.observe_pressure(pressure->vm, pressure->time, pressure->waited_per_run);
    } else if (const auto* push = std::get_if<SignalPush>(&input)) {
      shard.engine.push(*push);
    } else if (const auto* forgotten = std::get_if<Forgotten>(&input)) {
      shard.engine.forget(forgotten->vm);
      changed.erase(forgotten->vm);
      for (const Resource resource : kResources) round.outcomes[index].push_back({{forgotten->vm, resource}, {}});
    } else if (const auto* state = std::get_if<SeriesState>(&input)) {
      if (shard.engine.restore(*state)) changed[state->key.vm].insert(state->key.resource);
    }
  }
  for (const auto& [vm, resources] : changed) {
    for (const Resource resource : resources) {
      // Not aged: that is done when it is asked for.
      Result<Forecast> made = shard.engine.forecast(vm, resource, Timestamp{});
      if (made) round.outcomes[index].push_back({{vm, resource}, std::move(*made)});
      shard.engine.take_kin_samples({vm, resource}, round.samples[index]);
    }
  }
  round.inputs[index].clear();
}

void EnginePool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_ready_.wait(lock, [this] { return stopping_ || (!rounds_.empty() && rounds_.front()->next_shard < kShards); });
    if (stopping_) return;
    Round& round = *rounds_.front();
    const std::size_t shard = round.next_shard++;
    lock.unlock();
    run_shard(round, shard);
    lock.lock();
    if (++round.shards_done < kShards) continue;
    // Nobody works on a shard now, so the table may change.
    for (const std::vector<KinSample>& samples : round.samples) kin_.add(samples);
    finished_.push_back(std::move(rounds_.front()));
    rounds_.pop_front();
    ++rounds_done_;
    round_done_.notify_all();
    work_ready_.notify_all();
    lock.unlock();
    if (notify_) notify_();
    lock.lock();
  }
}

}  // namespace proteus::forecast
