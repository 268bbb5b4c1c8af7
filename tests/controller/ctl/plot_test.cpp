#include "controller/ctl/plot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace proteus::ctl {
namespace {

TEST(Sparkline, ShowsTheNewestScaledToTheTop) {
  EXPECT_EQ(sparkline({0, 0.5, 1}, 3, 1), "▁▄█");
  EXPECT_EQ(sparkline({9, 0.5, 1}, 2, 1), "▄█");
}

TEST(Bar, FillsAndMarks) {
  EXPECT_EQ(bar(0.5, 4), "██░░");
  EXPECT_EQ(bar(0, 4, 0.5), "░░│░");
  EXPECT_EQ(bar(2, 2), "██");
}

TEST(Plot, DrawsHistoryMedianAndBands) {
  nlohmann::ordered_json outlook{{"resource", "cpu"},
                                 {"name", "web"},
                                 {"unit", "cores"},
                                 {"model", "holt_damped"},
                                 {"stale", false},
                                 {"step_s", 2.0},
                                 {"history", {0.2, nullptr, 0.2, 0.3}},
                                 {"steps", nlohmann::ordered_json::array()}};
  for (int i = 0; i < 10; ++i) outlook["steps"].push_back({{"p50", 0.3}, {"p90", 0.6}, {"p99", 0.9}});
  const std::string picture = plot_forecast(outlook, 60, 12);
  for (const char* mark : {"•", "━", "▒", "░", "cpu of web", "ahead 20.0 s"})
    EXPECT_NE(picture.find(mark), std::string::npos) << mark;
  EXPECT_EQ(std::count(picture.begin(), picture.end(), '\n'), 14);
}

}  // namespace
}  // namespace proteus::ctl
