#include "controller/api/series_query.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "controller/api/json_view.h"

namespace proteus::api {
namespace {

constexpr int kDefaultSteps = 120;
constexpr std::array<int, 17> kNiceStepsS = {1,   2,   5,    10,   15,   30,    60,    120,  300,
                                             600, 900, 1800, 3600, 7200, 10800, 21600, 43200};
constexpr std::size_t kTopMax = 100'000;

Error invalid(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

Result<double> parse_number(const std::string& name, const std::string& text) {
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || rest != text.data() + text.size()) {
    return invalid(fmt::format("{}: '{}' is not a number", name, text));
  }
  return number;
}

/// What the slow lane tells is told every ten seconds and some.
Nanoseconds default_step(Nanoseconds span, Lane lane) {
  for (const int step : kNiceStepsS) {
    if (lane == Lane::kSlow && step < 30) continue;
    if (span <= kDefaultSteps * std::chrono::seconds(step)) return std::chrono::seconds(step);
  }
  return std::chrono::hours(24);
}

store::Function default_function(KpiKind kind) {
  switch (kind) {
    case KpiKind::kGauge: return store::Function::kMean;
    case KpiKind::kCounter: return store::Function::kRate;
    case KpiKind::kHistogram: return store::Function::kQuantile;
  }
  return store::Function::kMean;
}

/// As parse_function() takes it.
const char* name_of(store::Function function) {
  for (const char* name : {"mean", "min", "max", "last", "p95", "rate", "increase", "quantile"}) {
    const auto parsed = store::parse_function(name);
    if (parsed && *parsed == function) return name;
  }
  return "";
}

}  // namespace

Result<Nanoseconds> parse_step(const std::string& text) {
  const bool thousandths = text.ends_with("ms");
  const double unit = text.empty()         ? 0
                      : thousandths        ? 1e-3
                      : text.back() == 's' ? 1
                      : text.back() == 'm' ? 60
                      : text.back() == 'h' ? 3600
                      : text.back() == 'd' ? 86400
                                           : 0;
  const auto number = parse_number("step", unit > 0 ? text.substr(0, text.size() - (thousandths ? 2 : 1)) : text);
  const double seconds = number ? *number * (unit > 0 ? unit : 1) : 0;
  if (!(seconds >= 0.001 && seconds <= 86400.0 * 366)) {
    return invalid(fmt::format(
        "step: '{}' is no length of time from a millisecond to a year, such as 500ms, 30s, 5m or 1h", text));
  }
  return Nanoseconds(std::chrono::microseconds(std::llround(seconds * 1e6)));  // 0.7d is a whole number of them
}

Result<std::pair<Timestamp, Timestamp>> parse_range(const Parameters& parameters, Timestamp now) {
  std::optional<Timestamp> from;
  Timestamp to = now;
  for (const char* name : {"from", "to"}) {
    const std::string text = one(parameters, name);
    if (text.empty()) continue;
    const Result<Timestamp> time = parse_time(text, now);
    if (!time) return time.error();
    (std::string_view(name) == "from" ? from.emplace() : to) = *time;
  }
  return std::pair(from.value_or(to - std::chrono::hours(1)), to);
}

Status check_range(Timestamp from, Timestamp to) {
  if (from < to) return {};
  return invalid(fmt::format("from {} is not before to {}", to_rfc3339(from), to_rfc3339(to)));
}

std::string one(const Parameters& parameters, const char* name) {
  const std::vector<std::string> values = parameters(name);
  return values.empty() ? "" : values.front();
}

Result<store::SeriesSelector> parse_selector(const std::string& kpi, const Parameters& parameters) {
  store::SeriesSelector selector;
  const KpiInfo* row = find_kpi(std::string_view(kpi));
  if (row == nullptr) return invalid(fmt::format("'{}' is no KPI; proteusctl kpis lists them", kpi));
  selector.kpi = row->kpi;
  for (const std::string& host : parameters("host")) selector.hosts.emplace_back(host);
  for (std::string& vm : parameters("vm")) {
    if (!vm.empty()) selector.vms.push_back(std::move(vm));
  }
  selector.entity = one(parameters, "entity");
  for (const std::string& label : parameters("label")) {
    const std::size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) return invalid(fmt::format("label: '{}' is not KEY=VALUE", label));
    if (!selector.labels.try_emplace(label.substr(0, equals), label.substr(equals + 1)).second) {
      return invalid(fmt::format("label: '{}' is asked for twice, and has one value", label.substr(0, equals)));
    }
  }
  return selector;
}

