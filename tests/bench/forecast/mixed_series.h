#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "controller/forecast/global/training_set.h"

namespace proteus::bench {

/// Series that no VM had, for networks to learn what series have in common and not the few that there are by heart.
struct MixedSeries {
  std::deque<std::vector<double>> values;  ///< what `series` refers to
  std::vector<forecast::global::TrainingSeries> series;
};

/// Each the weighted sum of two series drawn at random, in units of their mean absolute daily differences, with a share
/// of 0.2 to 0.8, over the newest steps that both have: what a VM with the load of both would show. Time of day and
/// kind are the first one's; there are no companions. Source: mixup, Zhang et al. (2018).
MixedSeries mix_series(const std::vector<forecast::global::TrainingSeries>& from, std::size_t count,
                       std::uint32_t seed);

}  // namespace proteus::bench
