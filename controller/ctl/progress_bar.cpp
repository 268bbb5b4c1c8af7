#include "controller/ctl/progress_bar.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "controller/ctl/plot.h"

namespace proteus::ctl {

ProgressBar::ProgressBar(std::string label) : label_(std::move(label)), terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  clear();
}

void ProgressBar::clear() {
  if (shown_.empty()) return;
  shown_.clear();
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
}

void ProgressBar::show(double share) {
  constexpr std::size_t kWidth = 40;
  const int percent = static_cast<int>(std::clamp(share, 0.0, 1.0) * 100);
  show_text(fmt::format("{} {:3} %", bar(percent / 100.0, kWidth), percent));
}

void ProgressBar::show_text(const std::string& how_far) {
  if (!terminal_ || how_far == shown_) return;
  shown_ = how_far;
  fmt::print(stderr, "\r{} {}\033[K", label_, how_far);
  std::fflush(stderr);
}

}  // namespace proteus::ctl
