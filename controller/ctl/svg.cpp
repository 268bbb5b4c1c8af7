#include "controller/ctl/svg.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <vector>

#include "controller/ctl/destination.h"
#include "controller/ctl/svg_canvas.h"
#include "controller/ctl/table.h"

namespace proteus::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kWidth = 960;
constexpr double kHeight = 420;
constexpr double kLeft = 84;
constexpr double kRight = 24;
constexpr double kTop = 56;
constexpr double kBottom = 64;
/// History is shown for so many horizons, at most.
constexpr std::size_t kPastHorizons = 3;
constexpr int kTicks = 5;

constexpr const char* kBandP99 = "#dbe7f5";
constexpr const char* kBandP90 = "#a9c7e8";
constexpr const char* kMedian = "#1f5fa8";
constexpr const char* kPast = "#333333";

/// Seconds since 1970 of "2026-01-31T08:15:30.123Z".
double parse_seconds(const std::string& text) {
  std::tm utc{};
  std::istringstream in(text);
  in >> std::get_time(&utc, "%Y-%m-%dT%H:%M:%S");
  return static_cast<double>(timegm(&utc));
}

std::string clock_text(double seconds, bool with_date, bool with_seconds) {
  const auto whole = static_cast<std::time_t>(seconds);
  std::tm utc{};
  gmtime_r(&whole, &utc);
  std::string text = with_date ? fmt::format("{:02}-{:02} ", utc.tm_mon + 1, utc.tm_mday) : "";
  text += fmt::format("{:02}:{:02}", utc.tm_hour, utc.tm_min);
  return with_seconds ? text + fmt::format(":{:02}", utc.tm_sec) : text;
}

/// Between two marks of the time axis: a length that people count in, so that there are six or so.
double tick_seconds(double span) {
  for (const double length : {1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
                              10800.0, 21600.0, 43200.0}) {
    if (span / length <= 8) return length;
  }
  return 86400 * std::max(1.0, std::ceil(span / 86400 / 8));
}

/// Where values and times lie on the picture.
struct Scale {
  double from_s;
  double to_s;
  double top;
  double x(double seconds) const { return kLeft + (seconds - from_s) / (to_s - from_s) * (kWidth - kLeft - kRight); }
  double y(double value) const { return kHeight - kBottom - value / top * (kHeight - kTop - kBottom); }
  std::string point(double seconds, double value) const { return fmt::format("{:.1f},{:.1f} ", x(seconds), y(value)); }
};

std::string axes(const Scale& scale, double tick_value, const std::string& unit) {
  std::string text;
  const auto label = [&](double value) {
    return unit == "cores" ? fmt::format("{:g}", value) : format_bytes(value) + (unit == "bytes" ? "" : "/s");
  };
  for (double value = 0; value <= scale.top * (1 + 1e-9); value += tick_value) {
    text += fmt::format("<line x1=\"{0}\" y1=\"{2:.1f}\" x2=\"{1}\" y2=\"{2:.1f}\" stroke=\"#e4e4e4\"/>\n", kLeft,
                        kWidth - kRight, scale.y(value));
    text += svg_text(kLeft - 8, scale.y(value) + 4, "end", label(value));
  }
  const double every = tick_seconds(scale.to_s - scale.from_s);
  const bool dated = scale.to_s - scale.from_s > 20 * 3600;
  for (double t = std::ceil(scale.from_s / every) * every; t <= scale.to_s; t += every) {
    text += fmt::format("<line x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\" stroke=\"#888888\"/>\n", scale.x(t),
                        kHeight - kBottom, kHeight - kBottom + 5);
    text += svg_text(scale.x(t), kHeight - kBottom + 19, "middle", clock_text(t, dated, every < 60));
  }
  return text;
}

std::string legend(const char* peak) {
  std::string text;
  double x = kLeft;
  const double y = kHeight - 14;
  const auto entry = [&](const char* colour, double height, const char* name, double width) {
    text += fmt::format("<rect x=\"{}\" y=\"{:.1f}\" width=\"18\" height=\"{}\" fill=\"{}\"/>\n", x, y - 4 - height / 2,
                        height, colour);
    text += svg_text(x + 24, y, "start", name);
    x += width;
  };
  entry(kPast, 2, "observed", 108);
  entry(kMedian, 2.5, "p50", 74);
  entry(kBandP90, 11, "to p90", 90);
  entry(kBandP99, 11, "to p99", 90);
  return text + svg_text(kWidth - kRight, y, "end", peak);
}

}  // namespace

