#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fmt/core.h>

#include <type_traits>

#include "common/wire/capnp_bytes.h"
#include "common/wire/command_fields.h"
#include "controller/store/journal.h"
#include "schemas/journal.capnp.h"

namespace proteus::store {
namespace {

using wire::read_text;

// Limits of what is read back; each is far above what a controller writes.
constexpr std::size_t kEntryBytesMax = 64u << 20;
constexpr unsigned kListItemsMax = 1u << 20;
constexpr int kNestingMax = 16;
// Items of a list that hold nothing take no room in the canonical form, and count as a word each when they are read.
constexpr std::size_t kTraversalWordsMin = 65'536;

// --- writing ------------------------------------------------------------------------------------------------------

capnp::Text::Reader text(const std::string& s) {
  return {s.data(), s.size()};
}

// −0 equals 0, so both are written as 0.
double number(double v) {
  return v == 0 ? 0.0 : v;
}

// Empty text and empty lists are left out, so that they have one form.
#define SET_TEXT(builder, Name, value)                      \
  do {                                                      \
    if (!(value).empty()) (builder).set##Name(text(value)); \
  } while (false)

template <typename Builder>
void fill_optional_time(Builder to, const std::optional<Timestamp>& from) {
  if (from) to.setNs(to_unix_ns(*from));
}

void fill(schema::ScoreTerms::Builder to, const ham::ScoreTerms& from) {
  to.setPerformance(number(from.performance));
  to.setUtilisation(number(from.utilisation));
  to.setCost(number(from.cost));
  to.setLatency(number(from.latency));
}

void fill(schema::LearningNote::Builder to, const ham::learning::Note& from) {
  to.setKind(static_cast<std::uint8_t>(from.kind));
  auto features = to.initFeatures(static_cast<unsigned>(from.features.size()));
  for (unsigned i = 0; i < features.size(); ++i) features.set(i, number(from.features[i]));
  to.setPredicted(number(from.predicted));
  to.setCost(number(from.cost));
  to.setCopiedBytes(number(from.copied_bytes));
  to.setScale(number(from.scale));
  to.setGain(number(from.gain));
  to.setRequired(number(from.required));
  to.setMean(number(from.mean));
  to.setDeviation(number(from.deviation));
  to.setCorrection(number(from.correction));
  to.setLearnedAct(from.learned_act);
  to.setControl(from.control);
  to.setPropensity(number(from.propensity));
  to.setHorizonNs(from.horizon.count());
}

void fill(schema::Action::Builder to, const ham::Action& from) {
  to.setId(from.id);
  SET_TEXT(to, Vm, from.vm.value);
  SET_TEXT(to, Host, from.host.value);
  wire::fill(to.initOperation(), from.operation);
  if (from.present_value) to.getPresentValue().setValue(*from.present_value);
  to.setAutomation(static_cast<std::uint8_t>(from.automation));
  SET_TEXT(to, Reason, from.reason);
  to.setExpectedDurationNs(from.expected_duration.count());
  to.setExpectedDowntimeMs(from.expected_downtime_ms);
  if (from.expected_wait_ratio) to.setExpectedWaitRatio(number(*from.expected_wait_ratio));
  if (from.expected_storage_s) to.setExpectedStorageS(number(*from.expected_storage_s));
  if (from.expected_drop_share) to.setExpectedDropShare(number(*from.expected_drop_share));
  to.setReserveMemoryBytes(from.reserve.memory_bytes);
  to.setReserveCpuMillicores(from.reserve.cpu_millicores);
  if (!from.after.empty()) {
    auto after = to.initAfter(static_cast<unsigned>(from.after.size()));
    for (unsigned i = 0; i < after.size(); ++i) after.set(i, from.after[i]);
  }
  if (from.learned) fill(to.initLearned(), *from.learned);
}

void fill(schema::Candidate::Builder to, const ham::Candidate& from);
void fill(schema::HeldAction::Builder to, const ham::Held& from);
void fill(schema::Rejection::Builder to, const ham::Rejection& from);
void fill(schema::Outlook::Builder to, const ham::Outlook& from);
void fill(schema::PowerChange::Builder to, const ham::PowerChange& from);
void fill(schema::Transition::Builder to, const drs::Transition& from);
void fill(schema::ActionRecord::Builder to, const drs::ActionRecord& from);

void fill(schema::Signal::Builder to, const forecast::SignalPush& from) {
  SET_TEXT(to, Name, from.name);
  SET_TEXT(to, Vm, from.vm.value);
  to.setLeadNs(from.lead.count());
  if (from.points.empty()) return;
  auto times = to.initTimesNs(static_cast<unsigned>(from.points.size()));
  auto values = to.initValues(static_cast<unsigned>(from.points.size()));
  for (unsigned i = 0; i < times.size(); ++i) {
    times.set(i, to_unix_ns(from.points[i].time));
    values.set(i, number(from.points[i].value));
  }
}

void fill(schema::ForecastState::Series::Builder to, const forecast::SeriesState& from) {
  SET_TEXT(to, Vm, from.key.vm.value);
  to.setResource(static_cast<std::uint8_t>(from.key.resource));
  if (from.bytes.empty()) return;
  to.setState({reinterpret_cast<const capnp::byte*>(from.bytes.data()), from.bytes.size()});
}

template <typename List, typename Value>
void fill_list(List to, const std::vector<Value>& from) {
  for (unsigned i = 0; i < to.size(); ++i) fill(to[i], from[i]);
}
#define SET_LIST(builder, Name, values)                                                                     \
  do {                                                                                                      \
    if (!(values).empty()) fill_list((builder).init##Name(static_cast<unsigned>((values).size())), values); \
  } while (false)

void fill(schema::Candidate::Builder to, const ham::Candidate& from) {
  SET_TEXT(to, Label, from.label);
  SET_LIST(to, Actions, from.actions);
  fill(to.initScore(), from.score);
}

void fill(schema::Rejection::Builder to, const ham::Rejection& from) {
  SET_TEXT(to, Candidate, from.candidate);
  SET_TEXT(to, Rule, from.rule);
  SET_TEXT(to, Reason, from.reason);
}

void fill(schema::Outlook::Builder to, const ham::Outlook& from) {
  SET_TEXT(to, Vm, from.vm.value);
  SET_TEXT(to, Host, from.host.value);
  to.setCpuP50Cores(number(from.cpu_window_max.p50));
  to.setCpuP90Cores(number(from.cpu_window_max.p90));
  to.setCpuP99Cores(number(from.cpu_window_max.p99));
  to.setCpuP10Cores(number(from.cpu_window_max.p10));
  to.setCpuP95Cores(number(from.cpu_window_max.p95));
  to.setCpuLimitCores(number(from.cpu_limit_cores));
  SET_TEXT(to, Model, from.model);
  if (from.until_limit) to.getUntilLimit().setNs(from.until_limit->count());
}

void fill(schema::PowerChange::Builder to, const ham::PowerChange& from) {
  SET_TEXT(to, Host, from.host.value);
  to.setAwake(from.awake);
  SET_TEXT(to, Reason, from.reason);
}

void fill(schema::HeldAction::Builder to, const ham::Held& from) {
  SET_TEXT(to, Vm, from.vm.value);
  SET_TEXT(to, Label, from.label);
  fill(to.initNote(), from.note);
  to.setExamined(from.examined);
  to.setOccasion(from.occasion);
}

void fill(schema::LearningPart::Builder to, const ham::LearningPart& from) {
  to.setActing(from.acting);
  to.setRevision(from.revision);
  SET_LIST(to, Held, from.held);
  SET_TEXT(to, RulesAlone, from.rules_alone);
}

void fill(schema::Decision::Builder to, const ham::Decision& from) {
  to.setId(from.id);
  to.setTimeNs(to_unix_ns(from.time));
  SET_TEXT(to, Policy, from.policy);
  fill(to.initChosen(), from.chosen);
  fill(to.initDoNothing(), from.do_nothing);
  SET_LIST(to, Alternatives, from.alternatives);
  SET_LIST(to, Rejections, from.rejections);
  SET_LIST(to, Outlooks, from.outlooks);
  SET_TEXT(to, Summary, from.summary);
  SET_LIST(to, Power, from.power);
  if (!from.emptying.empty()) {
    auto hosts = to.initEmptying(static_cast<unsigned>(from.emptying.size()));
    for (unsigned i = 0; i < hosts.size(); ++i) hosts.set(i, text(from.emptying[i].value));
  }
  if (from.learning.present) fill(to.initLearning(), from.learning);
}

void fill(schema::Transition::Builder to, const drs::Transition& from) {
  to.setAction(from.action);
  to.setFrom(static_cast<std::uint8_t>(from.from));
  to.setTo(static_cast<std::uint8_t>(from.to));
  to.setTimeNs(to_unix_ns(from.time));
  fill_optional_time(to.getAgentTime(), from.agent_time);
  SET_TEXT(to, Message, from.message);
  to.setCommand(from.command);
  fill_optional_time(to.getDeadline(), from.deadline);
  fill_optional_time(to.getTrigger(), from.trigger);
}

void fill(schema::ActionRecord::Builder to, const drs::ActionRecord& from) {
  fill(to.initAction(), from.action);
  to.setDecision(from.decision);
  if (!from.prerequisites.empty()) {
    auto ids = to.initPrerequisites(static_cast<unsigned>(from.prerequisites.size()));
    for (unsigned i = 0; i < ids.size(); ++i) ids.set(i, from.prerequisites[i]);
  }
  to.setState(static_cast<std::uint8_t>(from.state));
  to.setTerm(from.term);
  to.setIntendedAtNs(to_unix_ns(from.intended_at));
  to.setTriggerTimeNs(to_unix_ns(from.trigger_time));
  to.setDeadlineNs(to_unix_ns(from.deadline));
  to.setCommand(from.command);
  fill_optional_time(to.getExecutedAt(), from.executed_at);
  fill_optional_time(to.getEndedAt(), from.ended_at);
  if (from.progress) wire::fill(to.initProgress(), *from.progress);
  SET_TEXT(to, Message, from.message);
  SET_LIST(to, Transitions, from.transitions);
}

void fill(schema::Started::Builder to, const Started& from) {
  SET_TEXT(to, Version, from.version);
  SET_TEXT(to, Controller, from.controller);
  to.setTerm(from.term);
  SET_TEXT(to, PolicyToml, from.policy_toml);
  SET_TEXT(to, OptionsToml, from.options_toml);
  to.setNextActionId(from.next_action_id);
  to.setNextCommandId(from.next_command_id);
  to.setWarmFromLsn(from.warm_from_lsn);
  SET_LIST(to, Adopted, from.adopted);
  if (!from.maintenance.empty()) {
    auto hosts = to.initMaintenance(static_cast<unsigned>(from.maintenance.size()));
    for (unsigned i = 0; i < hosts.size(); ++i) hosts.set(i, text(from.maintenance[i].value));
  }
  to.setPaused(from.paused);
  SET_TEXT(to, CalendarToml, from.calendar_toml);
  to.setRestoredEntries(from.restored_entries);
}

void fill(schema::Cycle::Builder to, const Cycle& from) {
  to.setNumber(from.number);
  to.setSeed(from.seed);
  to.setFramesThroughLsn(from.frames_through_lsn);
  to.setForecastsBehind(from.forecasts_behind);
}

void fill(schema::AgentPresence::Builder to, const AgentPresence& from) {
  SET_TEXT(to, Host, from.host.value);
  to.setCommandable(from.commandable);
  SET_TEXT(to, Reason, from.reason);
}

void fill(schema::OperatorInput::Builder to, const OperatorInput& from) {
  to.setKind(static_cast<std::uint8_t>(from.kind));
  to.setAction(from.action);
  SET_TEXT(to, Host, from.host.value);
  SET_TEXT(to, By, from.by);
}

void fill(schema::SignalInput::Builder to, const SignalInput& from) {
  fill(to.initSignal(), from.push);
  SET_TEXT(to, By, from.by);
}

void fill(schema::ForecastState::Builder to, const ForecastState& from) {
  SET_LIST(to, Series, from.series);
  SET_LIST(to, Signals, from.signals);
}

void fill(schema::LearningOutcome::Builder to, const ham::learning::Outcome& from) {
  to.setAction(from.action);
  SET_TEXT(to, Vm, from.vm.value);
  fill(to.initNote(), from.note);
  to.setRealised(number(from.realised));
  to.setWeight(number(from.weight));
  to.setDifference(number(from.difference));
  to.setLower(number(from.lower));
  to.setActing(from.acting);
  to.setRevision(from.revision);
}

#undef SET_TEXT
#undef SET_LIST

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
          auto state = to.initLearningState();
          if (payload.bytes.empty()) return;
          state.setState({reinterpret_cast<const capnp::byte*>(payload.bytes.data()), payload.bytes.size()});
        } else if constexpr (std::is_same_v<T, ham::learning::Outcome>) {
          fill(to.initLearningOutcome(), payload);
        } else {
          static_assert(std::is_same_v<T, Command>);
          wire::fill(to.initCommand(), payload);
        }
      },
      from);
}

