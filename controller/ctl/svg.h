#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/result.h"

namespace proteus::ctl {

/// A picture of a series' outlook (the API's forecast answer) as an SVG document: history, median, and bands up to p90
/// and p99, with axes in the unit of the series and in UTC. Opens in any browser.
std::string svg_forecast(const nlohmann::ordered_json& outlook);

/// A file as Destination writes it: what was there stays until all of the text is. Errors: Destination's.
Status write_text(const std::string& path, const std::string& text);

}  // namespace proteus::ctl
