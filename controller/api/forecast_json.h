#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "common/result.h"
#include "controller/api/json_view.h"

/// JSON of what concerns forecasts and their signals.
namespace proteus::api {

/// "cores", "bytes", "bytes/s".
const char* unit_of(forecast::Resource resource);
/// {"scale": …, "scale_is": …, "models": [{"model": …, "leads": […]}, …]}
Json to_json(const forecast::SeriesAccuracy& accuracy, Nanoseconds step);
/// One object per series.
Json accuracy_json(const std::vector<AccuracyReport>& reports, Nanoseconds step);

/// No quantile above `most`: a model may expect more than there can be, and who decides knows that.
forecast::Quantiles capped(forecast::Quantiles quantiles, double most);

/// The body of a push: {"name": "orders", "vm": "web1", "lead_s": 300, "by": "shop", "points": [{"time": …, "value":
/// 12.5}, …]}. A point without a time is of `now`; "value" in place of "points" is one such point.
struct SignalRequest {
  forecast::SignalPush push;
  std::string vm;  ///< name or UUID; empty: everybody
  std::string by;
};
/// Errors: kInvalidArgument.
Result<SignalRequest> parse_signal(const Json& body, Timestamp now);

}  // namespace proteus::api
