#pragma once

#include <string>
#include <vector>

namespace proteus::ctl {

/// One quantity over time.
struct Strip {
  std::string title;  ///< with its unit
  std::vector<double> values;
};

/// Quantities over the same time, one below the other, each on a scale of its own from 0, as an SVG document that opens
/// in any browser. hours: what the values of each strip span together; > 0. Where there are more values than pixels,
/// a pixel shows the mean of its values.
std::string svg_strips(const std::string& title, double hours, const std::vector<Strip>& strips);

}  // namespace proteus::ctl
