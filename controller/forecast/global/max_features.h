#pragma once

#include <cstddef>
#include <span>

#include "controller/forecast/global/features.h"
#include "controller/forecast/global/history_view.h"

namespace proteus::forecast::global {

/// Fills Features::maxima, max_anchors and max_spread: what is known about the largest step of the coming hour and
/// of the coming day.
void put_maxima(const HistoryView& view, Features& out);

/// By level, the largest h-step quantile of the first `width` steps. path, errors: [h − 1].
Levels largest_of(std::span<const float> path, std::span<const Levels> errors, std::size_t width);

}  // namespace proteus::forecast::global
