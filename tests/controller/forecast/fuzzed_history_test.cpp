// Histories that no model was made for: every model forecasts something finite and in order, or says why not.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/controller/forecast/every_model.h"

namespace proteus::forecast {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Random = std::mt19937_64;

/// One stretch of some kind, after what is there.
void add_stretch(std::vector<double>& values, Random& random) {
  std::normal_distribution<double> normal(0, 1);
  const std::uint64_t kind = random() % 12;
  const std::uint64_t length = random() % 4 == 0 ? 1 : random() % 120;
  const double scale = std::pow(10.0, static_cast<double>(random() % 16) - 5);
  const double level = values.empty() || !std::isfinite(values.back()) ? scale : values.back();
  for (std::uint64_t i = 0; i < length; ++i) {
    const auto x = static_cast<double>(i);
    switch (kind) {
      case 0: values.push_back(level); break;
      case 1: values.push_back(kNan); break;
      case 2: values.push_back(0); break;
      case 3: values.push_back(-scale * std::abs(normal(random))); break;
      case 4: values.push_back(level + scale * x); break;
      case 5: values.push_back(level - scale * x); break;
      case 6: values.push_back(scale * (i % 2 == 0 ? 1 : 1e6)); break;
      case 7: values.push_back(random() % 3 == 0 ? kNan : scale * normal(random)); break;
      case 8: values.push_back(level * std::exp(0.3 * x)); break;
      case 9: values.push_back(scale * std::abs(std::sin(0.26 * x))); break;
      case 10: values.push_back(random() % 60 == 0 ? 1e140 : scale); break;
      default: values.push_back(level + scale * normal(random)); break;
    }
  }
  // What no sensor sends, now and then.
  if (length > 0 && random() % 40 == 0) values.back() = random() % 2 == 0 ? 1e300 : -1.7e308;
  if (length > 0 && random() % 80 == 0) values.back() = kInfinity;
}

class FuzzedHistory : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Models, FuzzedHistory, testing::ValuesIn(kModelNames),
                         [](const auto& chosen) { return std::string(chosen.param); });

TEST_P(FuzzedHistory, GivesFiniteQuantilesInOrderOrAClearError) {
  int forecasts = 0;
  for (unsigned seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    std::vector<double> values;
    for (std::uint64_t stretches = random() % 8; stretches > 0; --stretches) add_stretch(values, random);
    const auto model = make_model(GetParam());
    const Status status = model->fit(history_of(values));
    if (!status) {
      EXPECT_TRUE(status.error().code == ErrorCode::kFailedPrecondition ||
                  status.error().code == ErrorCode::kInvalidArgument);
      EXPECT_EQ(status.error().message.rfind(GetParam(), 0), 0U) << status.error().message;
      EXPECT_EQ(model->forecast(3).error().code, ErrorCode::kFailedPrecondition);
      continue;
    }
    std::vector<double> more;
    add_stretch(more, random);
    more.resize(std::min<std::size_t>(more.size(), 30));
    for (const int steps : {1, kHorizon, 100}) {
      const Result<Forecast> forecast = model->forecast(steps);
      ASSERT_TRUE(forecast.has_value()) << forecast.error().message;
      ASSERT_NO_FATAL_FAILURE(expect_sound(*forecast, steps));
      ++forecasts;
      for (const double value : more) model->update(value);
    }
  }
  EXPECT_GT(forecasts, 150) << "most histories can be forecast from";
}

}  // namespace
}  // namespace proteus::forecast
