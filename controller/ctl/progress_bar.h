#pragma once

#include <string>

namespace proteus::ctl {

/// How far something has come, on standard error if that is a terminal; otherwise nothing is written. The line is
/// redrawn when it is another and cleared at the end, so that it never mixes with results.
class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// share: 0 … 1.
  void show(double share);
  /// Of what has no known end.
  void show_text(const std::string& how_far);
  /// Makes room for a line of something else.
  void clear();

 private:
  std::string label_;
  bool terminal_;
  std::string shown_;
};

}  // namespace proteus::ctl
