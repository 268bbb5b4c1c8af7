#include "controller/forecast/regression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "controller/forecast/engine.h"

namespace proteus::forecast {
namespace {

using std::chrono::minutes;

const VmId kVm{"vm"};
const Timestamp kStart = from_unix_ns(1'700'000'040'000'000'000);
constexpr int kLead = 12;
constexpr int kHorizon = 12;
constexpr int kSteps = 900;

EngineOptions options() {
  EngineOptions options;
  options.horizon_steps = kHorizon;
  options.history_steps = 600;
  options.season = minutes(60);
  return options;
}

/// Orders come in bursts that nothing announces; a lead later they are demand.
std::vector<double> bursts(unsigned seed, int count) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> size(10, 60);
  std::vector<double> orders;
  while (static_cast<int>(orders.size()) < count) {
    const double level = random() % 3 == 0 ? size(random) : 5;
    const std::size_t length = 5 + random() % 30;
    for (std::size_t i = 0; i < length; ++i) orders.push_back(level);
  }
  orders.resize(static_cast<std::size_t>(count));
  return orders;
}

struct Outcome {
  double loss = 0;  ///< mean absolute error of the median, 6 and 12 steps ahead
  std::vector<Accuracy> models;
};

enum class With { kNothing, kDecisive, kUseless };

Outcome run(unsigned seed, With with) {
  Engine engine(options());
  const std::vector<double> orders = bursts(seed, kSteps + 1);
  const std::vector<double> other = bursts(seed + 1000, kSteps + 1);
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise(0, 0.05);
  std::vector<double> demand;
  for (int i = 0; i <= kSteps; ++i) {
    const double load = i < kLead ? 5 : orders[static_cast<std::size_t>(i - kLead)];
    demand.push_back(std::max(0.0, 0.2 + 0.02 * load + noise(random)));
  }
  Outcome outcome;
  int scored = 0;
  for (int i = 0; i < kSteps; ++i) {
    const Timestamp time = kStart + minutes(i);
    if (with != With::kNothing) {
      const auto& values = with == With::kDecisive ? orders : other;
      engine.push({"orders", VmId(), minutes(kLead), {{time, values[static_cast<std::size_t>(i)]}}});
    }
    engine.observe(kVm, Resource::kCpu, time, demand[static_cast<std::size_t>(i)]);
    if (i < kSteps / 2 || i + kHorizon >= kSteps) continue;
    const Forecast forecast = engine.forecast(kVm, Resource::kCpu, time).value();  // of step i and later
    for (const int h : {6, 12}) {
      outcome.loss +=
          std::abs(forecast.steps[static_cast<std::size_t>(h - 1)].p50 - demand[static_cast<std::size_t>(i + h - 1)]);
      ++scored;
    }
  }
  outcome.loss /= scored;
  outcome.models = engine.accuracy(kVm, Resource::kCpu).models;
  return outcome;
}

TEST(Regression, ADecisiveSignalIsUsedAndTheLossFalls) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    const Outcome without = run(seed, With::kNothing);
    const Outcome with = run(seed, With::kDecisive);
    const auto regression =
        std::ranges::find_if(with.models, [](const Accuracy& model) { return model.model == "regression"; });
    ASSERT_NE(regression, with.models.end());
    ASSERT_EQ(regression->leads.size(), 3U);
    for (const LeadAccuracy& lead : regression->leads) {
      // One step ahead a burst goes on as it is: models that know only the newest value lose little there.
      EXPECT_GT(lead.share, lead.steps == 1 ? 0.5 : 0.9) << "seed " << seed << ", " << lead.steps;
    }
    EXPECT_LT(with.loss, 0.5 * without.loss) << "seed " << seed;
  }
}

TEST(Regression, AUselessSignalDoesNoHarm) {
  double without = 0;
  double with = 0;
  for (unsigned seed = 1; seed <= 5; ++seed) {
    without += run(seed, With::kNothing).loss;
    with += run(seed, With::kUseless).loss;
  }
  EXPECT_LE(with, 1.02 * without);
}

TEST(Regression, SaysWhyItHasNothingToSay) {
  const Outcome nothing = run(1, With::kNothing);
  const auto reason = [](const Outcome& outcome) {
    for (const Accuracy& model : outcome.models) {
      if (model.model == "regression") return model.reason;
    }
    return std::string();
  };
  EXPECT_EQ(reason(nothing), "regression: no signals");
}

