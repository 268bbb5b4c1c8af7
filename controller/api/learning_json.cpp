#include "controller/api/learning_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "controller/ham/learning/supervisor.h"

namespace proteus::api {
namespace {

Json finite_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

}  // namespace

Json to_json(const ham::learning::Note& note) {
  Json features = Json::object();
  for (std::size_t i = 0; i < note.features.size(); ++i) {
    features[ham::learning::kFeatureNames[i]] = note.features[i];
  }
  return {{"kind", ham::learning::to_string(note.kind)},
          {"predicted", note.predicted},
          {"cost", note.cost},
          {"copied_bytes", note.copied_bytes},
          {"utilisation", note.utilisation},
          {"scale", note.scale},
          {"gain", note.gain},
          {"gain_required", note.required},
          {"believed_error", note.mean},
          {"believed_error_deviation", note.deviation},
          {"correction", note.correction},
          {"learned_act", note.learned_act},
          {"control", note.control},
          {"propensity", note.propensity},
          {"preferred", note.preferred},
          {"horizon_s", to_seconds(note.horizon)},
          {"features", features}};
}

namespace {

Json held_json(const ham::Held& action) {
  return {{"vm", action.vm.value},
          {"label", action.label},
          {"examined", action.examined},
          {"rules_alone_would_act", action.examined ? Json(action.occasion) : Json(nullptr)},
          {"note", to_json(action.note)}};
}

}  // namespace

Json to_json(const ham::LearningPart& part) {
  Json held = Json::array();
  for (const ham::Held& action : part.held) held.push_back(held_json(action));
  return {{"acting", part.acting},
          {"revision", part.revision},
          {"corrected", part.corrected},
          {"held", held},
          {"best_not_done", part.opinion ? held_json(*part.opinion) : Json(nullptr)},
          {"rules_alone", part.rules_alone.empty() ? Json(nullptr) : Json(part.rules_alone)}};
}

Json to_json(const ham::learning::Outcome& outcome) {
  return {{"action", outcome.action},         {"vm", outcome.vm.value},
          {"realised", outcome.realised},     {"weight", outcome.weight},
          {"difference", outcome.difference}, {"difference_mean_lower", finite_or_null(outcome.lower)},
          {"acting", outcome.acting},         {"revision", outcome.revision},
          {"note", to_json(outcome.note)}};
}

Json to_json(const ham::learning::Report& report) {
  Json coefficients = Json::object();
  for (std::size_t i = 0; i < report.coefficients.size(); ++i) {
    coefficients[ham::learning::kFeatureNames[i]] = report.coefficients[i];
  }
  return {{"acting", report.acting},
          {"revision", report.revision},
          {"evidence", report.evidence},
          {"following", report.following},
          {"calibration", report.calibration},
          {"evaluation",
           {{"occasions", report.occasions},
            {"parted", report.parted},
            {"difference_mean", report.mean},
            {"difference_lower", finite_or_null(report.lower)}}},
          {"fall", report.fall},
          {"fall_max", ham::learning::Supervisor::kFallMax},
          {"adoptions", report.adoptions},
          {"retreats", report.retreats},
          {"coefficients", coefficients}};
}

Json learning_json(const Snapshot& snapshot) {
  Json json{{"enabled", snapshot.learning.has_value()}};
  if (snapshot.learning) json.update(to_json(*snapshot.learning));
  return json;
}

}  // namespace proteus::api
