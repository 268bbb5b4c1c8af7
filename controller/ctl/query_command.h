#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "controller/ctl/print.h"

namespace proteus::ctl {

/// `proteusctl query` and `proteusctl export` as the API takes them; what is empty is left to the controller.
struct SeriesRequest {
  std::string kpi;
  std::vector<std::string> kpis;  ///< of an export
  std::vector<std::string> hosts;
  std::vector<std::string> vms;
  std::string entity;
  std::vector<std::string> labels;
  std::string from;
  std::string to;
  std::string step;
  std::string function;
  std::string quantile;
  std::string across;
  std::vector<std::string> by;
  std::string top;
  std::string format;
};

/// "/v1/query?…"
std::string query_path(const SeriesRequest& request);
/// Whether the controller can say nothing before it has read all of it: lines are joined or ranked.
bool is_answered_at_the_end(const SeriesRequest& request);
/// "/v1/export?…"
std::string export_path(const SeriesRequest& request);

/// Every KPI that there is, as a table or as JSON.
std::string print_kpis(bool as_json);

/// Whether names of VMs make the answer's lines easier to read: of VMs that pre-empted others it tells the UUID.
bool names_vms_by_uuid(const nlohmann::ordered_json& answer);
/// A line for each series of the API's answer: its names, least, mean, greatest and last value, and its course.
std::string print_query(const nlohmann::ordered_json& answer, const VmNames& names);

}  // namespace proteus::ctl
