#include "controller/api/series_export.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

namespace proteus::api {
namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string label_value(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n') {
      escaped += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string time_s(std::int64_t time_us) {
  return fmt::format("{}.{:06}", time_us / 1'000'000, time_us % 1'000'000);
}

std::string metric_head(const KpiInfo& kpi) {
  return fmt::format("# TYPE proteus_{0} {1}\n# HELP proteus_{0} {2}\n", kpi.name,
                     kpi.kind == KpiKind::kGauge ? "gauge" : "counter", label_value(std::string(kpi.source)));
}

/// What stands in front of a series' values.
std::string csv_begin(const HostId& host, const store::SelectedEntity& selected, const KpiInfo& kpi,
                      std::uint8_t bucket) {
  return fmt::format(",{},{},{},{},{},{},{},", csv_field(host.value), csv_field(selected.vm_name), selected.vm_uuid,
                     to_string(selected.entity.kind), csv_field(selected.entity.name), kpi.name,
                     kpi.kind == KpiKind::kHistogram ? std::to_string(bucket) : "");
}
std::string metric_begin(const HostId& host, const store::SelectedEntity& selected, const KpiInfo& kpi,
                         std::uint8_t bucket) {
  std::string labels = fmt::format("host=\"{}\",kind=\"{}\",entity=\"{}\"", label_value(host.value),
                                   to_string(selected.entity.kind), label_value(selected.entity.name));
  if (!selected.vm_name.empty()) {
    labels += fmt::format(",vm=\"{}\",uuid=\"{}\"", label_value(selected.vm_name), label_value(selected.vm_uuid));
  }
  if (kpi.kind == KpiKind::kHistogram) labels += fmt::format(",ge=\"{}\"", bucket == 0 ? 0 : std::int64_t{1} << bucket);
  return fmt::format("proteus_{}{}{{{}}} ", kpi.name, kpi.kind == KpiKind::kGauge ? "" : "_total", labels);
}

}  // namespace

Result<ExportFormat> parse_export_format(const std::string& text) {
  if (text == "csv") return ExportFormat::kCsv;
  if (text == "openmetrics") return ExportFormat::kOpenMetrics;
  return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' is no format: csv, openmetrics", text)};
}

Status export_series(const store::SeriesReader& reader, const std::vector<store::SeriesSelector>& selectors,
                     ExportFormat format, std::int64_t from_us, std::int64_t to_us,
                     const std::function<bool(std::string_view)>& write) {
  const bool is_csv = format == ExportFormat::kCsv;
  std::string piece = is_csv ? "time_s,host,vm,uuid,kind,entity,kpi,bucket,value\r\n" : "";
  bool wanted = true;
  const auto pass_on = [&](std::size_t when) {
    if (piece.size() < when || piece.empty()) return;
    wanted = wanted && write(piece);
    piece.clear();
  };
  for (const store::SeriesSelector& selector : selectors) {
    const KpiInfo& kpi = info(selector.kpi);
    bool has_head = is_csv;
    const Status read =
        reader.read_samples(selector, from_us, to_us, [&](const store::SeriesReader::HostSamples& samples) {
          if (!has_head) piece += metric_head(kpi);
          has_head = true;
          for (const auto& [key, series] : samples.series) {
            const store::SelectedEntity& selected = samples.entities.at(key.entity);
            const std::string begin = is_csv ? csv_begin(samples.host, selected, kpi, key.bucket)
                                             : metric_begin(samples.host, selected, kpi, key.bucket);
            // A clock that was set back wrote times twice; tools want them in order.
            std::vector<std::size_t> order(series.values.size());
            std::iota(order.begin(), order.end(), std::size_t{0});
            std::stable_sort(order.begin(), order.end(),
                             [&](std::size_t a, std::size_t b) { return series.times_us[a] < series.times_us[b]; });
            for (const std::size_t i : order) {
              const std::string time = time_s(series.times_us[i]);
              piece += is_csv ? fmt::format("{}{}{}\r\n", time, begin, series.values[i])
                              : fmt::format("{}{} {}\n", begin, series.values[i], time);
              pass_on(kPieceBytes);
              if (!wanted) return false;
            }
          }
          return true;
        });
    if (!read) return read;
    if (!wanted) return {};
  }
  if (!is_csv) piece += "# EOF\n";
  pass_on(0);
  return {};
}

}  // namespace proteus::api
