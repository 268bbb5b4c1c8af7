#pragma once

#include <string>
#include <vector>

namespace proteus::ctl {

/// Columns as wide as their widest cell, numbers to the right. Cells are UTF-8.
class Table {
 public:
  /// A header that begins with '>' aligns its column to the right; the mark is not printed.
  explicit Table(std::vector<std::string> headers);
  /// cells.size() equals the number of headers.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  /// With a header line, each line ended by a newline, no trailing blanks.
  std::string text() const;

 private:
  std::vector<std::string> headers_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

/// Characters that a terminal shows (code points; no wide or combining ones are expected here).
std::size_t display_width(const std::string& text);

/// "1.5 GiB", "768 MiB", "12 KiB", "0 B".
std::string format_bytes(double bytes);
/// "850 ms", "12.3 s", "4 min", "2.5 h".
std::string format_seconds(double seconds);

}  // namespace proteus::ctl
