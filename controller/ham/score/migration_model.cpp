#include "controller/ham/score/migration_model.h"

#include <algorithm>

namespace proteus::ham {

MigrationPrediction predict_migration(double memory_bytes, std::optional<double> dirty_bytes_per_s,
                                      double bandwidth_bytes_per_s, double downtime_s_max) {
  const double dirty = dirty_bytes_per_s.value_or(bandwidth_bytes_per_s / 4);
  MigrationPrediction p;
  double left_bytes = memory_bytes;
  double throttle = 0;
  int slow_rounds = 0;
  while (p.rounds < kPreCopyRoundsMax && left_bytes > downtime_s_max * bandwidth_bytes_per_s) {
    const double round_s = left_bytes / bandwidth_bytes_per_s;
    const double dirtied = std::min(memory_bytes, dirty * (1 - throttle) * round_s);
    p.duration_s += round_s;
    p.copied_bytes += left_bytes;
    p.throttled_s += throttle * round_s;
    ++p.rounds;
    if (dirtied > left_bytes / 2 && ++slow_rounds >= 2) throttle = throttle == 0 ? 0.2 : std::min(0.99, throttle + 0.1);
    left_bytes = dirtied;
  }
  p.converges = left_bytes <= downtime_s_max * bandwidth_bytes_per_s;
  p.downtime_s = left_bytes / bandwidth_bytes_per_s;
  p.copied_bytes += left_bytes;
  p.duration_s += p.downtime_s;
  return p;
}

}  // namespace proteus::ham
