#include "controller/api/forecast_json.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace proteus::api {
namespace {

constexpr std::size_t kByMax = 256;

Error wrong(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

Result<forecast::SignalPush::Point> parse_point(const Json& json, Timestamp now) {
  if (!json.is_object()) return wrong("each of 'points' must be {\"time\": …, \"value\": …}");
  for (const auto& [key, value] : json.items()) {
    if (key != "time" && key != "value") return wrong(fmt::format("a point has no '{}'", key));
  }
  if (!json.contains("value") || !json["value"].is_number()) return wrong("a point's 'value' must be a number");
  forecast::SignalPush::Point point{now, json["value"].get<double>()};
  if (!json.contains("time")) return point;
  const Json& time = json["time"];
  if (!time.is_string() && !time.is_number()) return wrong("a point's 'time' must be a string or seconds since 1970");
  const Result<Timestamp> at = parse_time(time.is_string() ? time.get<std::string>() : time.dump(), now);
  if (!at) return at.error();
  point.time = *at;
  return point;
}

}  // namespace

const char* unit_of(forecast::Resource resource) {
  switch (resource) {
    case forecast::Resource::kCpu: return "cores";
    case forecast::Resource::kMemory: return "bytes";
    default: return "bytes/s";
  }
}

Json to_json(const forecast::SeriesAccuracy& accuracy, Nanoseconds step) {
  Json json{{"scale", accuracy.scale > 0 ? Json(accuracy.scale) : Json(nullptr)},
            {"scale_is", accuracy.seasonal ? "mean change over a season" : "mean change from step to step"},
            {"models", Json::array()}};
  for (const forecast::Accuracy& model : accuracy.models) {
    Json leads = Json::array();
    for (const forecast::LeadAccuracy& lead : model.leads) {
      Json coverage = Json::object();
      for (std::size_t i = 0; i < lead.coverage.size(); ++i) {
        coverage[fmt::format("p{:.0f}", 100 * forecast::kQuantileLevels[i])] = lead.coverage[i];
      }
      leads.push_back({{"lead_s", to_seconds(step * lead.steps)},
                       {"pinball_loss", lead.pinball_loss},
                       {"mase", std::isfinite(lead.mase) ? Json(lead.mase) : Json(nullptr)},
                       {"coverage", coverage},
                       {"scored_steps", lead.scored},
                       {"share", lead.share}});
    }
    json["models"].push_back({{"model", model.model},
                              {"pinball_loss", model.pinball_loss},
                              {"coverage_p90", model.coverage_p90},
                              {"scored_steps", model.scored_steps},
                              {"chosen", model.chosen},
                              {"set_aside", model.set_aside},
                              {"reason", model.reason},
                              {"leads", leads}});
  }
  return json;
}

Json accuracy_json(const std::vector<AccuracyReport>& reports, Nanoseconds step) {
  Json series = Json::array();
  for (const AccuracyReport& report : reports) {
    Json json{{"vm", report.vm.value},
              {"name", report.vm_name},
              {"resource", forecast::to_string(report.resource)},
              {"unit", unit_of(report.resource)}};
    json.update(to_json(report.accuracy, step));
    series.push_back(std::move(json));
  }
  return series;
}

forecast::Quantiles capped(forecast::Quantiles quantiles, double most) {
  for (double* quantile : {&quantiles.p10, &quantiles.p50, &quantiles.p90, &quantiles.p95, &quantiles.p99}) {
    *quantile = std::min(*quantile, most);
  }
  return quantiles;
}

Result<SignalRequest> parse_signal(const Json& body, Timestamp now) {
  static const std::set<std::string> kKeys = {"name", "vm", "lead_s", "by", "points", "value"};
  for (const auto& [key, value] : body.items()) {
    if (!kKeys.contains(key)) return wrong(fmt::format("a signal has no '{}'", key));
  }
  SignalRequest request;
  request.by = "api";
  const std::pair<const char*, std::string*> texts[] = {
      {"name", &request.push.name}, {"vm", &request.vm}, {"by", &request.by}};
  for (const auto& [key, text] : texts) {
    if (!body.contains(key)) continue;
    if (!body[key].is_string()) return wrong(fmt::format("'{}' must be a string", key));
    *text = body[key].get<std::string>();
  }
  request.by = request.by.substr(0, kByMax);
  if (body.contains("lead_s")) {
    if (!body["lead_s"].is_number() || std::abs(body["lead_s"].get<double>()) > 1e9) {
      return wrong("'lead_s' must be a number of seconds");
    }
    request.push.lead = from_seconds(body["lead_s"].get<double>());
  }
  if (body.contains("value") == body.contains("points")) return wrong("a signal needs either 'points' or a 'value'");
  if (body.contains("value")) {
    const Result<forecast::SignalPush::Point> point = parse_point({{"value", body["value"]}}, now);
    if (!point) return point.error();
    request.push.points.push_back(*point);
    return request;
  }
  if (!body["points"].is_array()) return wrong("'points' must be a list");
  for (const Json& json : body["points"]) {
    const Result<forecast::SignalPush::Point> point = parse_point(json, now);
    if (!point) return point.error();
    request.push.points.push_back(*point);
  }
  return request;
}

}  // namespace proteus::api