/// Signals from a function of the step; unknown from `known` on.
class Function final : public Covariates {
 public:
  Function(std::vector<std::string> names, int known) : names_(std::move(names)), known_(known) {}
  const std::vector<std::string>& names() const override { return names_; }
  void at(Timestamp begin, std::span<double> out) const override {
    const auto i = (begin - kStart) / minutes(1);
    for (std::size_t k = 0; k < out.size(); ++k) {
      out[k] = i >= known_ ? std::nan("")
               : k == 0    ? (i / 20 % 2 == 0 ? 1.0 : 0.0)
                           : std::sin(double(i) * (1.3 + double(k)));
    }
  }

 private:
  std::vector<std::string> names_;
  int known_;
};

History history_of(const Covariates& covariates, int count) {
  History history{kStart + minutes(count), minutes(1), {}};
  std::mt19937_64 random(3);
  std::normal_distribution<double> noise(0, 0.1);
  std::vector<double> row(covariates.names().size());
  for (int i = 0; i < count; ++i) {
    history.values.push_back(2 + (i / 20 % 2 == 0 ? 1.0 : 0.0) + noise(random));
  }
  return history;
}

TEST(Regression, TakesInTheSignalThatCountsAndSeesItsFuture) {
  const Function signals({"switch", "a", "b", "c"}, 100'000);
  Regression model(1440, 30);
  model.set_covariates(&signals);
  const Status fitted = model.fit(history_of(signals, 410));
  ASSERT_TRUE(fitted) << fitted.error().message;
  EXPECT_EQ(model.signals(), std::vector<std::string>{"switch"});
  const Forecast forecast = model.forecast(30).value();
  // Steps 410 … 419 are on, then twenty are off.
  EXPECT_NEAR(forecast.steps[5].p50, 3, 0.15);
  EXPECT_NEAR(forecast.steps[15].p50, 2, 0.15);
  EXPECT_LT(forecast.steps[15].p99, 2.6);
}

TEST(Regression, HoldsASignalWhoseFutureIsUnknownAndIsWiderForIt) {
  const Function known({"switch"}, 100'000);
  const Function unknown({"switch"}, 410);
  Forecast made[2];
  for (const Function* signals : {&known, &unknown}) {
    Regression model(1440, 30);
    model.set_covariates(signals);
    ASSERT_TRUE(model.fit(history_of(*signals, 410)));
    made[signals == &known ? 0 : 1] = model.forecast(30).value();
  }
  const auto spread = [](const Quantiles& q) { return q.p99 - q.p10; };
  EXPECT_GT(spread(made[1].steps[15]), 1.5 * spread(made[0].steps[15]));
}

TEST(Regression, StaysFiniteWhateverTheHistory) {
  const Function signals({"switch", "a"}, 100'000);
  std::mt19937_64 random(11);
  for (int round = 0; round < 60; ++round) {
    History history{kStart + minutes(300), minutes(1), {}};
    for (int i = 0; i < 300; ++i) {
      const double unit = static_cast<double>(random() % 1000) / 1000;
      switch (round % 6) {
        case 0: history.values.push_back(7); break;
        case 1: history.values.push_back(random() % 4 == 0 ? std::nan("") : unit); break;
        case 2: history.values.push_back(unit * 1e15); break;
        case 3: history.values.push_back(i); break;
        case 4: history.values.push_back(i < 150 ? 0 : 1e9); break;
        default: history.values.push_back(i == 299 ? unit : std::nan("")); break;
      }
    }
    Regression model(60, 30);
    model.set_covariates(&signals);
    if (!model.fit(history)) continue;
    for (int i = 0; i < 40; ++i) model.update(i % 3 == 0 ? std::nan("") : 1e12 * i);
    const Forecast forecast = model.forecast(30).value();
    for (const Quantiles& q : forecast.steps) {
      EXPECT_TRUE(std::isfinite(q.p99) && 0 <= q.p10 && q.p10 <= q.p50 && q.p50 <= q.p90 && q.p90 <= q.p99) << round;
    }
    EXPECT_TRUE(std::isfinite(forecast.window_max.p99));
  }
}

}  // namespace
}  // namespace proteus::forecast
