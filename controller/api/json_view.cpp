#include "controller/api/json_view.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string_view>

#include "controller/api/forecast_json.h"
#include "controller/api/learning_json.h"

namespace proteus::api {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;  // clang 14 does not find it by itself

Json payload_json(const store::JournalPayload& payload) {
  return std::visit(
      Overloaded{
          [](const store::Started& started) {
            Json adopted = Json::array();
            for (const drs::ActionRecord& action : started.adopted) adopted.push_back(action.action.id);
            return Json{{"type", "started"},
                        {"version", started.version},
                        {"controller", started.controller},
                        {"term", started.term},
                        {"renewal", started.restored_from_lsn != 0},
                        {"adopted", adopted},
                        {"paused", started.paused},
                        {"policy", started.policy_toml}};
          },
          [](const store::Cycle& cycle) {
            return Json{{"type", "cycle"}, {"number", cycle.number}, {"frames_through_lsn", cycle.frames_through_lsn}};
          },
          [](const store::AgentPresence& presence) {
            return Json{{"type", "agent"},
                        {"host", presence.host.value},
                        {"commandable", presence.commandable},
                        {"reason", presence.reason}};
          },
          [](const store::OperatorInput& input) {
            Json json{{"type", "operator"}, {"input", store::to_string(input.kind)}, {"by", input.by}};
            if (input.action != 0) json["action"] = input.action;
            if (!input.host.empty()) json["host"] = input.host.value;
            return json;
          },
          [](const Update& update) {
            Json json = api::to_json(update);
            json["type"] = "update";
            return json;
          },
          [](const ham::Decision& decision) {
            Json json = api::to_json(decision);
            json["type"] = "decision";
            return json;
          },
          [](const drs::ActionRecord& record) {
            Json json = api::to_json(record);
            json["type"] = "action";
            return json;
          },
          [](const drs::Transition& transition) {
            Json json = api::to_json(transition);
            json["type"] = "transition";
            return json;
          },
          [](const Command& command) {
            return Json{{"type", "command"},
                        {"id", command.id},
                        {"action", command.action},
                        {"term", command.term},
                        {"controller", command.controller},
                        {"host", command.host.value},
                        {"vm", command.vm.value},
                        {"issued", to_rfc3339(command.issued)},
                        {"deadline", to_rfc3339(command.deadline)},
                        {"require_running", command.require_running ? Json(*command.require_running) : Json(nullptr)},
                        {"require_value", command.require_value ? Json(*command.require_value) : Json(nullptr)},
                        {"operation", api::to_json(command.operation)}};
          },
          [](const store::SignalInput& input) {
            return Json{{"type", "signal"},
                        {"name", input.push.name},
                        {"vm", input.push.vm.value},
                        {"lead_s", to_seconds(input.push.lead)},
                        {"points", input.push.points.size()},
                        {"by", input.by}};
          },
          [](const store::ForecastState& state) {
            return Json{{"type", "forecast_state"}, {"series", state.series.size()}, {"signals", state.signals.size()}};
          },
          [](const store::ProfileState& state) {
            return Json{{"type", "profile_state"}, {"records", state.records.size()}};
          },
          [](const store::LearningState& state) {
            return Json{{"type", "learning_state"}, {"bytes", state.bytes.size()}};
          },
          [](const ham::learning::Outcome& outcome) {
            Json json = api::to_json(outcome);
            json["type"] = "outcome";
            return json;
          },
      },
      payload);
}

}  // namespace

Json to_json(const forecast::Quantiles& quantiles) {
  return {{"p10", quantiles.p10},
          {"p50", quantiles.p50},
          {"p90", quantiles.p90},
          {"p95", quantiles.p95},
          {"p99", quantiles.p99}};
}

Json time_or_null(const std::optional<Timestamp>& time) {
  return time ? Json(to_rfc3339(*time)) : Json(nullptr);
}

std::string to_rfc3339(Timestamp time) {
  constexpr std::int64_t kSecondNs = 1'000'000'000;
  const std::int64_t ns = to_unix_ns(time);
  // Rounded down, without leaving what 64 bits hold: a recording may claim any time.
  const std::int64_t part_ns = (ns % kSecondNs + kSecondNs) % kSecondNs;
  const auto whole = static_cast<std::time_t>(ns / kSecondNs - (ns % kSecondNs < 0 ? 1 : 0));
  std::tm utc{};
  gmtime_r(&whole, &utc);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", utc, part_ns / 1'000'000);
}

