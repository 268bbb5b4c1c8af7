#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "common/ids.h"
#include "common/units.h"
#include "common/wire/telemetry_codec.h"
#include "controller/forecast/engine.h"
#include "controller/pipeline.h"

namespace proteus::controller {

/// How far before its beginning a run may read telemetry again: what the forecasts keep, and a day at least.
Nanoseconds warm_span(const forecast::EngineOptions& options);
/// A run that renews another begins at most so long after it was begun to be made.
constexpr Nanoseconds kRenewalTimeMax = std::chrono::hours(24);

/// Received from when on telemetry is to be read again by a run whose forecasts are restored as they were at
/// `restored`, not before `earliest`. heard: when each host's newest frame was received; one that has been silent for
/// longer is to stay known.
Timestamp warm_up_from(Timestamp restored, Timestamp earliest, Nanoseconds step,
                       const std::map<HostId, Timestamp>& heard);

/// Feeds a pipeline the telemetry that a run reads again when it begins: in the controller from the store, in a replay
/// from the recording. What the pipeline makes of it depends on the messages alone, not on how they are portioned.
/// Thread: the pipeline's owner.
class WarmUp {
 public:
  /// from_lsn: messages in front of it are only there for decoding. in_steps: a round of forecasting begins whenever
  /// one of the forecasts' steps does, so that forecasts are as young as the telemetry; else after very many
  /// observations.
  WarmUp(Pipeline& pipeline, std::uint64_t from_lsn, Nanoseconds step, bool in_steps)
      : pipeline_(pipeline), from_lsn_(from_lsn), step_(step), in_steps_(in_steps) {}

  /// In the order of lsns; one that has been there already is passed over. bytes: schema::Upstream.
  void take(std::uint64_t lsn, Timestamp received, const HostId& host, std::string_view bytes);

  std::uint64_t frames_count() const { return frames_count_; }
  /// Of the oldest message that counts; 0: none has been there.
  std::uint64_t first_lsn() const { return first_lsn_; }
  /// Of the newest message; 0: none that counts has been there.
  std::uint64_t through_lsn() const { return through_lsn_; }

 private:
  Pipeline& pipeline_;
  std::uint64_t from_lsn_;
  Nanoseconds step_;
  bool in_steps_;
  wire::TelemetryReader reader_;
  std::uint64_t first_lsn_ = 0;
  std::uint64_t through_lsn_ = 0;
  std::uint64_t frames_count_ = 0;
  std::optional<std::int64_t> open_step_;
};

}  // namespace proteus::controller
