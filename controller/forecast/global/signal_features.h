#pragma once

#include <cstddef>
#include <span>

#include "controller/forecast/global/features.h"
#include "controller/forecast/global/history_view.h"

namespace proteus::forecast::global {

/// Fills Features::step_signals, max_signals and their anchors, if the past has signals or its host's pressure; after
/// the rest of the features. Without a signal that is worth something the anchors are the seasonal autoregression's.
void put_signals(const HistoryView& view, const Past& past, std::span<const std::size_t> steps, Features& out);

}  // namespace proteus::forecast::global
