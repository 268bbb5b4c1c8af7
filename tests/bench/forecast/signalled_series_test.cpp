#include "tests/bench/forecast/signalled_series.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <vector>

namespace proteus::bench {
namespace {

using namespace forecast::global;

std::vector<double> cpu_of_four_days() {
  std::mt19937 random(3);
  std::vector<double> values;
  for (std::size_t t = 0; t < 4 * kDay; ++t) {
    values.push_back(2 + std::sin(static_cast<double>(t) / 40) + static_cast<double>(random() % 100) / 200);
  }
  return values;
}

std::vector<double> disk_of_four_days() {
  std::mt19937 random(4);
  std::vector<double> values;
  for (std::size_t t = 0; t < 4 * kDay; ++t) values.push_back(100 + static_cast<double>(random() % 50));
  return values;
}

class Signalled : public testing::Test {
 protected:
  std::vector<double> cpu_ = cpu_of_four_days();
  std::vector<double> disk_ = disk_of_four_days();
  std::vector<TrainingSeries> from_ = {
      {.kind = Kind::kCpu, .values = cpu_, .companions = {}, .start_epoch_s = 0},
      {.kind = Kind::kDiskWrite, .values = disk_, .companions = {}, .start_epoch_s = {}}};
};

TEST_F(Signalled, EachIsWhatItSays) {
  const SignalledSeries made = add_signals(from_, 200, 1);
  ASSERT_EQ(made.series.size(), 200U);
  std::array<int, kMadeKinds> counts{};
  for (std::size_t i = 0; i < made.series.size(); ++i) {
    const TrainingSeries& series = made.series[i];
    const std::vector<double>& base = i % 2 == 0 ? cpu_ : disk_;
    ++counts[static_cast<std::size_t>(made.made[i])];
    ASSERT_EQ(series.values.size(), base.size());
    ASSERT_EQ(series.pressure.size(), base.size());
    ASSERT_EQ(series.signal_rows.size(), series.signals * base.size());
    const bool changed = !std::equal(base.begin(), base.end(), series.values.begin());
    const bool pressed = *std::max_element(series.pressure.begin(), series.pressure.end()) > 0;
    EXPECT_EQ(changed, made.made[i] == Made::kEvents || made.made[i] == Made::kSqueezed) << to_string(made.made[i]);
    EXPECT_EQ(pressed, made.made[i] == Made::kSqueezed);
    const bool told = made.made[i] == Made::kUseless || made.made[i] == Made::kMetric || made.made[i] == Made::kEvents;
    EXPECT_TRUE(!told || series.signals > 0);
    for (const double value : series.values) ASSERT_TRUE(std::isfinite(value));
  }
  for (const int count : counts) EXPECT_GT(count, 20);
}

TEST_F(Signalled, TheSameSeedGivesTheSame) {
  const SignalledSeries a = add_signals(from_, 30, 7);
  const SignalledSeries b = add_signals(from_, 30, 7);
  EXPECT_EQ(a.values, b.values);
  EXPECT_EQ(a.made, b.made);
  EXPECT_NE(add_signals(from_, 30, 8).values, a.values);
}

TEST_F(Signalled, AWindowKnowsOfTheFutureWhatItsSignalsTellOnly) {
  std::vector<float> rows(cpu_.begin(), cpu_.end());
  TrainingSeries series = from_[0];
  series.signals = 1;
  series.signal_rows = rows;
  series.signals_ahead = 3;
  const WindowChoice one{.span = 0, .per_series = 1};
  const auto cut = [&] { return cut_windows(std::vector{series}, one).value(); };
  const TrainingSet as_is = cut();
  ASSERT_EQ(as_is.windows, 1U);
  ASSERT_EQ(as_is.steps.signal.size(), as_is.steps.per_window * kSignalInputs);
  const std::size_t origin = cpu_.size() - kHorizon;
  for (std::size_t t = origin + 3; t < rows.size(); ++t) rows[t] += 100;
  EXPECT_EQ(cut().steps.signal, as_is.steps.signal);
  rows[origin + 2] += 100;
  EXPECT_NE(cut().steps.signal, as_is.steps.signal);
}

}  // namespace
}  // namespace proteus::bench
