#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "controller/store/series_reader.h"

/// Every value as it was measured, for other tools. Thread: any.
namespace proteus::api {

/// By UUID. In text a VM that pre-empted another, which is an entity by its UUID, has its name beside it.
using VmNames = std::map<std::string, std::string>;

enum class ExportFormat : std::uint8_t {
  kCsv,          ///< RFC 4180, a header line, then time_s,host,vm,uuid,kind,entity,kpi,bucket,value,entity_name
  kOpenMetrics,  ///< a family for each KPI, proteus_<kpi>; a histogram without its sum, which nobody measures
  kArrow,        ///< an Arrow IPC file, see arrow_file.h
};
/// "csv", "openmetrics", "arrow". Errors: kInvalidArgument.
Result<ExportFormat> parse_export_format(const std::string& text);
/// For HTTP.
const char* content_type(ExportFormat format);

/// Before anything is sent: is there a value at all? Looks at the newest part of [from_us, to_us) first, so that it
/// reads little where there is something. Errors: the reader's.
Result<bool> has_values(const store::SeriesReader& reader, const std::vector<store::SeriesSelector>& selectors,
                        std::int64_t from_us, std::int64_t to_us, store::Allowance& allowance);

/// What is exported.
struct Exported {
  std::vector<store::SeriesSelector> selectors;  ///< of a KPI each
  std::int64_t from_us = 0;                      ///< samples in [from_us, to_us)
  std::int64_t to_us = 0;
  ExportFormat format = ExportFormat::kCsv;
  VmNames names;
};
/// False from `write` ends it. Errors: the reader's.
Status export_series(const store::SeriesReader& reader, const Exported& what, store::Allowance& allowance,
                     const std::function<bool(std::string_view)>& write);

}  // namespace proteus::api
