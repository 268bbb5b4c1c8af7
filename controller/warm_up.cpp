#include "controller/warm_up.h"

#include <algorithm>

namespace proteus::controller {
namespace {

/// Telemetry may come so much later than it was measured, and be so long on its way through the forecasts.
constexpr Nanoseconds kLate = std::chrono::minutes(10);
/// The last so much of a host tells all that it tells now and then.
constexpr Nanoseconds kTelling = std::chrono::minutes(2);

}  // namespace

Timestamp warm_up_from(Timestamp restored, Timestamp earliest, Nanoseconds step,
                       const std::map<HostId, Timestamp>& heard) {
  Timestamp from = restored - 2 * step - kLate;
  for (const auto& [host, last] : heard) {
    if (last >= earliest) from = std::min(from, last - kTelling);
  }
  return std::max(from, earliest);
}

Nanoseconds warm_span(const forecast::EngineOptions& options) {
  return std::max<Nanoseconds>(options.step * options.history_steps, std::chrono::hours(24));
}

void WarmUp::take(std::uint64_t lsn, Timestamp received, const HostId& host, std::string_view bytes) {
  if (lsn <= through_lsn_) return;
  const Result<std::optional<Sample>> sample = reader_.read(host, bytes);
  if (lsn < from_lsn_) return;
  through_lsn_ = lsn;
  if (first_lsn_ == 0) first_lsn_ = lsn;
  if (!sample || !*sample) return;
  const std::int64_t step = to_unix_ns(received) / std::max<std::int64_t>(1, step_.count());
  if (in_steps_ && open_step_ && *open_step_ != step) pipeline_.begin_round();
  open_step_ = step;
  pipeline_.on_sample(**sample, received);
  pipeline_.catch_up();
  ++frames_count_;
}

}  // namespace proteus::controller