namespace {

/// From 1970 either way, or before now: nanoseconds in 64 bits reach a little farther.
constexpr double kFarthestS = 9e9;

/// "Z", "+05:30" (RFC 3339, section 5.6).
std::optional<std::int64_t> ahead_of_utc_s(std::string_view zone) {
  if (zone == "Z" || zone == "z") return 0;
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':') return std::nullopt;
  int hours = 0;
  int minutes = 0;
  const auto parse = [](std::string_view digits, int& number) {
    const auto [rest, error] = std::from_chars(digits.data(), digits.data() + 2, number);
    return error == std::errc{} && rest == digits.data() + 2 && number >= 0;
  };
  if (!parse(zone.substr(1, 2), hours) || !parse(zone.substr(4, 2), minutes) || hours > 23 || minutes > 59) {
    return std::nullopt;
  }
  return (zone[0] == '-' ? -60 : 60) * (60 * hours + minutes);
}

}  // namespace

Result<Timestamp> parse_time(const std::string& text, Timestamp now) {
  constexpr auto kDigits = std::chars_format::fixed;  // no exponent
  if (text == "now") return now;
  if (text.size() > 2 && text.front() == '-') {
    double amount = 0;
    const auto [rest, error] = std::from_chars(text.data() + 1, text.data() + text.size() - 1, amount, kDigits);
    const double unit = text.back() == 's'   ? 1
                        : text.back() == 'm' ? 60
                        : text.back() == 'h' ? 3600
                        : text.back() == 'd' ? 86400
                        : text.back() == 'w' ? 7 * 86400
                                             : 0;
    if (error == std::errc{} && rest == text.data() + text.size() - 1 && unit > 0 && amount >= 0 &&
        amount * unit < kFarthestS) {
      return now - from_seconds(amount * unit);
    }
  }
  double seconds = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), seconds, kDigits);
  if (error == std::errc{} && rest == text.data() + text.size() && seconds >= 0 && seconds < kFarthestS) {
    return from_unix_ns(std::llround(seconds * 1e6) * 1000);  // a double holds microseconds, not more
  }
  std::tm utc{};
  // A plain date is its midnight in UTC, the zone in which every time is shown.
  constexpr std::string_view kDate = "0000-00-00";
  const bool is_date =
      text.size() == kDate.size() && std::equal(text.begin(), text.end(), kDate.begin(), [](char given, char form) {
        return form == '-' ? given == '-' : given >= '0' && given <= '9';
      });
  std::istringstream in(is_date ? text + "T00:00:00Z" : text);
  in >> std::get_time(&utc, "%Y-%m-%dT%H:%M:%S");
  const std::chrono::year_month_day day{std::chrono::year(utc.tm_year + 1900),
                                        std::chrono::month(static_cast<unsigned>(utc.tm_mon + 1)),
                                        std::chrono::day(static_cast<unsigned>(utc.tm_mday))};
  if (!in.fail() && day.ok()) {
    double fraction = 0;
    std::string tail;
    std::getline(in, tail);
    if (!tail.empty() && tail.front() == '.') {
      const auto [end, failed] = std::from_chars(tail.data(), tail.data() + tail.size(), fraction, kDigits);
      if (failed == std::errc{}) tail.erase(0, static_cast<std::size_t>(end - tail.data()));
    }
    if (const auto ahead_s = ahead_of_utc_s(tail)) {
      const std::int64_t unix_s = std::int64_t{timegm(&utc)} - *ahead_s;
      if (std::abs(unix_s) >= static_cast<std::int64_t>(kFarthestS)) {
        return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' is a time that nothing can be of", text)};
      }
      return from_unix_ns(unix_s * 1'000'000'000 + std::llround(fraction * 1e9));
    }
  }
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("'{}' is not a time: give 2026-01-31T08:15:30Z, 2026-01-31 (its midnight in UTC), seconds "
                           "since 1970, \"now\", or \"-15m\" (s, m, "
                           "h, d, w)",
                           text)};
}

