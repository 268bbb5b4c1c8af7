#include "controller/ctl/table.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace proteus::ctl {

std::size_t display_width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

Table::Table(std::vector<std::string> headers) : headers_(std::move(headers)) {
  for (std::string& header : headers_) {
    right_.push_back(header.starts_with('>'));
    if (right_.back()) header.erase(0, 1);
  }
}

void Table::add(std::vector<std::string> cells) {
  cells.resize(headers_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < headers_.size(); ++column) {
    std::size_t width = display_width(headers_[column]);
    for (const auto& row : rows_) width = std::max(width, display_width(row[column]));
    widths.push_back(width);
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t column = 0; column < cells.size(); ++column) {
      const std::string blanks(widths[column] - display_width(cells[column]), ' ');
      if (column > 0) line += "  ";
      line += right_[column] ? blanks + cells[column] : cells[column] + blanks;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add_line(headers_);
  for (const auto& row : rows_) add_line(row);
  return text;
}

std::string format_bytes(double bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit > 0 && std::abs(bytes) < 10 ? 1 : 0, kUnits[unit]);
}

std::string format_seconds(double seconds) {
  const double size = std::abs(seconds);
  if (size < 1) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (size < 120) return fmt::format("{:.1f} s", seconds);
  if (size < 7200) {
    const double whole = std::round(seconds);
    const double rest = std::fmod(whole, 60);
    return rest == 0 ? fmt::format("{:.0f} min", whole / 60)
                     : fmt::format("{:.0f} min {:.0f} s", std::trunc(whole / 60), std::abs(rest));
  }
  return fmt::format("{:.1f} h", seconds / 3600);
}

}  // namespace proteus::ctl