Result<store::Query> parse_query(const Parameters& parameters, Timestamp now) {
  auto selector = parse_selector(one(parameters, "kpi"), parameters);
  if (!selector) return selector.error();
  store::Query query;
  query.selector = std::move(*selector);
  const auto range = parse_range(parameters, now);
  if (!range) return range.error();
  query.from = range->first;
  query.to = range->second;
  query.step = default_step(query.to - query.from, info(query.selector.kpi).lane);
  if (const std::string text = one(parameters, "step"); !text.empty()) {
    const auto step = parse_step(text);
    if (!step) return step.error();
    query.step = *step;
  }
  query.function = default_function(info(query.selector.kpi).kind);
  if (const std::string text = one(parameters, "fn"); !text.empty()) {
    const auto function = store::parse_function(text);
    if (!function) return function.error();
    query.function = *function;
  }
  if (const std::string text = one(parameters, "q"); !text.empty()) {
    const auto quantile = parse_number("q, the quantile", text);
    if (!quantile) return quantile.error();
    if (query.function != store::Function::kQuantile) {
      return invalid("a quantile is asked for, but not the function quantile");
    }
    query.quantile = *quantile;
  }
  const auto across = store::parse_across(one(parameters, "across"));
  if (!across) return across.error();
  query.across = *across;
  query.by = parameters("by");
  if (const std::string text = one(parameters, "top"); !text.empty()) {
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), query.top);
    if (error != std::errc{} || rest != text.data() + text.size() || query.top < 1 || query.top > kTopMax) {
      return invalid(fmt::format("top is from 1 to {}", kTopMax));
    }
  }
  return query;
}

std::string query_head(const store::Query& query, const store::QueryFrame& frame, Timestamp now) {
  const Nanoseconds ahead = std::min(frame.to - now, frame.to - frame.from);
  const std::int64_t unfinished = ahead > Nanoseconds{} ? (ahead + frame.step - Nanoseconds(1)) / frame.step : 0;
  const Json head = {{"kpi", info(query.selector.kpi).name}, {"unit", frame.unit},
                     {"fn", name_of(query.function)},        {"from", to_rfc3339(frame.from)},
                     {"to", to_rfc3339(frame.to)},           {"step_s", static_cast<double>(frame.step.count()) / 1e9},
                     {"unfinished_steps", unfinished}};
  std::string text = head.dump();
  text.back() = ',';
  return text + "\"lines\":[";
}

Json to_json(const store::QueryResult& line) {
  Json json = Json::object();
  if (!line.host.empty()) json["host"] = line.host.value;
  if (!line.vm.empty()) json["vm"] = line.vm;
  if (!line.uuid.empty()) json["uuid"] = line.uuid;
  if (!line.kind.empty()) json["kind"] = line.kind;
  if (!line.entity.empty()) json["entity"] = line.entity;
  if (line.bucket) json["bucket"] = *line.bucket;
  for (const auto& [key, value] : line.group) json["group"][key] = value;
  if (line.kind.empty()) json["series"] = line.members;
  Json& points = json["points"] = Json::array();
  for (const auto& point : line.points) points.push_back(point ? Json(*point) : Json(nullptr));
  return json;
}

}  // namespace proteus::api
