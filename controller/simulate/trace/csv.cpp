#include "controller/simulate/trace/csv.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <utility>

#include "controller/simulate/trace/compressed_file.h"

namespace proteus::simulate {
namespace {

std::string_view take_until(std::string_view& text, char end) {
  const std::size_t at = std::min(text.find(end), text.size());
  const std::string_view head = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return head;
}

/// Calls on_line with each line's cells; the first is the header. Checks that all have as many.
Status each_line(std::string_view text, const std::string& name,
                 const std::function<Status(std::size_t line, const std::vector<std::string_view>& cells)>& on_line) {
  std::vector<std::string_view> cells;
  std::size_t columns = 0;
  for (std::size_t line = 1; !text.empty(); ++line) {
    std::string_view rest = take_until(text, '\n');
    if (rest.ends_with('\r')) rest.remove_suffix(1);
    cells.clear();
    for (const auto commas = std::count(rest.begin(), rest.end(), ','); std::cmp_less_equal(cells.size(), commas);) {
      cells.push_back(take_until(rest, ','));
    }
    if (line == 1) columns = cells.size();
    if (cells.size() != columns) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}:{}: {} cells, but the header has {}", name, line, cells.size(), columns)};
    }
    if (Status done = on_line(line, cells); !done) return done;
  }
  if (columns == 0) return Error{ErrorCode::kInvalidArgument, name + ": empty, where a CSV header was expected"};
  return {};
}

}  // namespace

std::optional<std::size_t> CsvTable::column(std::string_view name) const {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end()) return std::nullopt;
  return static_cast<std::size_t>(found - header.begin());
}

Result<CsvTable> parse_csv(std::string_view text, const std::string& name) {
  CsvTable table;
  const Status read = each_line(text, name, [&](std::size_t line, const std::vector<std::string_view>& cells) {
    std::vector<std::string> row(cells.begin(), cells.end());
    if (line == 1) {
      table.header = std::move(row);
    } else {
      table.rows.push_back(std::move(row));
    }
    return Status{};
  });
  if (!read) return read.error();
  return table;
}

Result<TraceTable> parse_traces(std::string_view text, const std::string& name) {
  TraceTable table;
  const Status read =
      each_line(text, name, [&](std::size_t line, const std::vector<std::string_view>& cells) -> Status {
        if (line == 1) {
          table.steps = cells.size() - 1;
          return {};
        }
        table.names.emplace_back(cells[0]);
        for (std::size_t i = 1; i < cells.size(); ++i) {
          double value = 0;
          const char* end = cells[i].data() + cells[i].size();
          const auto [rest, error] = std::from_chars(cells[i].data(), end, value);
          if (error != std::errc{} || rest != end || !std::isfinite(value) || value < 0) {
            return Error{ErrorCode::kInvalidArgument,
                         fmt::format("{}:{}: cell {} is '{}', where a number of at least 0 was expected", name, line,
                                     i + 1, cells[i])};
          }
          table.values.push_back(value);
        }
        return {};
      });
  if (!read) return read.error();
  if (table.steps == 0) return Error{ErrorCode::kInvalidArgument, name + ": the header names no step"};
  if (table.names.empty()) return Error{ErrorCode::kInvalidArgument, name + ": no series after the header"};
  return table;
}

Result<TraceTable> read_traces(const std::string& path) {
  const Result<std::string> text = read_compressed_file(path);
  if (!text) return text.error();
  return parse_traces(*text, path);
}

}  // namespace proteus::simulate
