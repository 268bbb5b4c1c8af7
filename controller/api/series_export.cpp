#include "controller/api/series_export.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <optional>

#include "controller/api/arrow_file.h"

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

/// One series: where its values are from.
struct Origin {
  const HostId& host;
  const store::SelectedEntity& selected;
  const KpiInfo& kpi;
  std::uint8_t bucket = 0;
};

/// What an export is written as. Thread: owned by one.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual void begin_kpi(const KpiInfo&) {}
  virtual void begin_series(const Origin& origin) = 0;
  /// Of the series begun last.
  virtual void add(std::int64_t time_us, std::int64_t value) = 0;
  virtual void finish() = 0;
  /// False once nobody takes it any more.
  virtual bool wanted() const = 0;
};

class TextWriter final : public Writer {
 public:
  TextWriter(bool is_csv, const std::function<bool(std::string_view)>& write) : is_csv_(is_csv), write_(write) {
    if (is_csv) piece_ = "time_s,host,vm,uuid,kind,entity,kpi,bucket,value\r\n";
  }
  void begin_kpi(const KpiInfo& kpi) override {
    if (!is_csv_) piece_ += metric_head(kpi);
  }
  void begin_series(const Origin& of) override {
    begin_ = is_csv_ ? csv_begin(of.host, of.selected, of.kpi, of.bucket)
                     : metric_begin(of.host, of.selected, of.kpi, of.bucket);
  }
  void add(std::int64_t time_us, std::int64_t value) override {
    const std::string time = time_s(time_us);
    piece_ += is_csv_ ? fmt::format("{}{}{}\r\n", time, begin_, value) : fmt::format("{}{} {}\n", begin_, value, time);
    if (piece_.size() >= kPieceBytes) pass_on();
  }
  void finish() override {
    if (!is_csv_) piece_ += "# EOF\n";
    pass_on();
  }
  bool wanted() const override { return wanted_; }

 private:
  void pass_on() {
    wanted_ = wanted_ && (piece_.empty() || write_(piece_));
    piece_.clear();
  }

  const bool is_csv_;
  const std::function<bool(std::string_view)>& write_;
  std::string piece_;
  std::string begin_;  // what stands in front of a series' values
  bool wanted_ = true;
};

class ArrowWriter final : public Writer {
 public:
  explicit ArrowWriter(const std::function<bool(std::string_view)>& write) : file_(write) {}
  void begin_series(const Origin& of) override {
    texts_ = {of.host.value,           of.selected.vm_name, of.selected.vm_uuid, to_string(of.selected.entity.kind),
              of.selected.entity.name, of.kpi.name};
    bucket_ = of.kpi.kind == KpiKind::kHistogram ? std::optional(of.bucket) : std::nullopt;
  }
  void add(std::int64_t time_us, std::int64_t value) override { file_.add(texts_, bucket_, time_us, value); }
  void finish() override { file_.finish(); }
  bool wanted() const override { return file_.wanted(); }

 private:
  ArrowFile file_;
  std::array<std::string_view, kArrowTexts> texts_;  // of the series under way
  std::optional<std::uint8_t> bucket_;
};

std::unique_ptr<Writer> make_writer(ExportFormat format, const std::function<bool(std::string_view)>& write) {
  if (format == ExportFormat::kArrow) return std::make_unique<ArrowWriter>(write);
  return std::make_unique<TextWriter>(format == ExportFormat::kCsv, write);
}

}  // namespace

Result<ExportFormat> parse_export_format(const std::string& text) {
  if (text == "csv") return ExportFormat::kCsv;
  if (text == "openmetrics") return ExportFormat::kOpenMetrics;
  if (text == "arrow") return ExportFormat::kArrow;
  return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' is no format: csv, openmetrics, arrow", text)};
}

const char* content_type(ExportFormat format) {
  switch (format) {
    case ExportFormat::kCsv: return "text/csv";
    case ExportFormat::kOpenMetrics: return "application/openmetrics-text; version=1.0.0";
    case ExportFormat::kArrow: return "application/vnd.apache.arrow.file";
  }
  return "";
}

Status export_series(const store::SeriesReader& reader, const std::vector<store::SeriesSelector>& selectors,
                     ExportFormat format, std::int64_t from_us, std::int64_t to_us,
                     const std::function<bool(std::string_view)>& write) {
  const std::unique_ptr<Writer> writer = make_writer(format, write);
  for (const store::SeriesSelector& selector : selectors) {
    const KpiInfo& kpi = info(selector.kpi);
    bool begun = false;
    const Status read =
        reader.read_samples(selector, from_us, to_us, [&](const store::SeriesReader::HostSamples& samples) {
          if (!begun) writer->begin_kpi(kpi);
          begun = true;
          for (const auto& [key, series] : samples.series) {
            writer->begin_series({samples.host, samples.entities.at(key.entity), kpi, key.bucket});
            // A clock that was set back wrote times twice; tools want them in order.
            std::vector<std::size_t> order(series.values.size());
            std::iota(order.begin(), order.end(), std::size_t{0});
            std::stable_sort(order.begin(), order.end(),
                             [&](std::size_t a, std::size_t b) { return series.times_us[a] < series.times_us[b]; });
            for (const std::size_t i : order) {
              writer->add(series.times_us[i], series.values[i]);
              if (!writer->wanted()) return false;
            }
          }
          return true;
        });
    if (!read) return read;
    if (!writer->wanted()) return {};
  }
  writer->finish();
  return {};
}

}  // namespace proteus::api