// --- reading ------------------------------------------------------------------------------------------------------
// Readers throw Error for a value that no writer of this version leaves; decode_journal_entry() catches it.

template <typename T>
T need(Result<T> result) {
  if (!result) throw result.error();
  return std::move(*result);
}

template <typename Enum>
Enum read_enum(std::uint8_t value, Enum last, const char* what) {
  if (value > static_cast<std::uint8_t>(last)) {
    throw Error{ErrorCode::kCorrupt, fmt::format("{} {} is unknown", what, value)};
  }
  return static_cast<Enum>(value);
}

template <typename Reader>
std::optional<Timestamp> read_optional_time(Reader from) {
  if (from.isNs()) return from_unix_ns(from.getNs());
  if (from.isNone()) return std::nullopt;
  throw Error{ErrorCode::kCorrupt, "time of an unknown kind"};
}

template <typename List, typename ReadOne>
auto read_list(List from, ReadOne read_one) {
  if (from.size() > kListItemsMax) throw Error{ErrorCode::kCorrupt, fmt::format("list of {} items", from.size())};
  std::vector<decltype(read_one(from[0]))> to;
  to.reserve(from.size());
  for (auto item : from) to.push_back(read_one(item));
  return to;
}

ham::ScoreTerms read_score(schema::ScoreTerms::Reader from) {
  return {.performance = from.getPerformance(),
          .utilisation = from.getUtilisation(),
          .cost = from.getCost(),
          .latency = from.getLatency()};
}

