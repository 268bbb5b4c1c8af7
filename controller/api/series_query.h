#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "controller/store/query.h"

/// What a request asks of the store's series, and its answer as JSON. Thread: pure.
namespace proteus::api {

/// A request's parameters: every value of one name.
using Parameters = std::function<std::vector<std::string>(const char* name)>;
/// The first value of the name; empty: there is none.
std::string one(const Parameters& parameters, const char* name);

/// Of GET /v1/query (docs/api.md). Without `from` the last hour, without `step` about 120 steps, without `fn` what
/// suits the KPI. Errors: kInvalidArgument, in a sentence for who asked.
Result<store::Query> parse_query(const Parameters& parameters, Timestamp now);

/// `from` and `to`: without `to` until now, without `from` the hour before `to`. Errors: kInvalidArgument.
Result<std::pair<Timestamp, Timestamp>> parse_range(const Parameters& parameters, Timestamp now);

/// Errors: kInvalidArgument unless from is before to.
Status check_range(Timestamp from, Timestamp to);

/// host, vm, entity, label: which series. kpi: its name. Errors: kInvalidArgument.
Result<store::SeriesSelector> parse_selector(const std::string& kpi, const Parameters& parameters);

/// "500ms", "90s", "5m", "1h", "1d" or seconds. Errors: kInvalidArgument.
Result<Nanoseconds> parse_step(const std::string& text);

/// The answer up to its lines, which follow one by one, separated by commas, then "]}". now: steps that end after it
/// are counted as unfinished.
std::string query_head(const store::Query& query, const store::QueryFrame& frame, Timestamp now);
nlohmann::ordered_json to_json(const store::QueryResult& line);

}  // namespace proteus::api
