#include "controller/api/series_export.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "controller/api/arrow_file.h"

namespace proteus::api {
namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr std::int64_t kFirstLookUs = 60'000'000;

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
  const char* type = kpi.kind == KpiKind::kGauge ? "gauge" : kpi.kind == KpiKind::kHistogram ? "histogram" : "counter";
  return fmt::format("# TYPE proteus_{0} {1}\n# HELP proteus_{0} {2}\n", kpi.name, type,
                     label_value(std::string(kpi.source)));
}

/// The greatest value that a bucket takes, as OpenMetrics writes numbers; all figures with buckets are whole numbers.
std::string upper_bound(std::uint8_t bucket) {
  if (bucket + 1 >= kHistogramBucketCount) return "+Inf";
  return fmt::format("{}.0", (std::int64_t{2} << bucket) - 1);
}

/// What stands in front of a series' values.
/// Of an entity that is named by a VM's UUID: that VM's name; null: it has none, or it is not known.
const std::string* name_of(const store::StoredEntity& entity, const VmNames& names) {
  if (entity.kind != EntityKind::kVmPair) return nullptr;
  const auto name = names.find(entity.name);
  return name == names.end() ? nullptr : &name->second;
}

std::string csv_begin(const HostId& host, const store::SelectedEntity& selected, const KpiInfo& kpi,
                      std::uint8_t bucket) {
  return fmt::format(",{},{},{},{},{},{},{},", csv_field(host.value), csv_field(selected.vm_name), selected.vm_uuid,
                     to_string(selected.entity.kind), csv_field(selected.entity.name), kpi.name,
                     kpi.kind == KpiKind::kHistogram ? std::to_string(bucket) : "");
}
std::string metric_labels(const HostId& host, const store::SelectedEntity& selected, const VmNames& names) {
  std::string labels = fmt::format("host=\"{}\",kind=\"{}\",entity=\"{}\"", label_value(host.value),
                                   to_string(selected.entity.kind), label_value(selected.entity.name));
  if (!selected.vm_name.empty()) {
    labels += fmt::format(",vm=\"{}\",uuid=\"{}\"", label_value(selected.vm_name), label_value(selected.vm_uuid));
  }
  if (const std::string* name = name_of(selected.entity, names)) {
    labels += fmt::format(",entity_name=\"{}\"", label_value(*name));
  }
  return labels;
}
std::string metric_begin(const HostId& host, const store::SelectedEntity& selected, const KpiInfo& kpi,
                         const VmNames& names) {
  return fmt::format("proteus_{}{}{{{}}} ", kpi.name, kpi.kind == KpiKind::kGauge ? "" : "_total",
                     metric_labels(host, selected, names));
}

using Samples = store::SeriesReader::HostSamples::Samples;

/// A clock that was set back wrote times twice; tools want them in order.
std::vector<std::size_t> order_of(const Samples& samples) {
  std::vector<std::size_t> order(samples.values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return samples.times_us[a] < samples.times_us[b]; });
  return order;
}

/// One series: where its values are from.
struct Origin {
  const HostId& host;
  const store::SelectedEntity& selected;
  const KpiInfo& kpi;
  std::uint8_t bucket = 0;
  bool goes_on = false;  // its earlier values were written before
};

/// A bucket of a histogram.
struct Bucket {
  std::uint8_t number = 0;
  const Samples* samples = nullptr;
};

/// What an export is written as. Thread: owned by one.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual void begin_kpi(const KpiInfo&) {}
  virtual void begin_series(const Origin& origin) = 0;
  /// Of the series begun last.
  virtual void add(std::int64_t time_us, std::int64_t value) = 0;
  /// All values of a series, in order.
  void add_all(const Origin& origin, const Samples& samples) {
    begin_series(origin);
    for (const std::size_t i : order_of(samples)) {
      add(samples.times_us[i], samples.values[i]);
      if (!wanted()) return;
    }
  }
  /// All buckets of a histogram that there are, ascending. origin.bucket says nothing.
  virtual void add_histogram(Origin origin, const std::vector<Bucket>& buckets) {
    for (const Bucket& bucket : buckets) {
      origin.bucket = bucket.number;
      add_all(origin, *bucket.samples);
    }
  }
  virtual void finish() = 0;
  /// False once nobody takes it any more.
  virtual bool wanted() const = 0;
};

