#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace proteus::ctl {

/// A picture of a series' outlook (the API's forecast answer) for a terminal: history as a line of dots, then the band
/// from p50 to p99 in shades. width, height: characters, at least 40 and 8.
std::string plot_forecast(const nlohmann::ordered_json& outlook, int width, int height);

/// The last `width` values as one line of ▁▂▃▄▅▆▇█, scaled from 0 to `top`.
std::string sparkline(const std::vector<double>& values, std::size_t width, double top);

/// A bar of `width` characters, filled to `share` (0 … 1), with a mark at `mark` (negative: none).
std::string bar(double share, std::size_t width, double mark = -1);

}  // namespace proteus::ctl