ham::learning::Note read_note(schema::LearningNote::Reader from) {
  ham::learning::Note to;
  to.kind = read_enum(from.getKind(), ham::learning::Kind::kMigrate, "kind of action");
  const auto features = from.getFeatures();
  if (features.size() != to.features.size()) {
    throw Error{ErrorCode::kCorrupt, fmt::format("{} features of an action", features.size())};
  }
  for (unsigned i = 0; i < features.size(); ++i) to.features[i] = features[i];
  to.predicted = from.getPredicted();
  to.cost = from.getCost();
  to.copied_bytes = from.getCopiedBytes();
  to.scale = from.getScale();
  to.gain = from.getGain();
  to.required = from.getRequired();
  to.mean = from.getMean();
  to.deviation = from.getDeviation();
  to.correction = from.getCorrection();
  to.learned_act = from.getLearnedAct();
  to.control = from.getControl();
  to.propensity = from.getPropensity();
  to.horizon = Nanoseconds(from.getHorizonNs());
  return to;
}

ham::Held read_held(schema::HeldAction::Reader from) {
  return {.vm = VmId(read_text(from.getVm())),
          .label = read_text(from.getLabel()),
          .note = read_note(from.getNote()),
          .examined = from.getExamined(),
          .occasion = from.getOccasion()};
}

