#pragma once

#include "controller/forecast/global/features.h"
#include "controller/forecast/global/history_view.h"

namespace proteus::forecast::global {

/// Fills Features::maxima, max_anchors and max_spread: what is known about the largest step of the coming hour and
/// of the coming day.
void put_maxima(const HistoryView& view, Features& out);

}  // namespace proteus::forecast::global