Json to_json(const Operation& operation) {
  return std::visit(
      Overloaded{
          [](const SetCpuQuota& op) {
            return Json{{"kind", "set_cpu_quota"}, {"quota_us", op.quota_us}, {"period_us", op.period_us}};
          },
          [](const SetCpuShares& op) {
            return Json{{"kind", "set_cpu_shares"}, {"shares", op.shares}};
          },
          [](const SetVcpus& op) {
            return Json{{"kind", "set_vcpus"}, {"count", op.count}};
          },
          [](const SetMemory& op) {
            return Json{{"kind", "set_memory"}, {"bytes", op.bytes}};
          },
          [](const Migrate& op) {
            return Json{{"kind", "migrate"},
                        {"target", op.target.value},
                        {"target_libvirt_uri", op.target_libvirt_uri},
                        {"migrate_uri", op.migrate_uri},
                        {"downtime_ms_max", op.downtime_ms_max},
                        {"bandwidth_bytes_per_s", op.bandwidth_bytes_per_s},
                        {"auto_converge", op.auto_converge},
                        {"post_copy_allowed", op.post_copy_allowed}};
          },
          [](const Reserve& op) {
            return Json{{"kind", "reserve"}, {"memory_bytes", op.memory_bytes}, {"cpu_millicores", op.cpu_millicores}};
          },
          [](const Release& op) {
            return Json{{"kind", "release"}, {"reservation", op.reservation}};
          },
          [](const Abort& op) {
            return Json{{"kind", "abort"}, {"action", op.action}};
          },
          [](const Inspect&) {
            return Json{{"kind", "inspect"}};
          },
      },
      operation);
}

Json to_json(const ham::ScoreTerms& terms) {
  return {{"performance", terms.performance},
          {"utilisation", terms.utilisation},
          {"cost", terms.cost},
          {"latency", terms.latency},
          {"total", terms.total()}};
}

Json to_json(const ham::Action& action) {
  return {{"id", action.id},
          {"vm", action.vm.value},
          {"host", action.host.value},
          {"operation", to_json(action.operation)},
          {"present_value", action.present_value ? Json(*action.present_value) : Json(nullptr)},
          {"reserve", to_json(Operation(action.reserve))},
          {"automation", ham::to_string(action.automation)},
          {"reason", action.reason},
          {"expected_duration_s", to_seconds(action.expected_duration)},
          {"expected_downtime_ms", action.expected_downtime_ms},
          {"expected_storage_s", action.expected_storage_s ? Json(*action.expected_storage_s) : Json(nullptr)},
          {"expected_drop_share", action.expected_drop_share ? Json(*action.expected_drop_share) : Json(nullptr)},
          {"expected_wait_ratio", action.expected_wait_ratio ? Json(*action.expected_wait_ratio) : Json(nullptr)},
          {"after", action.after},
          {"learned", action.learned ? to_json(*action.learned) : Json(nullptr)}};
}

Json to_json(const ham::Candidate& candidate) {
  Json actions = Json::array();
  for (const ham::Action& action : candidate.actions) actions.push_back(to_json(action));
  return {{"label", candidate.label}, {"score", to_json(candidate.score)}, {"actions", actions}};
}

Json to_json(const ham::Decision& decision) {
  Json json{{"id", decision.id},
            {"time", to_rfc3339(decision.time)},
            {"policy", decision.policy},
            {"summary", decision.summary},
            {"chosen", to_json(decision.chosen)},
            {"do_nothing", to_json(decision.do_nothing)},
            {"alternatives", Json::array()},
            {"rejections", Json::array()},
            {"outlooks", Json::array()},
            {"emptying", Json::array()},
            {"power", Json::array()},
            {"helpers", Json::array()},
            {"learning", decision.learning.present ? to_json(decision.learning) : Json(nullptr)}};
  for (const HostId& host : decision.emptying) json["emptying"].push_back(host.value);
  for (const ham::PowerChange& change : decision.power) {
    json["power"].push_back({{"host", change.host.value}, {"awake", change.awake}, {"reason", change.reason}});
  }
  for (const ham::HelperChange& change : decision.helpers) {
    json["helpers"].push_back({{"vm", change.vm.value},
                               {"host", change.host.value},
                               {"start", change.start},
                               {"reason", change.reason},
                               {"gain", change.gain},
                               {"automation", ham::to_string(change.automation)}});
  }
  for (const ham::Candidate& candidate : decision.alternatives) json["alternatives"].push_back(to_json(candidate));
  for (const ham::Rejection& rejection : decision.rejections) {
    json["rejections"].push_back(
        {{"candidate", rejection.candidate}, {"rule", rejection.rule}, {"reason", rejection.reason}});
  }
  for (const ham::Outlook& outlook : decision.outlooks) {
    json["outlooks"].push_back(
        {{"vm", outlook.vm.value},
         {"host", outlook.host.value},
         {"cpu_window_max_cores", to_json(outlook.cpu_window_max)},
         {"cpu_limit_cores", outlook.cpu_limit_cores},
         {"model", outlook.model},
         {"until_limit_s", outlook.until_limit ? Json(to_seconds(*outlook.until_limit)) : Json(nullptr)}});
  }
  return json;
}

