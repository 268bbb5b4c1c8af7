#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "common/result.h"
#include "controller/api/backend.h"

/// Everything that people and programs see of the controller's values, in one place: the API sends it, `proteusctl
/// replay` prints it. Times are RFC 3339 in UTC, durations seconds, sizes bytes, CPU in cores.
namespace proteus::api {

/// Of an answer that is good, but not all that was asked for: a sentence.
inline constexpr const char* kWarningHeader = "Proteus-Warning";
/// "yes" of an export that is whole and holds no value.
inline constexpr const char* kNothingMeasuredHeader = "Proteus-Nothing-Measured";

using Json = nlohmann::ordered_json;

/// "2026-01-31T08:15:30.123Z".
std::string to_rfc3339(Timestamp time);
/// Errors: kInvalidArgument. Also takes a plain date (midnight in UTC), seconds since the epoch, "now" and "-15m"
/// (before `now`).
Result<Timestamp> parse_time(const std::string& text, Timestamp now);

Json time_or_null(const std::optional<Timestamp>& time);
Json to_json(const forecast::Quantiles& quantiles);
/// {"kind": "set_cpu_quota", …}
Json to_json(const Operation& operation);
Json to_json(const ham::ScoreTerms& terms);
Json to_json(const ham::Action& action);
Json to_json(const ham::Candidate& candidate);
Json to_json(const ham::Decision& decision);
Json to_json(const drs::Transition& transition);
Json to_json(const drs::ActionRecord& record);
Json to_json(const Update& update);
Json to_json(const store::JournalEntry& entry);
Json to_json(const SeriesOutlook& outlook);

Json status_json(const Snapshot& snapshot);
Json hosts_json(const Snapshot& snapshot);
Json vms_json(const Snapshot& snapshot);

/// {"error": {"code": …, "message": …}}
Json error_json(const Error& error);

/// "cpu", "memory", "block_io", "network". Errors: kInvalidArgument.
Result<forecast::Resource> parse_resource(const std::string& text);

}  // namespace proteus::api
