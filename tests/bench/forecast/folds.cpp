#include "tests/bench/forecast/folds.h"

#include <map>
#include <string>

namespace proteus::bench {

using forecast::global::TrainingRows;
using forecast::global::TrainingSet;

namespace {

/// Calls each(from, to) for everything that a set has a number of for each window.
template <typename Each>
void for_each_block(const TrainingSet& from, TrainingSet& to, const Each& each) {
  const auto rows = [&](const TrainingRows& a, TrainingRows& b) {
    b.per_window = a.per_window;
    b.inputs = a.inputs;
    b.anchors = a.anchors;
    each(a.input, b.input);
    each(a.anchor, b.anchor);
    each(a.spread, b.spread);
    each(a.signal, b.signal);
    each(a.signal_anchor, b.signal_anchor);
  };
  each(from.series, to.series);
  each(from.window, to.window);
  each(from.sequence, to.sequence);
  rows(from.steps, to.steps);
  each(from.step_ahead, to.step_ahead);
  each(from.step_value, to.step_value);
  rows(from.maxima, to.maxima);
  each(from.future, to.future);
  each(from.unit, to.unit);
}

}  // namespace

std::vector<std::size_t> folds_of(const DataSet& set, std::size_t count) {
  std::map<std::string, std::size_t> places;
  for (const auto& [vm, columns] : set.columns) places.emplace(vm, places.size());
  std::vector<std::size_t> folds;
  for (const SeriesInfo& info : set.series) folds.push_back(places.at(info.vm) % count);
  return folds;
}

TrainingSet windows_of(const TrainingSet& set, const std::vector<bool>& wanted) {
  TrainingSet part;
  for_each_block(set, part, [&](const auto& from, auto& to) {
    const std::size_t size = set.windows > 0 ? from.size() / set.windows : 0;
    for (std::size_t w = 0; w < set.windows; ++w) {
      if (!wanted[set.series[w]]) continue;
      const auto begin = from.begin() + static_cast<std::ptrdiff_t>(w * size);
      to.insert(to.end(), begin, begin + static_cast<std::ptrdiff_t>(size));
    }
  });
  part.windows = part.series.size();
  return part;
}

void append(TrainingSet& set, const TrainingSet& more, std::uint32_t first_series) {
  for_each_block(more, set, [](const auto& from, auto& to) { to.insert(to.end(), from.begin(), from.end()); });
  for (std::size_t w = set.windows; w < set.series.size(); ++w) set.series[w] += first_series;
  set.windows = set.series.size();
}

}  // namespace proteus::bench
