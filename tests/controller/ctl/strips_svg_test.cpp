#include "controller/ctl/strips_svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proteus::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(StripsSvg, DrawsEachQuantityOnItsOwnScale) {
  const std::string svg = svg_strips("a day", 24, {{"hosts on", {4, 2}}, {"power, W", {150, 450}}});
  EXPECT_THAT(svg, HasSubstr("a day"));
  EXPECT_THAT(svg, HasSubstr(">5<"));    // the first strip's top
  EXPECT_THAT(svg, HasSubstr(">500<"));  // the second one's
  // 4 of 5 is a fifth of 96 below the top at 48; 2 of 5 three fifths.
  EXPECT_THAT(svg, HasSubstr("points=\"282.0,67.2 718.0,105.6 \""));
  EXPECT_THAT(svg, HasSubstr("24 h"));
}

TEST(StripsSvg, ManyValuesAreAveraged) {
  std::vector<double> values(8720, 1.0);
  for (std::size_t i = 0; i < values.size(); i += 2) values[i] = 0;  // ten values a point
  const std::string svg = svg_strips("long", 10, {{"x", values}});
  EXPECT_THAT(svg, HasSubstr(",48.0 "));  // 0.5 of 0.5
  EXPECT_THAT(svg, Not(HasSubstr(",144.0 ")));
}

TEST(StripsSvg, NothingIsDrawnOfNothing) {
  EXPECT_THAT(svg_strips("empty", 1, {{"x", {}}}), HasSubstr("points=\"\""));
}

}  // namespace
}  // namespace proteus::ctl
