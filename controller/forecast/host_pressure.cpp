#include "controller/forecast/host_pressure.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace proteus::forecast {
namespace {

std::int64_t bin_of(Timestamp time) {
  constexpr std::int64_t kBinNs = 300'000'000'000;
  const std::int64_t ns = to_unix_ns(time);
  return ns >= 0 ? ns / kBinNs : -1;
}

}  // namespace

void HostPressure::observe(Timestamp time, double waited_per_run) {
  const std::int64_t index = bin_of(time);
  if (index < 0 || index <= newest_ - kBins || !std::isfinite(waited_per_run) || waited_per_run < 0) return;
  newest_ = std::max(newest_, index);
  Bin& bin = bins_[static_cast<std::size_t>(index % (kBins + 1))];
  if (bin.index != index) bin = {.index = index};
  bin.sum += waited_per_run;
  ++bin.count;
}

std::vector<float> HostPressure::hour_until(Timestamp end) const {
  // What ends with a bin has nothing of the next.
  const std::int64_t last = bin_of(end - Nanoseconds{1});
  std::vector<float> hour;
  bool known = false;
  for (std::int64_t index = last - kBins + 1; index <= last; ++index) {
    const Bin* bin = index >= 0 ? &bins_[static_cast<std::size_t>(index % (kBins + 1))] : nullptr;
    const bool has = bin != nullptr && bin->index == index && bin->count > 0;
    hour.push_back(has ? static_cast<float>(bin->sum / bin->count) : std::numeric_limits<float>::quiet_NaN());
    known = known || has;
  }
  if (!known) hour.clear();
  return hour;
}

}  // namespace proteus::forecast