std::string svg_forecast(const Json& outlook) {
  const Json& steps = outlook.at("steps");
  const Json& history = outlook.at("history");
  const double step_s = outlook.at("step_s").get<double>();
  const double now = parse_seconds(outlook.at("made_at").get<std::string>());
  const std::string unit = outlook.at("unit").get<std::string>();
  const std::size_t shown = std::min(history.size(), kPastHorizons * std::max<std::size_t>(steps.size(), 10));

  double highest = 0;
  std::vector<std::optional<double>> past;
  for (std::size_t i = history.size() - shown; i < history.size(); ++i) {
    past.push_back(history[i].is_number() ? std::optional(history[i].get<double>()) : std::nullopt);
    highest = std::max(highest, past.back().value_or(0));
  }
  for (const Json& step : steps) highest = std::max(highest, step.at("p99").get<double>());
  const double tick = round_up((highest > 0 ? highest : 1) / kTicks);
  const Scale scale{now - step_s * static_cast<double>(std::max<std::size_t>(shown, 1)),
                    now + step_s * static_cast<double>(std::max<std::size_t>(steps.size(), 1)),
                    tick * std::ceil(highest > 0 ? highest / tick : kTicks)};

  std::string text = svg_begin(kWidth, kHeight);
  text += svg_text(
      kLeft, 24, "start",
      fmt::format("{} of {}", outlook.at("resource").get<std::string>(), outlook.at("name").get<std::string>()),
      " font-size=\"16\" font-weight=\"bold\"");
  text += svg_text(kLeft, 42, "start",
                   fmt::format("{}, model {}{}, made at {}", unit, outlook.at("model").get<std::string>(),
                               outlook.at("stale").get<bool>() ? " (stale, widened)" : "",
                               outlook.at("made_at").get<std::string>()));
  text += axes(scale, tick, unit);

  // A band is drawn as steps are: each from its beginning to its end.
  const auto band = [&](const char* level, const char* colour) {
    std::string up;
    std::string back;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const double from = now + step_s * static_cast<double>(i);
      const double low = steps[i].at("p50").get<double>();
      const double high = steps[i].at(level).get<double>();
      up += scale.point(from, high) + scale.point(from + step_s, high);
      back = scale.point(from + step_s, low) + scale.point(from, low) + back;
    }
    return fmt::format("<polygon points=\"{}{}\" fill=\"{}\"/>\n", up, back, colour);
  };
  text += band("p99", kBandP99) + band("p90", kBandP90);
  std::string median;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const double from = now + step_s * static_cast<double>(i);
    const double value = steps[i].at("p50").get<double>();
    median += scale.point(from, value) + scale.point(from + step_s, value);
  }
  text += svg_line(median, kMedian, 2);
  // Gaps in the history stay gaps.
  std::string run;
  for (std::size_t i = 0; i <= past.size(); ++i) {
    if (i < past.size() && past[i]) {
      const double from = now - step_s * static_cast<double>(past.size() - i);
      run += scale.point(from, *past[i]) + scale.point(from + step_s, *past[i]);
    } else if (!run.empty()) {
      text += svg_line(run, kPast, 1.3);
      run.clear();
    }
  }
  text += fmt::format(
      "<line x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\" stroke=\"#888888\" "
      "stroke-dasharray=\"4 3\"/>\n",
      scale.x(now), kTop - 4, kHeight - kBottom);
  const Json& peak = outlook.at("window_max");
  const auto level = [&](const char* name) {
    const double value = peak.at(name).get<double>();
    return unit == "cores" ? fmt::format("{:.2f}", value) : format_bytes(value);
  };
  text += legend(
      fmt::format("largest step ahead: p50 {}, p90 {}, p99 {}", level("p50"), level("p90"), level("p99")).c_str());
  return text + "</svg>\n";
}

Status write_text(const std::string& path, const std::string& text) {
  Result<Destination> to = Destination::open(path);
  return to ? to->keep_whole(text) : to.error();
}

}  // namespace proteus::ctl
