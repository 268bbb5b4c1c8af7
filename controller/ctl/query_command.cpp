#include "controller/ctl/query_command.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "common/kpi.h"
#include "controller/ctl/plot.h"
#include "controller/ctl/request_path.h"
#include "controller/ctl/table.h"

namespace proteus::ctl {
namespace {

constexpr std::size_t kSparkWidth = 40;

void add_selection(RequestPath& path, const SeriesRequest& request) {
  path.add("host", request.hosts);
  path.add("vm", request.vms);
  path.add("entity", request.entity);
  path.add("label", request.labels);
  path.add("from", request.from);
  path.add("to", request.to);
}

/// "12.3 k", "850 m"; four significant digits.
std::string short_number(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::abs(value);
  for (const auto& [unit, name] : {std::pair(1e12, " T"), {1e9, " G"}, {1e6, " M"}, {1e3, " k"}}) {
    if (size >= unit) return fmt::format("{:.4g}{}", value / unit, name);
  }
  return fmt::format("{:.4g}", value);
}

/// What follows the last '/' may be the UUID of a VM, which pre-empted another.
std::string with_vm_name(const std::string& entity, const VmNames& names) {
  const std::size_t begin = entity.rfind('/') + 1;  // 0: there is none
  const auto vm = names.find(entity.substr(begin));
  return vm == names.end() ? entity : entity.substr(0, begin) + vm->second;
}

std::string name_of(const Json& line, const VmNames& names) {
  if (line.contains("group")) {
    std::string name;
    for (const auto& [key, value] : line["group"].items()) {
      const auto text = value.get<std::string>();
      name += (name.empty() ? "" : " ") + key + "=" + (key == "entity" ? with_vm_name(text, names) : text);
    }
    return name;
  }
  if (!line.contains("entity")) return "all";
  std::string name = line.value("vm", "");
  if (line.value("kind", "") != "vm") name += (name.empty() ? "" : "/") + with_vm_name(line.value("entity", ""), names);
  if (line.contains("bucket")) name += fmt::format(" 2^{}", line["bucket"].get<int>());
  return name;
}

/// `values`, at most `width` of them, each the mean of its neighbours; a gap stays a gap.
std::vector<double> thinned(const std::vector<double>& values, std::size_t width) {
  if (values.size() <= width) return values;
  std::vector<double> thin;
  for (std::size_t i = 0; i < width; ++i) {
    double sum = 0;
    int count = 0;
    for (std::size_t j = i * values.size() / width; j < (i + 1) * values.size() / width; ++j) {
      if (std::isnan(values[j])) continue;
      sum += values[j];
      ++count;
    }
    thin.push_back(count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN());
  }
  return thin;
}

/// What a step has grown by says little before the step is over: beside others it looks like a drop. Means, rates and
/// quantiles are those of its part so far. Where no step is over, that part is all there is.
bool leaves_out_unfinished(const Json& answer) {
  if (answer.value("fn", "") != "increase") return false;
  const Json& lines = answer.at("lines");
  return !lines.empty() && answer.at("unfinished_steps").get<std::size_t>() < lines[0].at("points").size();
}

}  // namespace

std::string query_path(const SeriesRequest& request) {
  RequestPath path("/v1/query");
  path.add("kpi", request.kpi);
  add_selection(path, request);
  path.add("step", request.step);
  path.add("fn", request.function);
  path.add("q", request.quantile);
  path.add("across", request.across);
  path.add("by", request.by);
  path.add("top", request.top);
  return path.text();
}

bool is_answered_at_the_end(const SeriesRequest& request) {
  return !request.across.empty() || !request.top.empty();
}

std::string export_path(const SeriesRequest& request) {
  RequestPath path("/v1/export");
  path.add("kpi", request.kpis);
  add_selection(path, request);
  path.add("format", request.format);
  return path.text();
}

std::string print_kpis(bool as_json) {
  if (as_json) {
    Json kpis = Json::array();
    for (const KpiInfo& kpi : kpi_table()) {
      kpis.push_back({{"name", kpi.name},
                      {"unit", kpi.unit},
                      {"kind", to_string(kpi.kind)},
                      {"of", to_string(kpi.scope)},
                      {"lane", to_string(kpi.lane)},
                      {"source", kpi.source}});
    }
    return kpis.dump(2) + "\n";
  }
  Table table({"KPI", "OF", "KIND", "UNIT", "LANE", "SOURCE"});
  for (const KpiInfo& kpi : kpi_table()) {
    table.add({std::string(kpi.name), to_string(kpi.scope), to_string(kpi.kind), std::string(kpi.unit),
               to_string(kpi.lane), std::string(kpi.source)});
  }
  return table.text();
}

bool names_vms_by_uuid(const Json& answer) {
  return std::any_of(answer.at("lines").begin(), answer.at("lines").end(), [](const Json& line) {
    return line.value("kind", "") == "vm_pair" || (line.contains("group") && line["group"].contains("entity"));
  });
}

std::string print_query(const Json& answer, const VmNames& names) {
  Table table({"HOST", "SERIES", ">MIN", ">MEAN", ">MAX", ">LAST", "COURSE"});
  const auto unfinished = answer.value("unfinished_steps", std::size_t{0});
  const std::size_t left_out = unfinished > 0 && leaves_out_unfinished(answer) ? unfinished : 0;
  std::map<std::string, int> named;  // two VMs may bear one name
  for (const Json& line : answer.at("lines")) ++named[name_of(line, names)];
  for (const Json& line : answer.at("lines")) {
    std::vector<double> values;
    double least = std::numeric_limits<double>::infinity();
    double greatest = -least;
    double sum = 0;
    double last = std::numeric_limits<double>::quiet_NaN();
    int count = 0;
    const Json& points = line.at("points");
    for (std::size_t i = 0; i + left_out < points.size(); ++i) {
      const Json& point = points[i];
      values.push_back(point.is_number() ? point.get<double>() : std::numeric_limits<double>::quiet_NaN());
      if (std::isnan(values.back())) continue;
      last = values.back();
      least = std::min(least, last);
      greatest = std::max(greatest, last);
      sum += last;
      ++count;
    }
    std::string name = name_of(line, names);
    if (line.contains("group") && named[name] > 1) name += " " + line.value("uuid", "");
    table.add({line.value("host", ""), name, short_number(least),
               short_number(count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN()), short_number(greatest),
               short_number(last), sparkline(thinned(values, kSparkWidth), kSparkWidth, greatest)});
  }
  if (table.empty()) return "nothing was measured in that time\n";
  const std::string word =
      unfinished == 0 ? ""
                      : fmt::format("; {} not over yet{}",
                                    unfinished == 1 ? "the last is" : fmt::format("the last {} are", unfinished),
                                    left_out > 0 ? " and left out" : "");
  return fmt::format("{} in {}, {} to {}, steps of {}{}\n", answer.at("kpi").get<std::string>(),
                     answer.at("unit").get<std::string>(), answer.at("from").get<std::string>(),
                     answer.at("to").get<std::string>(), format_seconds(answer.at("step_s").get<double>()), word) +
         table.text();
}

}  // namespace proteus::ctl
