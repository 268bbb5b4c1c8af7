#include "controller/forecast/engine_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <random>

namespace proteus::forecast {
namespace {

using std::chrono::minutes;

const Timestamp kStart = from_unix_ns(1'700'000'040'000'000'000);

EngineOptions options() {
  EngineOptions options;
  options.horizon_steps = 8;
  options.history_steps = 120;
  options.season = minutes(24);
  options.refit_every_steps = 10;
  return options;
}

VmId vm(int i) {
  return VmId("vm-" + std::to_string(i));
}

/// A step of each VM's demand; the later a VM, the later it comes up.
void feed(EnginePool& pool, int step, int vms) {
  for (int i = 0; i < vms; ++i) {
    if (step < 5 * i) continue;
    std::mt19937_64 random(static_cast<unsigned>(1000 * i + step));
    const double value = 1 + 0.3 * i + 0.5 * std::sin(step * 0.26) + 0.1 * static_cast<double>(random() % 100) / 100;
    pool.observe(vm(i), Resource::kCpu, kStart + minutes(step), value);
  }
}

bool same(const Forecast& a, const Forecast& b) {
  return a.made_at == b.made_at && a.steps == b.steps && a.window_max == b.window_max && a.model == b.model &&
         a.stale == b.stale;
}

TEST(EnginePool, TheNumberOfThreadsAndTheTimeOfTakingChangeNothing) {
  constexpr int kVms = 24;
  const auto run = [&](int workers, bool at_once) {
    EnginePool pool(options(), workers);
    std::vector<Forecast> made;
    for (int step = 0; step < 200; ++step) {
      feed(pool, step, kVms);
      if (step == 150) pool.push({"orders", VmId(), {}, {{kStart + minutes(step), 3}}});
      pool.begin_round();
      if (at_once) pool.take(pool.rounds_begun());
    }
    pool.take(pool.rounds_begun());
    for (int i = 0; i < kVms; ++i) made.push_back(pool.forecast(vm(i), Resource::kCpu, kStart + minutes(200)).value());
    return made;
  };
  const std::vector<Forecast> one = run(1, true);
  for (const std::vector<Forecast>& other : {run(1, false), run(4, true), run(4, false)}) {
    for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(same(one[i], other[i])) << i;
  }
}

TEST(EnginePool, GivesTheForecastsOfTheRoundsTaken) {
  EnginePool pool(options(), 2);
  const auto forecast = [&] { return pool.forecast(vm(0), Resource::kCpu, kStart + minutes(31)); };
  EXPECT_EQ(forecast().error().code, ErrorCode::kNotFound);
  for (int step = 0; step <= 30; ++step) feed(pool, step, 1);
  pool.begin_round();
  EXPECT_EQ(pool.rounds_begun(), 1u);
  EXPECT_EQ(forecast().error().code, ErrorCode::kNotFound) << "the round has not been taken";
  pool.take(1);
  EXPECT_EQ(pool.rounds_done(), 1u);
  EXPECT_EQ(forecast()->made_at, kStart + minutes(30));
  feed(pool, 31, 1);
  pool.begin_round();
  pool.take(1);
  EXPECT_EQ(forecast()->made_at, kStart + minutes(30));
  pool.take(2);
  EXPECT_EQ(forecast()->made_at, kStart + minutes(31));
  pool.begin_round();
  EXPECT_EQ(pool.rounds_begun(), 2u) << "there was nothing to hand over";
  EXPECT_TRUE(pool.forecast(vm(0), Resource::kCpu, kStart + minutes(40))->stale);
}

TEST(EnginePool, ForgetsAVm) {
  EnginePool pool(options(), 2);
  for (int step = 0; step < 20; ++step) feed(pool, step, 2);
  pool.begin_round();
  pool.forget(vm(0));
  pool.begin_round();
  pool.take(2);
  EXPECT_FALSE(pool.forecast(vm(0), Resource::kCpu, kStart).has_value());
  EXPECT_FALSE(pool.report(vm(0), Resource::kCpu, kStart).has_value());
  EXPECT_TRUE(pool.forecast(vm(1), Resource::kCpu, kStart).has_value());
  EXPECT_EQ(pool.accuracies().size(), 1u);
}

TEST(EnginePool, ShedsWhenToldTo) {
  EnginePool pool(options(), 1);
  feed(pool, 0, 1);
  pool.shed(true);
  feed(pool, 1, 1);
  pool.shed(false);
  feed(pool, 2, 1);
  feed(pool, 3, 1);
  pool.begin_round();
  pool.take(1);
  EXPECT_EQ(pool.shed_count(), 1u);
  const SeriesReport report = pool.report(vm(0), Resource::kCpu, kStart + minutes(3)).value();
  ASSERT_EQ(report.history.values.size(), 3u);
  EXPECT_TRUE(std::isnan(report.history.values[1]));
}

TEST(EnginePool, HasRoomForSoManySignals) {
  EnginePool pool(options(), 1);
  for (std::size_t i = 0; i < kSignalsPerScopeMax; ++i) {
    EXPECT_TRUE(pool.admit({"s" + std::to_string(i), vm(0), {}, {{kStart, 1}}}));
  }
  EXPECT_TRUE(pool.admit({"s3", vm(0), {}, {{kStart, 1}}})) << "it is known";
  EXPECT_EQ(pool.admit({"more", vm(0), {}, {{kStart, 1}}}).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(pool.admit({"more", vm(1), {}, {{kStart, 1}}}));
  EXPECT_TRUE(pool.admit({"more", VmId(), {}, {{kStart, 1}}}));
}

TEST(EnginePool, GoesOnFromWhatWasSaved) {
  EnginePool before(options(), 2);
  before.push({"orders", VmId(), minutes(5), {{kStart, 3}}});
  for (int step = 0; step < 150; ++step) feed(before, step, 10);
  before.begin_round();
  before.take(1);
  EnginePool after(options(), 2);
  for (const SignalPush& push : before.signals()) after.push(push);
  for (std::size_t shard = 0; shard < EnginePool::shard_count(); ++shard) {
    for (SeriesState& state : before.save(shard)) {
      EXPECT_TRUE(Engine::check(state, options()));
      after.restore(std::move(state));
    }
  }
  after.begin_round();
  after.take(1);
  EXPECT_EQ(after.signals(), before.signals());
  for (int i = 0; i < 10; ++i) {
    const Timestamp now = kStart + minutes(149);
    const SeriesReport was = before.report(vm(i), Resource::kCpu, now).value();
    const SeriesReport is = after.report(vm(i), Resource::kCpu, now).value();
    EXPECT_EQ(is.history.end, was.history.end);
    ASSERT_EQ(is.history.values.size(), was.history.values.size());
    EXPECT_NEAR(is.history.values.back(), was.history.values.back(), 1e-6);
    EXPECT_EQ(is.forecast.model, was.forecast.model) << i;
    EXPECT_NEAR(is.forecast.window_max.p90, was.forecast.window_max.p90, 0.3) << i;
    for (std::size_t m = 0; m < was.accuracy.models.size(); ++m) {
      EXPECT_EQ(is.accuracy.models[m].pinball_loss, was.accuracy.models[m].pinball_loss);
      EXPECT_EQ(is.accuracy.models[m].scored_steps, was.accuracy.models[m].scored_steps);
    }
  }
  // What was seen before it was saved is not seen twice, and both go on alike.
  feed(after, 100, 10);
  for (int step = 150; step < 170; ++step) {
    feed(before, step, 10);
    feed(after, step, 10);
  }
  after.begin_round();
  after.take(2);
  EXPECT_EQ(after.report(vm(3), Resource::kCpu, kStart)->history.end, kStart + minutes(169));
}

TEST(EnginePool, StatesThatAreNotWholeAreRefused) {
  EnginePool pool(options(), 1);
  for (int step = 0; step < 60; ++step) feed(pool, step, 1);
  pool.begin_round();
  pool.take(1);
  SeriesState state;
  for (std::size_t shard = 0; shard < EnginePool::shard_count(); ++shard) {
    for (SeriesState& one : pool.save(shard)) state = std::move(one);
  }
  ASSERT_TRUE(Engine::check(state, options()));
  Engine engine(options());
  for (std::size_t i = 0; i < state.bytes.size(); i += 7) {
    SeriesState damaged = state;
    damaged.bytes[i] = static_cast<char>(damaged.bytes[i] ^ 0x20);
    EXPECT_FALSE(Engine::check(damaged, options())) << i;
    EXPECT_FALSE(engine.restore(damaged)) << i;
    damaged.bytes = state.bytes.substr(0, i);
    EXPECT_FALSE(Engine::check(damaged, options())) << i;
  }
  EXPECT_TRUE(engine.series().empty());
  EngineOptions other = options();
  other.horizon_steps = 9;
  EXPECT_EQ(Engine::check(state, other).error().code, ErrorCode::kUnsupported);
  other = options();
  other.step = minutes(5);
  EXPECT_EQ(Engine::check(state, other).error().code, ErrorCode::kUnsupported);
  state.bytes[0] = 9;
  EXPECT_EQ(Engine::check(state, options()).error().code, ErrorCode::kUnsupported);
}

TEST(EnginePool, TellsWhenARoundIsDone) {
  EnginePool pool(options(), 1);
  std::atomic<int> told = 0;
  pool.on_round_done([&] { ++told; });
  for (int step = 0; step < 3; ++step) {
    feed(pool, step, 1);
    pool.begin_round();
    pool.take(pool.rounds_begun());
  }
  EXPECT_GE(told.load(), 2) << "the last may still be on its way";
}

}  // namespace
}  // namespace proteus::forecast
