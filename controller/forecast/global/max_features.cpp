#include "controller/forecast/global/max_features.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "controller/forecast/sample_quantiles.h"

namespace proteus::forecast::global {

namespace {

constexpr float kSpreadMin = 2e-3F;

/// The largest of each `width` neighbours: result[i] is that of values[i … i + width − 1].
std::vector<float> rolling_max(std::span<const float> values, std::size_t width) {
  std::vector<float> result(values.size() - width + 1);
  std::vector<std::size_t> falling;  // indices of values that may still be the largest; front at `head`
  falling.reserve(values.size());
  std::size_t head = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    while (falling.size() > head && values[falling.back()] <= values[i]) falling.pop_back();
    falling.push_back(i);
    if (falling[head] + width <= i) ++head;
    if (i + 1 >= width) result[i + 1 - width] = values[falling[head]];
  }
  return result;
}

void put_window(const HistoryView& view, std::size_t width, Features& out) {
  const auto week = view.newest(kWeek);
  const std::vector<float> tops = rolling_max(week, width);
  const Levels plain = largest_of(view.plain().path, view.plain().errors, width);
  const Levels seasonal = largest_of(view.seasonal_path(), view.seasonal().errors, width);

  // How far the largest step rose above the three steps before it, every third origin.
  const float now = mean(view.newest(3));
  std::vector<float> sample;
  for (std::size_t i = 3; i < tops.size(); i += 3) {
    sample.push_back(tops[i] - (week[i - 1] + week[i - 2] + week[i - 3]) / 3);
  }
  const Levels rise = levels_of_sample<float>(sample);
  const float newest_top = tops.back();
  // The same window on the days before; it ends with the newest step at the latest.
  std::vector<float> days;
  for (std::size_t day = 1; day <= view.days(); ++day) days.push_back(tops[week.size() - day * kDay]);
  const float yesterday = days.front();
  const float days_mean = mean(days);
  std::sort(days.begin(), days.end());
  const Levels usual = levels_of_sample<float>(tops);
  const float spread = std::max(rise[2] - rise[0], kSpreadMin);

  std::vector<float>& in = out.maxima;
  in.push_back(width == kDay ? 1.0F : -1.0F);
  in.insert(in.end(), plain.begin() + 1, plain.end());
  in.insert(in.end(), seasonal.begin() + 1, seasonal.end());
  in.insert(in.end(), {newest_top, yesterday, days.front(), days[days.size() / 2], days_mean,
                       days[days.size() >= 2 ? days.size() - 2 : 0], days.back()});
  in.insert(in.end(), usual.begin(), usual.end());
  in.insert(in.end(), rise.begin(), rise.end());
  in.push_back(std::log(spread));
  in.push_back(std::asinh((now + rise[3] - seasonal[3]) / spread));

  const Levels same_window = levels_of_sorted<float>(days);
  std::vector<float>& anchors = out.max_anchors;
  for (const Levels& levels : {plain, seasonal, usual}) anchors.insert(anchors.end(), levels.begin(), levels.end());
  for (const float r : rise) anchors.push_back(now + r);
  for (const Levels& levels : {same_window, view.week_quantiles()}) {
    anchors.insert(anchors.end(), levels.begin(), levels.end());
  }
  out.max_spread.push_back(spread);
}

}  // namespace

Levels largest_of(std::span<const float> path, std::span<const Levels> errors, std::size_t width) {
  Levels result;
  result.fill(-1e9F);
  for (std::size_t h = 0; h < width; ++h) {
    for (std::size_t k = 0; k < kLevels.size(); ++k) result[k] = std::max(result[k], path[h] + errors[h][k]);
  }
  return result;
}

void put_maxima(const HistoryView& view, Features& out) {
  for (const std::size_t width : kWindows) put_window(view, width, out);
  assert(out.maxima.size() == kWindows.size() * kMaxInputs);
}

}  // namespace proteus::forecast::global
