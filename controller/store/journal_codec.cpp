#include <capnp/message.h>
#include <capnp/serialize.h>

#include <type_traits>

#include "common/wire/capnp_bytes.h"
#include "common/wire/command_fields.h"
#include "controller/store/journal.h"
#include "controller/store/journal_fields.h"
#include "controller/store/journal_records.h"

namespace proteus::store {
namespace {

// Limits of what is read back; each is far above what a controller writes.
constexpr std::size_t kEntryBytesMax = 64u << 20;
constexpr int kNestingMax = 16;
// Items of a list that hold nothing take no room in the canonical form, and count as a word each when they are read.
constexpr std::size_t kTraversalWordsMin = 65'536;

void fill_payload(schema::Entry::Builder to, const JournalPayload& from) {
  std::visit(
      [&to](const auto& payload) {
        using T = std::decay_t<decltype(payload)>;
        if constexpr (std::is_same_v<T, Started>) {
          fill(to.initStarted(), payload);
        } else if constexpr (std::is_same_v<T, Cycle>) {
          fill(to.initCycle(), payload);
        } else if constexpr (std::is_same_v<T, AgentPresence>) {
          fill(to.initAgentPresence(), payload);
        } else if constexpr (std::is_same_v<T, OperatorInput>) {
          fill(to.initOperatorInput(), payload);
        } else if constexpr (std::is_same_v<T, Update>) {
          wire::fill(to.initUpdate(), payload);
        } else if constexpr (std::is_same_v<T, ham::Decision>) {
          fill(to.initDecision(), payload);
        } else if constexpr (std::is_same_v<T, drs::ActionRecord>) {
          fill(to.initAction(), payload);
        } else if constexpr (std::is_same_v<T, drs::Transition>) {
          fill(to.initTransition(), payload);
        } else if constexpr (std::is_same_v<T, SignalInput>) {
          fill(to.initSignalInput(), payload);
        } else if constexpr (std::is_same_v<T, ForecastState>) {
          fill(to.initForecastState(), payload);
        } else if constexpr (std::is_same_v<T, LearningState>) {
          fill(to.initLearningState(), payload);
        } else if constexpr (std::is_same_v<T, ProfileState>) {
          fill(to.initProfileState(), payload);
        } else if constexpr (std::is_same_v<T, ham::learning::Outcome>) {
          fill(to.initLearningOutcome(), payload);
        } else {
          static_assert(std::is_same_v<T, Command>);
          wire::fill(to.initCommand(), payload);
        }
      },
      from);
}

JournalPayload read_payload(schema::Entry::Reader from) {
  using Which = schema::Entry::Which;
  switch (from.which()) {
    case Which::STARTED: return read_started(from.getStarted());
    case Which::CYCLE: return read_cycle(from.getCycle());
    case Which::AGENT_PRESENCE: return read_presence(from.getAgentPresence());
    case Which::OPERATOR_INPUT: return read_operator(from.getOperatorInput());
    case Which::UPDATE: return need(wire::read(from.getUpdate()));
    case Which::DECISION: return read_decision(from.getDecision());
    case Which::ACTION: return read_record(from.getAction());
    case Which::TRANSITION: return read_transition(from.getTransition());
    case Which::COMMAND: return need(wire::read(from.getCommand()));
    case Which::SIGNAL_INPUT: return read_signal_input(from.getSignalInput());
    case Which::FORECAST_STATE: return read_forecast_state(from.getForecastState());
    case Which::LEARNING_STATE: return read_learning_state(from.getLearningState());
    case Which::PROFILE_STATE: return read_profile_state(from.getProfileState());
    case Which::LEARNING_OUTCOME: return read_outcome(from.getLearningOutcome());
  }
  throw Error{ErrorCode::kCorrupt, "payload of an unknown kind"};
}

}  // namespace

std::string encode(const JournalEntry& entry) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::Entry>();
  root.setLsn(entry.lsn);
  root.setTimeNs(to_unix_ns(entry.time));
  fill_payload(root, entry.payload);
  // One segment in canonical form, behind the usual segment table, so that any Cap'n Proto reader takes it.
  const kj::Array<capnp::word> canonical = capnp::canonicalize(root.asReader());
  const kj::ArrayPtr<const capnp::word> segments[] = {canonical.asPtr()};
  const kj::Array<capnp::word> flat = capnp::messageToFlatArray(segments);
  const auto bytes = flat.asBytes();
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}

Result<JournalEntry> decode_journal_entry(std::string_view bytes) {
  auto entry = wire::with_message<schema::Entry>(
      bytes, {.bytes_max = kEntryBytesMax, .nesting_max = kNestingMax, .traversal_words_min = kTraversalWordsMin},
      [](schema::Entry::Reader root) -> Result<JournalEntry> {
        try {
          return JournalEntry{root.getLsn(), from_unix_ns(root.getTimeNs()), read_payload(root)};
        } catch (const Error& e) {
          return e;
        }
      });
  if (!entry) return with_context(entry.error(), "journal entry");
  return entry;
}

}  // namespace proteus::store
