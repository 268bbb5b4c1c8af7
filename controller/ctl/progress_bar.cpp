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
  if (shown_ >= 0) fmt::print(stderr, "\r\033[K");
}

void ProgressBar::show(double share) {
  if (!terminal_) return;
  share = std::clamp(share, 0.0, 1.0);
  const int percent = static_cast<int>(share * 100);
  if (percent == shown_) return;
  shown_ = percent;
  constexpr std::size_t kWidth = 40;
  fmt::print(stderr, "\r{} {} {:3} %\033[K", label_, bar(share, kWidth), percent);
  std::fflush(stderr);
}

}  // namespace proteus::ctl
