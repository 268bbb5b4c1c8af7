#include "tests/bench/forecast/data_set.h"

#include <zlib.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string_view>

namespace proteus::bench {
namespace {

/// Between first and last origin; first_origin = length - kHorizon - kTestSpan.
constexpr std::size_t kTestSpan = 7 * 241;
/// The scales need one seasonal difference before the first origin.
constexpr std::size_t kLengthMin = kHorizon + kTestSpan + kHorizon + 1;

std::vector<std::string_view> fields(std::string_view line) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t comma = line.find(',');
    parts.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    line.remove_prefix(comma + 1);
  }
}

template <typename T>
bool parse(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

Result<std::string> read_gz(const std::filesystem::path& path) {
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return Error{ErrorCode::kNotFound, path.string() + ": cannot be opened"};
  std::string text;
  std::array<char, 1 << 16> chunk{};
  int count = 0;
  while ((count = gzread(file, chunk.data(), chunk.size())) > 0)
    text.append(chunk.data(), static_cast<std::size_t>(count));
  const bool whole = gzclose(file) == Z_OK && count == 0;
  if (!whole) return Error{ErrorCode::kCorrupt, path.string() + ": damaged gzip file"};
  return text;
}

/// Calls each(line, number) with the lines of text, the first being 1, without their line ends, until it fails.
template <typename Each>
Status for_each_line(std::string_view text, Each each) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    if (Status status = each(line, number); !status) return status;
  }
  return {};
}

Result<std::vector<DataSet::Column>> read_columns(const std::filesystem::path& path) {
  Result<std::string> text = read_gz(path);
  if (!text) return text.error();
  std::vector<DataSet::Column> columns;
  const Status status = for_each_line(*text, [&](std::string_view line, std::size_t number) -> Status {
    const std::vector<std::string_view> parts = fields(line);
    if (number == 1) {
      for (const std::string_view name : parts) columns.push_back({std::string(name), {}});
      return {};
    }
    for (std::size_t i = 0; i < parts.size() && parts.size() == columns.size(); ++i) {
      double value = 0;
      if (!parse(parts[i], value) || !std::isfinite(value) || value < 0) break;
      columns[i].values.push_back(value);
    }
    if (columns.empty() || columns.back().values.size() + 1 != number) {
      return Error{ErrorCode::kCorrupt,
                   path.string() + ", line " + std::to_string(number) + ": not one number >= 0 for each column"};
    }
    return {};
  });
  if (!status) return status.error();
  return columns;
}

Result<std::vector<SeriesInfo>> read_manifest(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) return Error{ErrorCode::kNotFound, path.string() + ": cannot be opened"};
  std::stringstream text;
  text << file.rdbuf();
  std::map<std::string, std::size_t, std::less<>> place;
  std::vector<SeriesInfo> series;
  const Status status = for_each_line(text.str(), [&](std::string_view line, std::size_t number) -> Status {
    const std::vector<std::string_view> parts = fields(line);
    const auto bad = [&](const std::string& what) {
      return Error{ErrorCode::kCorrupt, path.string() + ", line " + std::to_string(number) + ": " + what};
    };
    if (number == 1) {
      for (std::size_t i = 0; i < parts.size(); ++i) place.emplace(parts[i], i);
      for (const char* name :
           {"series", "vm", "column", "resource", "length", "first_origin", "start_epoch", "source", "subset"}) {
        if (!place.contains(name)) return bad(std::string("no column '") + name + "'");
      }
      return {};
    }
    if (parts.size() != place.size()) return bad("has not as many fields as the first line");
    const auto field = [&](const char* name) { return parts[place.find(name)->second]; };
    SeriesInfo info;
    info.id = field("series");
    info.vm = field("vm");
    info.column = field("column");
    info.resource = field("resource");
    info.source = field("source");
    info.subset = field("subset") == "1";
    if (!parse(field("length"), info.length)) return bad("length is no number");
    if (!parse(field("first_origin"), info.first_origin)) return bad("first_origin is no number");
    if (info.length < kLengthMin || info.first_origin != info.length - kHorizon - kTestSpan) {
      return bad("first_origin is not length - 1975, or too little comes before it");
    }
    if (std::int64_t epoch = 0; parse(field("start_epoch"), epoch)) {
      info.start_epoch = epoch;
    } else if (!field("start_epoch").empty()) {
      return bad("start_epoch is no number");
    }
    series.push_back(std::move(info));
    return {};
  });
  if (!status) return status.error();
  if (series.empty()) return Error{ErrorCode::kCorrupt, path.string() + ": names no series"};
  return series;
}

}  // namespace

const std::vector<double>& DataSet::values(const SeriesInfo& info) const {
  const std::vector<Column>& of_vm = columns.at(info.vm);
  const auto found =
      std::find_if(of_vm.begin(), of_vm.end(), [&](const Column& column) { return column.name == info.column; });
  assert(found != of_vm.end());
  return found->values;
}

Result<DataSet> read_data_set(const std::filesystem::path& folder) {
  DataSet set;
  Result<std::vector<SeriesInfo>> series = read_manifest(folder / "manifest.csv");
  if (!series) return series.error();
  set.series = std::move(*series);
  for (const SeriesInfo& info : set.series) {
    const std::filesystem::path path = folder / "series" / (info.vm + ".csv.gz");
    if (!set.columns.contains(info.vm)) {
      Result<std::vector<DataSet::Column>> columns = read_columns(path);
      if (!columns) return columns.error();
      set.columns.emplace(info.vm, std::move(*columns));
    }
    const std::vector<DataSet::Column>& columns = set.columns.at(info.vm);
    const auto found =
        std::find_if(columns.begin(), columns.end(), [&](const auto& column) { return column.name == info.column; });
    if (found == columns.end() || found->values.size() != info.length) {
      return Error{ErrorCode::kCorrupt, path.string() + ": does not hold " + std::to_string(info.length) +
                                            " values of '" + info.column + "', as the manifest says"};
    }
  }
  return set;
}

Result<Part> parse_part(std::string_view text) {
  Part part;
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || !parse(text.substr(0, slash), part.index) ||
      !parse(text.substr(slash + 1), part.count) || part.index >= part.count) {
    return Error{ErrorCode::kInvalidArgument, "'" + std::string(text) + "' is no part such as 0/2"};
  }
  return part;
}

namespace {

void choose_vms(DataSet& set, const auto& keep) {
  std::size_t place = 0;
  std::erase_if(set.columns, [&](const auto&) { return !keep(place++); });
  std::erase_if(set.series, [&](const SeriesInfo& info) { return !set.columns.contains(info.vm); });
}

}  // namespace

void keep_part(DataSet& set, const Part& part) {
  choose_vms(set, [&](std::size_t place) { return place % part.count == part.index; });
}

void drop_part(DataSet& set, const Part& part) {
  choose_vms(set, [&](std::size_t place) { return place % part.count != part.index; });
}

}  // namespace proteus::bench
