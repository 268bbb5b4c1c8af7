#include "tests/bench/forecast/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

namespace proteus::bench {
namespace {

/// The share of steps that may lie above a reservation when slacks are compared, by window.
constexpr std::array<double, kWindows.size()> kIsoTargets = {0.03, 0.01};

using Value = std::function<double(const SeriesScore&)>;
enum class Over { kMean, kMedian, kRelative, kPooled };

struct Metric {
  std::string name;
  Over over;
  Value value;
  Value weight = nullptr;  ///< kPooled only: what the sum of values is divided by
};

Metric reach(const char* name, Over over, Reach r, double ReachScore::*field) {
  return {name, over, [r, field](const SeriesScore& s) { return s.reach[r].*field; }};
}
Metric at_level(const char* name, Over over, Reach r, Levels ReachScore::*field, Level q) {
  return {name, over, [r, field, q](const SeriesScore& s) { return (s.reach[r].*field)[q]; }};
}
Metric window(const char* name, Over over, std::size_t w, double WindowScore::*field) {
  return {name, over, [w, field](const SeriesScore& s) { return s.window[w].*field; }};
}
Metric pooled(const char* name, Reach r) {
  return {name, Over::kPooled, [r](const SeriesScore& s) { return s.reach[r].loss_sum; },
          [r](const SeriesScore& s) { return s.reach[r].actual_sum; }};
}

const std::vector<Metric>& metrics() {
  using enum Over;
  static const std::vector<Metric> all = {
      reach("mase_1", kMean, kNext, &ReachScore::mase),
      reach("mase_6", kMean, kHalfHour, &ReachScore::mase),
      reach("mase_12", kMean, kHour, &ReachScore::mase),
      reach("mase_288", kMean, kDay, &ReachScore::mase),
      reach("mase_med_12", kMedian, kHour, &ReachScore::mase),
      reach("mase_med_288", kMedian, kDay, &ReachScore::mase),
      reach("mase1_1", kMean, kNext, &ReachScore::mase1),
      reach("mase1_12", kMean, kHour, &ReachScore::mase1),
      reach("rel_mase_1", kRelative, kNext, &ReachScore::mase),
      reach("rel_mase_12", kRelative, kHour, &ReachScore::mase),
      reach("rel_mase_288", kRelative, kDay, &ReachScore::mase),
      reach("rel_sql_1", kRelative, kNext, &ReachScore::sql),
      reach("rel_sql_6", kRelative, kHalfHour, &ReachScore::sql),
      reach("rel_sql_12", kRelative, kHour, &ReachScore::sql),
      reach("rel_sql_288", kRelative, kDay, &ReachScore::sql),
      at_level("rel_sql95_12", kRelative, kHour, &ReachScore::sql_at, kP95),
      at_level("rel_sql95_288", kRelative, kDay, &ReachScore::sql_at, kP95),
      reach("sql_1", kMean, kNext, &ReachScore::sql),
      reach("sql_12", kMean, kHour, &ReachScore::sql),
      reach("sql_288", kMean, kDay, &ReachScore::sql),
      at_level("sql50_12", kMean, kHour, &ReachScore::sql_at, kP50),
      at_level("sql90_12", kMean, kHour, &ReachScore::sql_at, kP90),
      at_level("sql95_12", kMean, kHour, &ReachScore::sql_at, kP95),
      at_level("sql99_12", kMean, kHour, &ReachScore::sql_at, kP99),
      at_level("sql90_288", kMean, kDay, &ReachScore::sql_at, kP90),
      at_level("sql95_288", kMean, kDay, &ReachScore::sql_at, kP95),
      at_level("sql99_288", kMean, kDay, &ReachScore::sql_at, kP99),
      pooled("wql_12", kHour),
      pooled("wql_288", kDay),
      at_level("cov10_12", kMean, kHour, &ReachScore::coverage, kP10),
      at_level("cov90_12", kMean, kHour, &ReachScore::coverage, kP90),
      at_level("cov95_12", kMean, kHour, &ReachScore::coverage, kP95),
      at_level("cov99_12", kMean, kHour, &ReachScore::coverage, kP99),
      at_level("cov90_288", kMean, kDay, &ReachScore::coverage, kP90),
      at_level("cov95_288", kMean, kDay, &ReachScore::coverage, kP95),
      at_level("cov99_288", kMean, kDay, &ReachScore::coverage, kP99),
      window("under_12", kMean, 0, &WindowScore::under),
      window("winviol_12", kMean, 0, &WindowScore::windows_over),
      window("short_12", kMean, 0, &WindowScore::shortage),
      window("slack_12", kMedian, 0, &WindowScore::slack),
      window("slackS_12", kMean, 0, &WindowScore::slack_scaled),
      window("under_288", kMean, 1, &WindowScore::under),
      window("winviol_288", kMean, 1, &WindowScore::windows_over),
      window("short_288", kMean, 1, &WindowScore::shortage),
      window("slack_288", kMedian, 1, &WindowScore::slack),
      window("slackS_288", kMean, 1, &WindowScore::slack_scaled),
  };
  return all;
}

double aggregate(const Metric& metric, const std::vector<std::size_t>& members, const Run& run, const Run& baseline) {
  /// Keeps a series that one of the two forecasts exactly from deciding alone.
  constexpr double kFloor = 1e-3;
  std::vector<double> values;
  double weights = 0;
  for (const std::size_t s : members) {
    const double value = metric.value(run.scores[s]);
    if (metric.over == Over::kRelative) {
      values.push_back(std::log((value + kFloor) / (metric.value(baseline.scores[s]) + kFloor)));
    } else {
      values.push_back(value);
    }
    if (metric.over == Over::kPooled) weights += metric.weight(run.scores[s]);
  }
  switch (metric.over) {
    case Over::kMean: return mean(values);
    case Over::kMedian: return median(std::move(values));
    case Over::kRelative: return std::exp(mean(values));
    case Over::kPooled: return std::accumulate(values.begin(), values.end(), 0.0) / weights;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

std::string table_header() {
  std::string line = "scope,method,group,n";
  for (const Metric& metric : metrics()) line += "," + metric.name;
  return line + ",cpu_s_per_forecast,train_cpu_s,note";
}

std::vector<std::string> table_rows(const std::string& scope, const Run& run, const Run& baseline) {
  std::map<std::string, std::vector<std::size_t>> columns;
  std::map<std::string, std::vector<std::size_t>> sources;
  std::vector<std::size_t> all(run.scores.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  for (const std::size_t s : all) {
    const SeriesInfo& info = *run.info[s];
    columns[info.column].push_back(s);
    sources["src:" + info.source.substr(0, info.source.find('-'))].push_back(s);
  }
  std::vector<std::string> rows;
  const auto add = [&](const std::string& group, const std::vector<std::size_t>& members, bool one_unit) {
    std::string row = fmt::format("{},{},{},{}", scope, run.name, group, members.size());
    for (const Metric& metric : metrics()) {
      row += metric.over == Over::kPooled && !one_unit
                 ? std::string(",")
                 : fmt::format(",{:.6g}", aggregate(metric, members, run, baseline));
    }
    row += fmt::format(",{:.4g},{},{}", run.cpu_s_per_forecast,
                       std::isfinite(run.train_cpu_s) ? fmt::format("{:.1f}", run.train_cpu_s) : std::string(),
                       quoted(run.note));
    rows.push_back(std::move(row));
  };
  if (all.empty()) return rows;
  add("all", all, false);
  for (const auto& [group, members] : columns) add(group, members, true);
  for (const auto& [group, members] : sources) add(group, members, false);
  return rows;
}

std::vector<std::string> summary_header() {
  return {
      "| model | rel_sql 5 min | 1 h | 1 day | mase 1 h | 1 day | cov95 1 h | cov99 1 h | slack at 3 %, 1 h | at 1 %, "
      "1 day | CPU ms |",
      "|-|-|-|-|-|-|-|-|-|-|-|"};
}

std::string summary_row(const Run& run, const Run& baseline) {
  std::vector<std::size_t> all(run.scores.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  std::string row = fmt::format("| {} |", run.name);
  for (const char* name : {"rel_sql_1", "rel_sql_12", "rel_sql_288", "mase_12", "mase_288", "cov95_12", "cov99_12"}) {
    const auto metric =
        std::find_if(metrics().begin(), metrics().end(), [&](const Metric& m) { return m.name == name; });
    row += fmt::format(" {:.3f} |", aggregate(*metric, all, run, baseline));
  }
  for (std::size_t w = 0; w < kWindows.size(); ++w) {
    row += fmt::format(" {:.2f} |", iso_slack(run.series, w, kIsoTargets[w]).slack_mean);
  }
  return row + fmt::format(" {:.2g} |", 1e3 * run.cpu_s_per_forecast);
}

std::string iso_header() {
  return "scope,method,W,target_under,c,under,iso_slackS_mean,iso_slackS_median";
}

std::vector<std::string> iso_rows(const std::string& scope, const Run& run) {
  std::vector<std::string> rows;
  for (std::size_t w = 0; w < kWindows.size() && !run.series.empty(); ++w) {
    const IsoSlack iso = iso_slack(run.series, w, kIsoTargets[w]);
    rows.push_back(fmt::format("{},{},{},{},{:.4g},{:.5f},{:.5g},{:.5g}", scope, run.name, kWindows[w], kIsoTargets[w],
                               iso.c, iso.under, iso.slack_mean, iso.slack_median));
  }
  return rows;
}

}  // namespace proteus::bench