class TextWriter final : public Writer {
 public:
  TextWriter(bool is_csv, const VmNames& names, const std::function<bool(std::string_view)>& write)
      : is_csv_(is_csv), names_(names), write_(write) {
    if (is_csv) piece_ = "time_s,host,vm,uuid,kind,entity,kpi,bucket,value,entity_name\r\n";
  }
  void begin_kpi(const KpiInfo& kpi) override {
    if (!is_csv_) piece_ += metric_head(kpi);
  }
  void begin_series(const Origin& of) override {
    begin_ = is_csv_ ? csv_begin(of.host, of.selected, of.kpi, of.bucket)
                     : metric_begin(of.host, of.selected, of.kpi, names_);
    const std::string* name = is_csv_ ? name_of(of.selected.entity, names_) : nullptr;
    end_ = name == nullptr ? "" : csv_field(*name);
  }
  void add(std::int64_t time_us, std::int64_t value) override {
    const std::string time = time_s(time_us);
    piece_ += is_csv_ ? fmt::format("{}{}{},{}\r\n", time, begin_, value, end_)
                      : fmt::format("{}{} {}\n", begin_, value, time);
    if (piece_.size() >= kPieceBytes) pass_on();
  }
  /// In OpenMetrics a histogram's counts are cumulative, those of one time stand together.
  void add_histogram(Origin of, const std::vector<Bucket>& buckets) override {
    if (is_csv_) return Writer::add_histogram(of, buckets);
    struct Change {
      std::int64_t time_us;
      std::int64_t* count;
      std::int64_t value;
    };
    if (!of.goes_on) counts_.clear();
    std::size_t changes_count = 0;
    for (const Bucket& bucket : buckets) changes_count += bucket.samples->values.size();
    std::vector<Change> changes;
    changes.reserve(changes_count);
    for (const Bucket& bucket : buckets) {
      std::int64_t& count = counts_[bucket.number];
      for (std::size_t i = 0; i < bucket.samples->values.size(); ++i) {
        changes.push_back({bucket.samples->times_us[i], &count, bucket.samples->values[i]});
      }
    }
    std::stable_sort(changes.begin(), changes.end(),
                     [](const Change& a, const Change& b) { return a.time_us < b.time_us; });
    const std::string labels = metric_labels(of.host, of.selected, names_);
    for (std::size_t i = 0; i < changes.size() && wanted_;) {
      const std::int64_t time_us = changes[i].time_us;
      for (; i < changes.size() && changes[i].time_us == time_us; ++i) *changes[i].count = changes[i].value;
      add_counts(of.kpi, labels, time_s(time_us));
    }
  }
  void finish() override {
    if (!is_csv_) piece_ += "# EOF\n";
    pass_on();
  }
  bool wanted() const override { return wanted_; }

 private:
  void add_counts(const KpiInfo& kpi, const std::string& labels, const std::string& time) {
    std::int64_t sum = 0;
    const auto add_bucket = [&](const std::string& bound) {
      piece_ += fmt::format("proteus_{}_bucket{{{},le=\"{}\"}} {} {}\n", kpi.name, labels, bound, sum, time);
    };
    for (const auto& [bucket, count] : counts_) {
      sum += count;
      add_bucket(upper_bound(bucket));
    }
    if (counts_.rbegin()->first + 1 < kHistogramBucketCount) add_bucket(upper_bound(kHistogramBucketCount - 1));
    if (piece_.size() >= kPieceBytes) pass_on();
  }
  void pass_on() {
    wanted_ = wanted_ && (piece_.empty() || write_(piece_));
    piece_.clear();
  }

  const bool is_csv_;
  const VmNames& names_;
  const std::function<bool(std::string_view)>& write_;
  std::string piece_;
  std::string begin_;                            // what stands in front of a series' values
  std::string end_;                              // and, in CSV, behind them
  std::map<std::uint8_t, std::int64_t> counts_;  // of the histogram under way, by bucket
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

std::unique_ptr<Writer> make_writer(ExportFormat format, const VmNames& names,
                                    const std::function<bool(std::string_view)>& write) {
  if (format == ExportFormat::kArrow) return std::make_unique<ArrowWriter>(write);
  return std::make_unique<TextWriter>(format == ExportFormat::kCsv, names, write);
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
    case ExportFormat::kOpenMetrics: return "application/openmetrics-text; version=1.0.0; charset=utf-8";
    case ExportFormat::kArrow: return "application/vnd.apache.arrow.file";
  }
  return "";
}

Result<bool> has_values(const store::SeriesReader& reader, const std::vector<store::SeriesSelector>& selectors,
                        std::int64_t from_us, std::int64_t to_us, store::Allowance& allowance) {
  std::int64_t span_us = kFirstLookUs;
  for (std::int64_t end_us = to_us; end_us > from_us; span_us *= 2) {
    const std::int64_t begin_us = end_us - from_us > span_us ? end_us - span_us : from_us;
    for (const store::SeriesSelector& selector : selectors) {
      const Result<bool> found = reader.has_samples(selector, begin_us, end_us, allowance);
      if (!found || *found) return found;
    }
    end_us = begin_us;
  }
  return false;
}

Status export_series(const store::SeriesReader& reader, const Exported& what, store::Allowance& allowance,
                     const std::function<bool(std::string_view)>& write) {
  const std::unique_ptr<Writer> writer = make_writer(what.format, what.names, write);
  std::optional<Kpi> begun;
  for (const store::SeriesSelector& selector : what.selectors) {
    const KpiInfo& kpi = info(selector.kpi);
    const auto write_samples = [&](const store::SeriesReader::HostSamples& samples) {
      if (begun != selector.kpi) writer->begin_kpi(kpi);
      begun = selector.kpi;
      for (auto at = samples.series.begin(); at != samples.series.end() && writer->wanted();) {
        const store::SeriesKey key = at->first;
        const Origin origin{samples.host, samples.entities.at(key.entity), kpi, key.bucket, samples.goes_on};
        if (kpi.kind != KpiKind::kHistogram) {
          writer->add_all(origin, (at++)->second);
          continue;
        }
        std::vector<Bucket> buckets;
        for (; at != samples.series.end() && at->first.entity == key.entity; ++at) {
          buckets.push_back({at->first.bucket, &at->second});
        }
        writer->add_histogram(origin, buckets);
      }
      return writer->wanted();
    };
    const Status read = reader.read_samples(selector, what.from_us, what.to_us, allowance, write_samples);
    if (!read) return read;
    if (!writer->wanted()) return {};
  }
  writer->finish();
  return {};
}

}  // namespace proteus::api
