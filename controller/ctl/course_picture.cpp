#include "controller/ctl/course_picture.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "controller/ctl/svg_canvas.h"

namespace proteus::ctl {
namespace {

constexpr double kWidth = 960;
constexpr double kLeft = 84;
constexpr double kRight = 24;
constexpr double kTop = 56;
constexpr double kPanel = 130;
constexpr double kGap = 34;
constexpr double kRow = 26;
constexpr double kLegend = 40;
constexpr int kTicks = 4;
constexpr std::array kColours = {"#1f5fa8", "#c2541b", "#2b8a3e", "#8a3ffc", "#b08900", "#555555"};

const char* colour_of(std::size_t course) {
  return kColours[course % kColours.size()];
}

/// Where ticks lie on the picture.
struct Times {
  std::size_t ticks;
  double x(double tick) const { return kLeft + tick / static_cast<double>(ticks) * (kWidth - kLeft - kRight); }
};

std::string panel(const std::vector<Course>& courses, const Times& times, double top, const char* name,
                  std::size_t value) {
  double highest = 0;
  for (const Course& course : courses) {
    for (const Course::Tick& tick : course.ticks) highest = std::max(highest, tick.values[value]);
  }
  const double step = round_up((highest > 0 ? highest : 1) / kTicks);
  const double most = step * std::max(1.0, std::ceil(highest / step - 1e-9));
  const auto y = [&](double v) { return top + kPanel * (1 - v / most); };
  std::string text = svg_text(kLeft, top - 8, "start", name, " font-weight=\"bold\"");
  for (double v = 0; v <= most * (1 + 1e-9); v += step) {
    text += fmt::format("<line x1=\"{0}\" y1=\"{2:.1f}\" x2=\"{1}\" y2=\"{2:.1f}\" stroke=\"#e4e4e4\"/>\n", kLeft,
                        kWidth - kRight, y(v));
    text += svg_text(kLeft - 8, y(v) + 4, "end", fmt::format("{:g}", v));
  }
  for (std::size_t c = 0; c < courses.size(); ++c) {
    const std::vector<Course::Tick>& ticks = courses[c].ticks;
    std::string points;
    for (std::size_t i = 0; i < ticks.size(); ++i) {
      const double v = ticks[i].values[value];
      const bool bends =
          i == 0 || i + 1 == ticks.size() || v != ticks[i - 1].values[value] || v != ticks[i + 1].values[value];
      if (bends) points += fmt::format("{:.1f},{:.1f} ", times.x(static_cast<double>(i) + 1), y(v));
    }
    text += svg_line(points, colour_of(c), 1.5);
  }
  return text;
}

/// Moves and disasters of one run.
std::string row(const Course& course, const Times& times, double top, const char* colour) {
  std::string text;
  int most = 1;
  int moves = 0;
  for (const Course::Tick& tick : course.ticks) {
    most = std::max(most, tick.moves);
    moves += tick.moves;
  }
  const double bottom = top + kRow - 4;
  for (std::size_t i = 0; i < course.ticks.size(); ++i) {
    const Course::Tick& tick = course.ticks[i];
    const double x = times.x(static_cast<double>(i) + 0.5);
    if (tick.moves > 0) {
      const double height = (kRow - 8) * (0.4 + 0.6 * tick.moves / most);
      text += fmt::format("<path class=\"moves\" d=\"M{:.1f} {:.1f}v{:.1f}\" stroke=\"{}\"/>\n", x, bottom, -height,
                          colour);
    }
    if (tick.disasters > 0) {
      text += fmt::format("<circle class=\"disaster\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"#d00000\"/>\n", x,
                          top + 6);
    }
  }
  return text + svg_text(kLeft - 8, bottom, "end", fmt::format("{} moves", moves));
}

std::string time_axis(const Times& times, double tick_s, double top, double bottom) {
  std::string text;
  const double days = static_cast<double>(times.ticks) * tick_s / 86400;
  const double every_h = days > 3 ? 24 : days > 0.7 ? 6 : 1;
  for (double hour = 0; hour * 3600 <= static_cast<double>(times.ticks) * tick_s; hour += every_h) {
    const double x = times.x(hour * 3600 / tick_s);
    text +=
        fmt::format("<line x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\" stroke=\"#f0f0f0\"/>\n", x, top, bottom);
    const std::string label = every_h >= 24 ? fmt::format("day {:g}", hour / 24) : fmt::format("{:g} h", hour);
    text += svg_text(x, bottom + 15, "middle", label);
  }
  return text;
}

}  // namespace

std::string svg_courses(const std::string& title, const CourseNames& names, const std::vector<Course>& courses,
                        double tick_s) {
  Times times{1};
  for (const Course& course : courses) times.ticks = std::max(times.ticks, course.ticks.size());
  const double rows = kTop + Course::kValues * (kPanel + kGap);
  const double bottom = rows + kRow * static_cast<double>(courses.size());
  std::string text = svg_begin(kWidth, bottom + kGap + kLegend);
  text += svg_text(kLeft, 24, "start", title, " font-size=\"16\" font-weight=\"bold\"");
  text += time_axis(times, tick_s, kTop, bottom);
  for (std::size_t value = 0; value < Course::kValues; ++value) {
    const double top = kTop + static_cast<double>(value) * (kPanel + kGap);
    text += panel(courses, times, top, names[value], value);
  }
  double x = kLeft;
  for (std::size_t c = 0; c < courses.size(); ++c) {
    text += row(courses[c], times, rows + kRow * static_cast<double>(c), colour_of(c));
    text += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"18\" height=\"3\" fill=\"{}\"/>\n", x,
                        bottom + kGap + 14, colour_of(c));
    text += svg_text(x + 24, bottom + kGap + 19, "start", courses[c].policy);
    x += 40 + 8 * static_cast<double>(courses[c].policy.size());
  }
  return text + "</svg>\n";
}

}  // namespace proteus::ctl
