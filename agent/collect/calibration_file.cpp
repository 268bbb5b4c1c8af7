#include "agent/collect/calibration_file.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "agent/collect/text_file.h"
#include "common/log.h"

namespace proteus::collect {
namespace {

constexpr int kVersion = 1;

std::optional<std::int64_t> whole_number(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<std::int64_t>();
}

}  // namespace

std::string calibration_json(const Calibration& calibration) {
  nlohmann::ordered_json figures = nlohmann::ordered_json::array();
  for (const CalibrationFigure& figure : calibration.figures) {
    nlohmann::ordered_json row{{"name", figure.name}};
    if (figure.value) {
      row["value"] = *figure.value;
      if (figure.p99) row["p99"] = *figure.p99;
      row["spread"] = figure.spread;
    } else {
      row["reason"] = figure.reason;
    }
    figures.push_back(std::move(row));
  }
  const auto time_s = std::chrono::duration_cast<std::chrono::seconds>(calibration.time.time_since_epoch()).count();
  return nlohmann::ordered_json{{"version", kVersion}, {"time_s", time_s}, {"figures", std::move(figures)}}.dump();
}

Result<Calibration> parse_calibration(std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Error{ErrorCode::kCorrupt, "it is not a JSON object"};
  if (whole_number(json, "version") != kVersion) return Error{ErrorCode::kCorrupt, "it is not of version 1"};
  const auto time_s = whole_number(json, "time_s");
  const auto rows = json.find("figures");
  if (!time_s || rows == json.end() || !rows->is_array()) {
    return Error{ErrorCode::kCorrupt, "it lacks time_s or figures"};
  }
  Calibration calibration;
  calibration.time = Timestamp(std::chrono::seconds(*time_s));
  for (const nlohmann::json& row : *rows) {
    if (!row.is_object() || !row.contains("name") || !row["name"].is_string()) {
      return Error{ErrorCode::kCorrupt, "a figure has no name"};
    }
    CalibrationFigure figure;
    figure.name = row["name"].get<std::string>();
    figure.value = whole_number(row, "value");
    figure.p99 = whole_number(row, "p99");
    if (const auto spread = row.find("spread"); spread != row.end() && spread->is_number()) {
      figure.spread = spread->get<double>();
    }
    if (const auto reason = row.find("reason"); reason != row.end() && reason->is_string()) {
      figure.reason = reason->get<std::string>();
    }
    calibration.figures.push_back(std::move(figure));
  }
  return calibration;
}

bool CalibrationLabels::refresh() {
  if (path_.empty()) return false;
  struct stat found {};
  const std::int64_t changed_ns =
      ::stat(path_.c_str(), &found) == 0 ? found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec : 0;
  if (changed_ns == changed_ns_) return false;
  changed_ns_ = changed_ns;
  std::map<std::string, std::string> labels;
  if (const auto text = changed_ns == 0 ? std::nullopt : read_file(path_)) {
    const Result<Calibration> read = parse_calibration(*text);
    if (!read) log::warning("{} is not used: {}", path_, read.error().message);
    if (read) {
      for (const CalibrationFigure& figure : read->figures) {
        if (figure.value) labels["calibration." + figure.name] = std::to_string(*figure.value);
        if (figure.value && figure.p99) labels["calibration." + figure.name + ".p99"] = std::to_string(*figure.p99);
      }
    }
  }
  if (labels == labels_) return false;
  labels_ = std::move(labels);
  return true;
}

}  // namespace proteus::collect
