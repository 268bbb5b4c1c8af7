#include "controller/ctl/plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "controller/ctl/table.h"

namespace proteus::ctl {
namespace {

constexpr std::array kBlocks = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

struct Column {
  double p50 = std::numeric_limits<double>::quiet_NaN();  // history: the value itself
  double p90 = std::numeric_limits<double>::quiet_NaN();
  double p99 = std::numeric_limits<double>::quiet_NaN();
};

/// Averages `values` into `count` columns.
std::vector<Column> squeeze(const std::vector<Column>& values, std::size_t count) {
  if (values.size() <= count) return values;
  std::vector<Column> columns;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = i * values.size() / count;
    const std::size_t to = std::max(from + 1, (i + 1) * values.size() / count);
    Column mean{0, 0, 0};
    double seen = 0;
    for (std::size_t k = from; k < to; ++k) {
      if (!std::isfinite(values[k].p50)) continue;
      mean.p50 += values[k].p50;
      mean.p90 += values[k].p90;
      mean.p99 += values[k].p99;
      ++seen;
    }
    columns.push_back(seen > 0 ? Column{mean.p50 / seen, mean.p90 / seen, mean.p99 / seen} : Column{});
  }
  return columns;
}

std::string axis_label(const std::string& unit, double value) {
  return unit == "cores" ? fmt::format("{:.2f}", value) : format_bytes(value);
}

}  // namespace

std::string sparkline(const std::vector<double>& values, std::size_t width, double top) {
  std::string line;
  const std::size_t from = values.size() > width ? values.size() - width : 0;
  for (std::size_t i = from; i < values.size(); ++i) {
    if (!std::isfinite(values[i]) || top <= 0) {
      line += " ";
      continue;
    }
    const double eighths = std::clamp(values[i] / top, 0.0, 1.0) * 8;
    line += kBlocks[static_cast<std::size_t>(std::max(1.0, std::round(eighths)))];
  }
  return line;
}

std::string bar(double share, std::size_t width, double mark) {
  const auto cell = [&](double s) {
    return static_cast<std::size_t>(std::lround(std::clamp(s, 0.0, 1.0) * static_cast<double>(width)));
  };
  const std::size_t filled = cell(share);
  const std::size_t marked = mark < 0 ? width + 1 : std::min(cell(mark), width - 1);
  std::string text;
  for (std::size_t i = 0; i < width; ++i) text += i == marked ? "│" : i < filled ? "█" : "░";
  return text;
}

std::string plot_forecast(const nlohmann::ordered_json& outlook, int width, int height) {
  width = std::max(width, 40);
  height = std::max(height, 8);
  std::vector<Column> past;
  for (const auto& value : outlook.at("history")) {
    const double v = value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
    past.push_back({v, v, v});
  }
  std::vector<Column> future;
  for (const auto& step : outlook.at("steps")) {
    future.push_back({step.at("p50").get<double>(), step.at("p90").get<double>(), step.at("p99").get<double>()});
  }
  const std::string unit = outlook.at("unit").get<std::string>();
  const std::size_t label_width = 10;
  const std::size_t room = static_cast<std::size_t>(width) - label_width - 3;
  // As much past as future, or more where the forecast is short; the newest past only.
  const std::size_t future_columns = std::min(future.size(), room / 2);
  const std::size_t past_columns = std::min(past.size(), room - future_columns);
  if (past.size() > past_columns * 4)
    past.erase(past.begin(), past.end() - static_cast<std::ptrdiff_t>(past_columns * 4));
  past = squeeze(past, past_columns);
  future = squeeze(future, future_columns);

  double top = 0;
  for (const auto& column : past) top = std::max(top, std::isfinite(column.p50) ? column.p50 : 0);
  for (const auto& column : future) top = std::max(top, column.p99);
  top = top > 0 ? top * 1.05 : 1;

  const auto row_of = [&](double value) {
    return static_cast<int>(std::floor(std::clamp(value / top, 0.0, 1.0 - 1e-9) * height));
  };
  std::string text = fmt::format("{} of {}, {}, model {}{}\n", outlook.at("resource").get<std::string>(),
                                 outlook.at("name").get<std::string>(), unit, outlook.at("model").get<std::string>(),
                                 outlook.at("stale").get<bool>() ? " (stale)" : "");
  for (int row = height - 1; row >= 0; --row) {
    const bool labelled = row == height - 1 || row == 0 || row == height / 2;
    const std::string label = labelled ? axis_label(unit, top * row / height) : "";
    text += std::string(label_width - std::min(label_width, display_width(label)), ' ') + label + " ┤";
    for (const Column& column : past) {
      text += std::isfinite(column.p50) && row_of(column.p50) == row ? "•" : " ";
    }
    text += "│";
    for (const Column& column : future) {
      const int p50 = row_of(column.p50);
      text += row == p50                               ? "━"
              : row > p50 && row <= row_of(column.p90) ? "▒"
              : row > p50 && row <= row_of(column.p99) ? "░"
                                                       : " ";
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  const double step_s = outlook.at("step_s").get<double>();
  text += std::string(label_width + 2, ' ') +
          fmt::format("now at │, ahead {}: ━ p50  ▒ to p90  ░ to p99;  • past\n",
                      format_seconds(step_s * static_cast<double>(outlook.at("steps").size())));
  return text;
}

}  // namespace proteus::ctl