ham::LearningPart read_learning(schema::LearningPart::Reader from) {
  return {.present = true,
          .acting = from.getActing(),
          .revision = from.getRevision(),
          .held = read_list(from.getHeld(), read_held),
          .rules_alone = read_text(from.getRulesAlone())};
}

ham::learning::Outcome read_outcome(schema::LearningOutcome::Reader from) {
  ham::learning::Outcome to;
  to.action = from.getAction();
  to.vm = VmId(read_text(from.getVm()));
  to.note = read_note(from.getNote());
  to.realised = from.getRealised();
  to.weight = from.getWeight();
  to.difference = from.getDifference();
  to.lower = from.getLower();
  to.acting = from.getActing();
  to.revision = from.getRevision();
  return to;
}

ham::Action read_action(schema::Action::Reader from) {
  ham::Action to;
  to.id = from.getId();
  to.vm = VmId(read_text(from.getVm()));
  to.host = HostId(read_text(from.getHost()));
  to.operation = need(wire::read(from.getOperation()));
  if (from.getPresentValue().isValue()) to.present_value = from.getPresentValue().getValue();
  to.automation = read_enum(from.getAutomation(), ham::Automation::kAutomatic, "level of automation");
  to.reason = read_text(from.getReason());
  to.expected_duration = Nanoseconds(from.getExpectedDurationNs());
  to.expected_downtime_ms = from.getExpectedDowntimeMs();
  if (from.getExpectedWaitRatio() >= 0) to.expected_wait_ratio = from.getExpectedWaitRatio();
  if (from.getExpectedStorageS() >= 0) to.expected_storage_s = from.getExpectedStorageS();
  if (from.getExpectedDropShare() >= 0) to.expected_drop_share = from.getExpectedDropShare();
  to.reserve = {.memory_bytes = from.getReserveMemoryBytes(), .cpu_millicores = from.getReserveCpuMillicores()};
  to.after = read_list(from.getAfter(), [](std::uint32_t position) { return position; });
  if (from.hasLearned()) to.learned = read_note(from.getLearned());
  return to;
}

