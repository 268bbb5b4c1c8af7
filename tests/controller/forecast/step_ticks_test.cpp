#include "controller/forecast/step_ticks.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "controller/forecast/engine.h"

namespace proteus::forecast {
namespace {

using std::chrono::seconds;

const VmId kVm{"vm"};
const Timestamp kStart = from_unix_ns(1'700'000'040'000'000'000);  // a whole minute

EngineOptions options() {
  EngineOptions options;
  options.horizon_steps = 6;
  options.history_steps = 60;
  options.season = std::chrono::minutes(12);
  options.refit_every_steps = 10;
  return options;
}

std::vector<StepTicks> add(TickGatherer& gatherer, std::int64_t step, double value,
                           Resource resource = Resource::kCpu) {
  std::vector<StepTicks> given;
  gatherer.add(resource, step, value, [&](const StepTicks& ticks) { given.push_back(ticks); });
  return given;
}

TEST(TickGatherer, GivesStepsOnceOneHasClosed) {
  TickGatherer gatherer;
  EXPECT_EQ(add(gatherer, 7, 1), (std::vector<StepTicks>{{7, 1, 1, 7}}));
  EXPECT_EQ(add(gatherer, 7, 2), (std::vector<StepTicks>{{7, 1, 2, 7}})) << "nothing has closed yet";
  EXPECT_EQ(add(gatherer, 8, 3), (std::vector<StepTicks>{{7, 0, 0, 8}}));
  EXPECT_TRUE(add(gatherer, 8, 4).empty());
  EXPECT_TRUE(add(gatherer, 7, 100).empty()) << "its step is closed";
  EXPECT_EQ(add(gatherer, 9, 5), (std::vector<StepTicks>{{8, 2, 7, 9}}));
  EXPECT_EQ(add(gatherer, 12, 6), (std::vector<StepTicks>{{9, 1, 5, 9}, {12, 1, 6, 12}})) << "a gap";
  EXPECT_EQ(add(gatherer, 12, 1), (std::vector<StepTicks>{{12, 1, 1, 12}}));
  gatherer.clear();
  EXPECT_EQ(add(gatherer, 3, 1), (std::vector<StepTicks>{{3, 1, 1, 3}}));
}

TEST(TickGatherer, OfMemoryTheMaximumCounts) {
  TickGatherer gatherer;
  add(gatherer, 1, 1, Resource::kMemory);
  for (const double value : {2.0, 5.0, 3.0}) add(gatherer, 2, value, Resource::kMemory);
  EXPECT_EQ(add(gatherer, 3, 1, Resource::kMemory), (std::vector<StepTicks>{{2, 3, 5, 3}}));
}

/// Ticks with gaps short and long, late ones and silences, given one by one and gathered.
TEST(TickGatherer, MakesOfASeriesWhatTicksOneByOneMakeOfIt) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    Engine one(options());
    Engine other(options());
    TickGatherer gatherer;
    const Resource resource = seed % 2 == 0 ? Resource::kCpu : Resource::kMemory;
    Timestamp now = kStart;
    for (int tick = 0; tick < 3000; ++tick) {
      const auto event = random() % 400;
      now += seconds(event == 0 ? 1500 : event < 4 ? 150 : event < 20 ? 61 : 7);
      const Timestamp time = event == 50 ? now - seconds(90) : now;
      const double value = 1 + static_cast<double>(random() % 1000) / 700;
      const bool closed = one.observe(kVm, resource, time, value);
      bool closed_too = false;
      gatherer.add(resource, to_unix_ns(time) / options().step.count(), value,
                   [&](const StepTicks& ticks) { closed_too = other.observe(kVm, resource, ticks) || closed_too; });
      ASSERT_EQ(closed, closed_too) << seed << " " << tick;
      // While nothing has closed there may be news without it; the two hear of it alike.
      const bool news = one.take_news(kVm, resource);
      ASSERT_TRUE(news || !closed) << seed << " " << tick;
      ASSERT_EQ(news, other.take_news(kVm, resource)) << seed << " " << tick;
      if (!news) continue;
      const Forecast a = one.forecast(kVm, resource, time).value();
      const Forecast b = other.forecast(kVm, resource, time).value();
      ASSERT_EQ(a.made_at, b.made_at);
      ASSERT_EQ(a.steps, b.steps) << seed << " " << tick;
      ASSERT_EQ(a.model, b.model);
    }
    EXPECT_EQ(one.save({kVm, resource})->bytes, other.save({kVm, resource})->bytes);
    EXPECT_FALSE(one.history(kVm, resource).values.empty());
  }
}

}  // namespace
}  // namespace proteus::forecast