Json to_json(const drs::Transition& transition) {
  return {{"action", transition.action},
          {"from", drs::to_string(transition.from)},
          {"to", drs::to_string(transition.to)},
          {"time", to_rfc3339(transition.time)},
          {"agent_time", time_or_null(transition.agent_time)},
          {"message", transition.message},
          {"command", transition.command},
          {"deadline", time_or_null(transition.deadline)},
          {"trigger_time", time_or_null(transition.trigger)}};
}

Json to_json(const drs::ActionRecord& record) {
  Json json{{"id", record.action.id},
            {"decision", record.decision},
            {"state", drs::to_string(record.state)},
            {"term", record.term},
            {"vm", record.action.vm.value},
            {"host", record.action.host.value},
            {"operation", to_json(record.action.operation)},
            {"reason", record.action.reason},
            {"automation", ham::to_string(record.action.automation)},
            {"prerequisites", record.prerequisites},
            {"command", record.command},
            {"deadline", record.deadline == Timestamp{} ? Json(nullptr) : Json(to_rfc3339(record.deadline))},
            {"trigger_time", to_rfc3339(record.trigger_time)},
            {"intended_at", to_rfc3339(record.intended_at)},
            {"executed_at", time_or_null(record.executed_at)},
            {"ended_at", time_or_null(record.ended_at)},
            {"message", record.message},
            {"transitions", Json::array()}};
  const Json action = to_json(record.action);
  for (const char* key : {"present_value", "reserve", "expected_duration_s", "expected_downtime_ms",
                          "expected_storage_s", "expected_drop_share", "expected_wait_ratio", "after", "learned"}) {
    json[key] = action.at(key);
  }
  if (record.progress) {
    json["migration"] = {{"bytes_processed", record.progress->bytes_processed},
                         {"bytes_remaining", record.progress->bytes_remaining},
                         {"bytes_total", record.progress->bytes_total},
                         {"dirty_bytes_per_s", record.progress->dirty_bytes_per_s},
                         {"downtime_ms", record.progress->downtime_ms}};
  }
  for (const drs::Transition& transition : record.transitions) json["transitions"].push_back(to_json(transition));
  return json;
}

Json to_json(const Update& update) {
  Json json{{"command", update.command},       {"action", update.action},  {"term", update.term},
            {"host", update.host.value},       {"vm", update.vm.value},    {"state", to_string(update.state)},
            {"time", to_rfc3339(update.time)}, {"message", update.message}};
  if (update.observed) {
    json["observed"] = {{"active", update.observed->defined_active},
                        {"running", update.observed->running},
                        {"vcpus", update.observed->vcpus},
                        {"cpu_quota_us", update.observed->cpu_quota_us},
                        {"memory_bytes", update.observed->memory_bytes}};
  }
  return json;
}

Json to_json(const store::JournalEntry& entry) {
  Json json{{"lsn", entry.lsn}, {"time", to_rfc3339(entry.time)}};
  json.update(payload_json(entry.payload));
  // A decision's own time is its cycle's; the entry's time stays in front.
  json["time"] = to_rfc3339(entry.time);
  return json;
}

Json to_json(const SeriesOutlook& outlook) {
  Json json{{"vm", outlook.vm.value},
            {"name", outlook.vm_name},
            {"resource", forecast::to_string(outlook.resource)},
            {"unit", unit_of(outlook.resource)},
            {"model", outlook.report.forecast.model},
            {"stale", outlook.report.forecast.stale},
            {"made_at", to_rfc3339(outlook.report.forecast.made_at)},
            {"step_s", to_seconds(outlook.report.forecast.step)},
            {"window_max", to_json(outlook.report.forecast.window_max)},
            {"steps", Json::array()},
            {"history_end", to_rfc3339(outlook.report.history.end)},
            {"history", Json::array()},
            {"accuracy", to_json(outlook.report.accuracy, outlook.report.forecast.step)}};
  for (const forecast::Quantiles& step : outlook.report.forecast.steps) json["steps"].push_back(to_json(step));
  for (const double value : outlook.report.history.values) {
    json["history"].push_back(std::isfinite(value) ? Json(value) : Json(nullptr));
  }
  return json;
}

Json error_json(const Error& error) {
  return {{"error", {{"code", to_string(error.code)}, {"message", error.message}}}};
}

Result<forecast::Resource> parse_resource(const std::string& text) {
  for (const forecast::Resource resource : forecast::kResources) {
    if (text == forecast::to_string(resource)) return resource;
  }
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("'{}' is not a resource: cpu, memory, block_io or network", text)};
}

}  // namespace proteus::api