ham::Candidate read_candidate(schema::Candidate::Reader from) {
  return {.label = read_text(from.getLabel()),
          .actions = read_list(from.getActions(), read_action),
          .score = read_score(from.getScore())};
}

ham::Rejection read_rejection(schema::Rejection::Reader from) {
  return {.candidate = read_text(from.getCandidate()),
          .rule = read_text(from.getRule()),
          .reason = read_text(from.getReason())};
}

ham::Outlook read_outlook(schema::Outlook::Reader from) {
  ham::Outlook to;
  to.vm = VmId(read_text(from.getVm()));
  to.host = HostId(read_text(from.getHost()));
  to.cpu_window_max = {from.getCpuP10Cores(), from.getCpuP50Cores(), from.getCpuP90Cores(), from.getCpuP95Cores(),
                       from.getCpuP99Cores()};
  to.cpu_limit_cores = from.getCpuLimitCores();
  to.model = read_text(from.getModel());
  if (from.getUntilLimit().isNs()) to.until_limit = Nanoseconds(from.getUntilLimit().getNs());
  return to;
}

ham::PowerChange read_power(schema::PowerChange::Reader from) {
  return {.host = HostId(read_text(from.getHost())), .awake = from.getAwake(), .reason = read_text(from.getReason())};
}

ham::Decision read_decision(schema::Decision::Reader from) {
  ham::Decision to;
  to.id = from.getId();
  to.time = from_unix_ns(from.getTimeNs());
  to.policy = read_text(from.getPolicy());
  to.chosen = read_candidate(from.getChosen());
  to.do_nothing = read_candidate(from.getDoNothing());
  to.alternatives = read_list(from.getAlternatives(), read_candidate);
  to.rejections = read_list(from.getRejections(), read_rejection);
  to.outlooks = read_list(from.getOutlooks(), read_outlook);
  to.summary = read_text(from.getSummary());
  to.power = read_list(from.getPower(), read_power);
  to.emptying = read_list(from.getEmptying(), [](capnp::Text::Reader host) { return HostId(read_text(host)); });
  if (from.hasLearning()) to.learning = read_learning(from.getLearning());
  return to;
}

drs::Transition read_transition(schema::Transition::Reader from) {
  drs::Transition to;
  to.action = from.getAction();
  to.from = read_enum(from.getFrom(), drs::ActionState::kExpired, "action state");
  to.to = read_enum(from.getTo(), drs::ActionState::kExpired, "action state");
  to.time = from_unix_ns(from.getTimeNs());
  to.agent_time = read_optional_time(from.getAgentTime());
  to.message = read_text(from.getMessage());
  to.command = from.getCommand();
  to.deadline = read_optional_time(from.getDeadline());
  to.trigger = read_optional_time(from.getTrigger());
  return to;
}

