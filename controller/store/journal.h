#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/command.h"
#include "common/result.h"
#include "common/telemetry.h"
#include "controller/drs/action_record.h"
#include "controller/forecast/engine.h"
#include "controller/ham/decision.h"
#include "controller/ham/learning/outcome.h"
#include "controller/profile/saved_state.h"

namespace proteus::store {

/// An action that ended before a run began, as far as the run's decisions look back at it.
struct EndedAction {
  VmId vm;
  HostId source;  ///< of a migration; else empty
  HostId target;  ///< likewise
  Timestamp ended;
  bool verified = false;
  bool operator==(const EndedAction&) const = default;
};
/// A VM that no host lists any more, and that is not forgotten yet.
struct MissingVm {
  VmId vm;
  Timestamp last_seen;
  bool operator==(const MissingVm&) const = default;
};
/// A run began: a controller process did, or one renewed itself. Policy and options are part of what replay needs.
struct Started {
  std::string version;
  std::string controller;
  Term term = 0;
  std::string policy_toml;
  std::string options_toml;  ///< forecast step, horizon and the like, as effective
  std::uint64_t next_action_id = 1;
  std::uint64_t next_command_id = 1;
  std::uint64_t warm_from_lsn = 0;         ///< stored telemetry from here on was read again before starting; 0: none
  std::vector<drs::ActionRecord> adopted;  ///< actions that the run before left open
  std::vector<HostId> maintenance;         ///< as left by the run before, sorted
  bool paused = false;
  std::string calendar_toml;  ///< empty: none
  /// ForecastState and ProfileState entries that follow, before the telemetry read again counts. Of a renewal: that
  /// stand in front of this entry.
  std::uint32_t restored_entries = 0;
  /// The telemetry read again reached to here; what lies behind it comes with the first cycle. 0: all received before
  /// this entry, and nothing comes later.
  std::uint64_t warm_through_lsn = 0;
  bool warm_in_steps = false;  ///< a round of forecasting began with each step of the telemetry read again
  /// Not 0: a renewal. ForecastState, ProfileState and SignalInput entries from here up to this one count for it.
  std::uint64_t restored_from_lsn = 0;
  std::vector<EndedAction> ended;   ///< sorted by VM; moves of the last hour, and the last action of each VM
  std::vector<HostId> emptying;     ///< hosts that the decision before was emptying, sorted
  std::vector<HostId> commandable;  ///< hosts whose agents take commands already, sorted
  std::vector<MissingVm> missing;   ///< of the run before, sorted by VM
};
/// A decision cycle ran, after all journalled inputs before this entry. An input to replay: it says when cycles
/// happened.
struct Cycle {
  std::uint64_t number = 0;
  std::uint64_t seed = 0;
  std::uint64_t frames_through_lsn = 0;  ///< telemetry up to and including this lsn had been taken in before it ran
  std::uint32_t forecasts_behind = 0;    ///< newest rounds of forecasting whose results it did not have yet
  bool operator==(const Cycle&) const = default;
};
/// An agent's connection came or went, as the pipeline saw it. An input.
struct AgentPresence {
  HostId host;
  bool commandable = false;
  std::string reason;
};
/// A person's word. An input.
struct OperatorInput {
  enum class Kind : std::uint8_t { kApprove, kReject, kMaintenanceOn, kMaintenanceOff, kPause, kResume };
  Kind kind = Kind::kPause;
  ActionId action = 0;  ///< approve, reject
  HostId host;          ///< maintenance
  std::string by;       ///< who, for the audit trail
};
const char* to_string(OperatorInput::Kind kind);
/// What an application said of its load. An input.
struct SignalInput {
  forecast::SignalPush push;
  std::string by;  ///< who, for the audit trail
};
/// Forecasting as an earlier run left it, read back at the start. An input; follows Started, which says how many there
/// are, or stands in front of it if that is a renewal's.
struct ForecastState {
  std::vector<forecast::SeriesState> series;
  std::vector<forecast::SignalPush> signals;
};

/// What an earlier run learned of hosts, read back at the start. An input; counted like ForecastState.
struct ProfileState {
  std::vector<profile::SavedRecord> records;  ///< profile::encode()
};

/// What an earlier run learned of actions' outcomes, read back at the start. An input; follows Started.
struct LearningState {
  std::string bytes;  ///< ham::learning::Agent::save()
};

/// Inputs: Started, Cycle, AgentPresence, OperatorInput, Update, SignalInput, ForecastState, ProfileState,
/// LearningState.
/// Outputs: Decision (only those with actions or whose summary changed), ActionRecord (intent), Transition, Command,
/// Outcome.
using JournalPayload = std::variant<Started, Cycle, AgentPresence, OperatorInput, Update, ham::Decision,
                                    drs::ActionRecord, drs::Transition, Command, SignalInput, ForecastState,
                                    LearningState, ham::learning::Outcome, ProfileState>;

/// lsn orders everything that a controller ever took in or put out, telemetry included (see store.h).
struct JournalEntry {
  std::uint64_t lsn = 0;
  Timestamp time;  ///< controller's clock
  JournalPayload payload;
};

/// A state that a run rests on. It is as large as all that it was made of, and of no use without the telemetry that
/// came after it, so it does not outlive that.
inline bool is_state(const JournalPayload& payload) {
  return std::holds_alternative<ForecastState>(payload) || std::holds_alternative<ProfileState>(payload);
}

/// Cap'n Proto bytes of schemas/journal.capnp, canonical: equal entries give equal bytes.
std::string encode(const JournalEntry& entry);
/// Errors: kCorrupt.
Result<JournalEntry> decode_journal_entry(std::string_view bytes);

}  // namespace proteus::store
