#include "controller/simulate/planetlab/detector.h"

#include <gtest/gtest.h>

#include <vector>

namespace proteus::simulate::planetlab {
namespace {

using Kind = Detector::Kind;

TEST(Detector, ThresholdLooksAtTheRequestAlone) {
  const Detector thr{Kind::kThr, 0.8};
  EXPECT_FALSE(thr.overloaded(0.8, {}));
  EXPECT_TRUE(thr.overloaded(0.81, {}));
}

TEST(Detector, ShortHistoryMeansSeventyPercent) {
  // Eleven values and nine, and zeros at the end that count as none.
  const std::vector<double> eleven{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0};
  const std::vector<double> nine{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0};
  for (const auto& [kind, history] : {std::pair{Kind::kIqr, eleven}, {Kind::kMad, eleven}, {Kind::kLr, nine}}) {
    const Detector detector{kind, 1.2};
    EXPECT_FALSE(detector.overloaded(0.7, history));
    EXPECT_TRUE(detector.overloaded(0.71, history));
  }
}

// 0.01 … 0.12: quartiles are the 3rd (round(3.25)) and the 10th (round(9.75)), 0.07 apart; the median is 0.065, and the
// median distance from it 0.03.
const std::vector<double> kTwelve{0.12, 0.01, 0.11, 0.02, 0.10, 0.03, 0.09, 0.04, 0.08, 0.05, 0.07, 0.06};

TEST(Detector, InterquartileRangeLowersTheThreshold) {
  const Detector iqr{Kind::kIqr, 1.5};  // 1 - 1.5 * 0.07 = 0.895
  EXPECT_FALSE(iqr.overloaded(0.894, kTwelve));
  EXPECT_TRUE(iqr.overloaded(0.896, kTwelve));
}

TEST(Detector, MedianAbsoluteDeviationLowersTheThreshold) {
  const Detector mad{Kind::kMad, 2.5};  // 1 - 2.5 * 0.03 = 0.925
  EXPECT_FALSE(mad.overloaded(0.924, kTwelve));
  EXPECT_TRUE(mad.overloaded(0.926, kTwelve));
}

TEST(Detector, LineIsFollowedOneStepOn) {
  // Newest first, rising by 0.05 a step: the next would be 0.85, times 1.2 is 1.02.
  std::vector<double> rising;
  for (int i = 0; i < 10; ++i) rising.push_back(0.80 - 0.05 * i);
  const Detector lr{Kind::kLr, 1.2};
  EXPECT_TRUE(lr.overloaded(0.1, rising));
  // The same values falling: the next would be 0.30.
  const std::vector<double> falling(rising.rbegin(), rising.rend());
  EXPECT_FALSE(lr.overloaded(0.9, falling));
}

}  // namespace
}  // namespace proteus::simulate::planetlab