drs::ActionRecord read_record(schema::ActionRecord::Reader from) {
  drs::ActionRecord to;
  to.action = read_action(from.getAction());
  to.decision = from.getDecision();
  to.prerequisites = read_list(from.getPrerequisites(), [](ActionId id) { return id; });
  to.state = read_enum(from.getState(), drs::ActionState::kExpired, "action state");
  to.term = from.getTerm();
  to.intended_at = from_unix_ns(from.getIntendedAtNs());
  to.trigger_time = from_unix_ns(from.getTriggerTimeNs());
  to.deadline = from_unix_ns(from.getDeadlineNs());
  to.command = from.getCommand();
  to.executed_at = read_optional_time(from.getExecutedAt());
  to.ended_at = read_optional_time(from.getEndedAt());
  if (from.hasProgress()) to.progress = wire::read(from.getProgress());
  to.message = read_text(from.getMessage());
  to.transitions = read_list(from.getTransitions(), read_transition);
  return to;
}

Started read_started(schema::Started::Reader from) {
  Started to;
  to.version = read_text(from.getVersion());
  to.controller = read_text(from.getController());
  to.term = from.getTerm();
  to.policy_toml = read_text(from.getPolicyToml());
  to.options_toml = read_text(from.getOptionsToml());
  to.next_action_id = from.getNextActionId();
  to.next_command_id = from.getNextCommandId();
  to.warm_from_lsn = from.getWarmFromLsn();
  to.adopted = read_list(from.getAdopted(), read_record);
  to.maintenance = read_list(from.getMaintenance(), [](capnp::Text::Reader host) { return HostId(read_text(host)); });
  to.paused = from.getPaused();
  to.calendar_toml = read_text(from.getCalendarToml());
  to.restored_entries = from.getRestoredEntries();
  return to;
}

forecast::SignalPush read_signal(schema::Signal::Reader from) {
  forecast::SignalPush to;
  to.name = read_text(from.getName());
  to.vm = VmId(read_text(from.getVm()));
  to.lead = Nanoseconds(from.getLeadNs());
  const auto times = from.getTimesNs();
  const auto values = from.getValues();
  if (times.size() != values.size() || times.size() > kListItemsMax) {
    throw Error{ErrorCode::kCorrupt, "a signal's times and values differ in number"};
  }
  for (unsigned i = 0; i < times.size(); ++i) to.points.push_back({from_unix_ns(times[i]), values[i]});
  return to;
}

forecast::SeriesState read_series(schema::ForecastState::Series::Reader from) {
  forecast::SeriesState to;
  to.key.vm = VmId(read_text(from.getVm()));
  to.key.resource = read_enum(from.getResource(), forecast::Resource::kNetwork, "resource");
  const auto bytes = from.getState();
  to.bytes.assign(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
  return to;
}

JournalPayload read_payload(schema::Entry::Reader from) {
  using Which = schema::Entry::Which;
  switch (from.which()) {
    case Which::STARTED: return read_started(from.getStarted());
    case Which::CYCLE: {
      const auto cycle = from.getCycle();
      return Cycle{cycle.getNumber(), cycle.getSeed(), cycle.getFramesThroughLsn(), cycle.getForecastsBehind()};
    }
    case Which::AGENT_PRESENCE: {
      const auto presence = from.getAgentPresence();
      return AgentPresence{HostId(read_text(presence.getHost())), presence.getCommandable(),
                           read_text(presence.getReason())};
    }
    case Which::OPERATOR_INPUT: {
      const auto input = from.getOperatorInput();
      return OperatorInput{read_enum(input.getKind(), OperatorInput::Kind::kResume, "operator's input"),
                           input.getAction(), HostId(read_text(input.getHost())), read_text(input.getBy())};
    }
    case Which::UPDATE: return need(wire::read(from.getUpdate()));
    case Which::DECISION: return read_decision(from.getDecision());
    case Which::ACTION: return read_record(from.getAction());
    case Which::TRANSITION: return read_transition(from.getTransition());
    case Which::COMMAND: return need(wire::read(from.getCommand()));
    case Which::SIGNAL_INPUT: {
      const auto input = from.getSignalInput();
      return SignalInput{read_signal(input.getSignal()), read_text(input.getBy())};
    }
    case Which::FORECAST_STATE: {
      const auto state = from.getForecastState();
      return ForecastState{read_list(state.getSeries(), read_series), read_list(state.getSignals(), read_signal)};
    }
    case Which::LEARNING_STATE: {
      const auto bytes = from.getLearningState().getState();
      return LearningState{{reinterpret_cast<const char*>(bytes.begin()), bytes.size()}};
    }
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
