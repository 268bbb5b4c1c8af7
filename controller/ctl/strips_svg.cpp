#include "controller/ctl/strips_svg.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace proteus::ctl {
namespace {

constexpr double kWidth = 960;
constexpr double kLeft = 64;
constexpr double kRight = 24;
constexpr double kTop = 48;
constexpr double kStripHeight = 96;
constexpr double kGap = 34;
constexpr double kBottom = 40;
constexpr std::size_t kPoints = static_cast<std::size_t>(kWidth - kLeft - kRight);
constexpr int kHourMarks = 7;

/// The means of equal parts, no more of them than there are pixels.
std::vector<double> fitted(const std::vector<double>& values) {
  if (values.size() <= kPoints) return values;
  std::vector<double> means(kPoints);
  for (std::size_t i = 0; i < kPoints; ++i) {
    const std::size_t from = i * values.size() / kPoints;
    const std::size_t to = (i + 1) * values.size() / kPoints;
    for (std::size_t j = from; j < to; ++j) means[i] += values[j] / static_cast<double>(to - from);
  }
  return means;
}

/// The smallest of 1, 2, 5 times a power of ten that is not below the value.
double rounded_up(double value) {
  if (value <= 0) return 1;
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= value * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, text);
}

std::string draw(const Strip& strip, double top) {
  const std::vector<double> values = fitted(strip.values);
  const double top_value = values.empty() ? 1 : rounded_up(*std::max_element(values.begin(), values.end()));
  const double width = kWidth - kLeft - kRight;
  std::string out = text_at(kLeft, top - 6, "start", strip.title);
  out += text_at(kLeft - 6, top + 10, "end", fmt::format("{:g}", top_value));
  out += text_at(kLeft - 6, top + kStripHeight, "end", "0");
  out += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#cccccc\"/>\n", kLeft,
                     top, width, kStripHeight);
  out += "<polyline fill=\"none\" stroke=\"#1f5fa8\" points=\"";
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = kLeft + width * (static_cast<double>(i) + 0.5) / static_cast<double>(values.size());
    out += fmt::format("{:.1f},{:.1f} ", x, top + kStripHeight * (1 - values[i] / top_value));
  }
  return out + "\"/>\n";
}

}  // namespace

std::string svg_strips(const std::string& title, double hours, const std::vector<Strip>& strips) {
  const double height = kTop + static_cast<double>(strips.size()) * (kStripHeight + kGap) + kBottom;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      kWidth, height);
  out += text_at(kWidth / 2, 20, "middle", title);
  double top = kTop;
  for (const Strip& strip : strips) {
    out += draw(strip, top);
    top += kStripHeight + kGap;
  }
  for (int i = 0; i <= kHourMarks; ++i) {
    const double x = kLeft + (kWidth - kLeft - kRight) * i / kHourMarks;
    out += text_at(x, top - kGap + 16, "middle", fmt::format("{:.0f} h", hours * i / kHourMarks));
  }
  return out + "</svg>\n";
}

}  // namespace proteus::ctl
