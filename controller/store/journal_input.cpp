// Inputs: what a replay needs to decide the same again.
#include "controller/store/journal_fields.h"
#include "controller/store/journal_records.h"

namespace proteus::store {

void fill(schema::Signal::Builder to, const forecast::SignalPush& from) {
  JOURNAL_SET_TEXT(to, Name, from.name);
  JOURNAL_SET_TEXT(to, Vm, from.vm.value);
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
  JOURNAL_SET_TEXT(to, Vm, from.key.vm.value);
  to.setResource(static_cast<std::uint8_t>(from.key.resource));
  if (from.bytes.empty()) return;
  to.setState({reinterpret_cast<const capnp::byte*>(from.bytes.data()), from.bytes.size()});
}

void fill(schema::Started::EndedAction::Builder to, const EndedAction& from) {
  JOURNAL_SET_TEXT(to, Vm, from.vm.value);
  JOURNAL_SET_TEXT(to, Source, from.source.value);
  JOURNAL_SET_TEXT(to, Target, from.target.value);
  to.setEndedNs(to_unix_ns(from.ended));
  to.setVerified(from.verified);
}

void fill(schema::Started::MissingVm::Builder to, const MissingVm& from) {
  JOURNAL_SET_TEXT(to, Vm, from.vm.value);
  to.setLastSeenNs(to_unix_ns(from.last_seen));
}

namespace {

void fill_hosts(capnp::List<capnp::Text>::Builder to, const std::vector<HostId>& from) {
  for (unsigned i = 0; i < to.size(); ++i) to.set(i, text(from[i].value));
}

std::vector<HostId> read_hosts(capnp::List<capnp::Text>::Reader from) {
  return read_list(from, [](capnp::Text::Reader host) { return HostId(read_text(host)); });
}

}  // namespace

void fill(schema::Started::Builder to, const Started& from) {
  JOURNAL_SET_TEXT(to, Version, from.version);
  JOURNAL_SET_TEXT(to, Controller, from.controller);
  to.setTerm(from.term);
  JOURNAL_SET_TEXT(to, PolicyToml, from.policy_toml);
  JOURNAL_SET_TEXT(to, OptionsToml, from.options_toml);
  to.setNextActionId(from.next_action_id);
  to.setNextCommandId(from.next_command_id);
  to.setWarmFromLsn(from.warm_from_lsn);
  JOURNAL_SET_LIST(to, Adopted, from.adopted, fill);
  const auto count = [](const std::vector<HostId>& hosts) { return static_cast<unsigned>(hosts.size()); };
  if (!from.maintenance.empty()) fill_hosts(to.initMaintenance(count(from.maintenance)), from.maintenance);
  to.setPaused(from.paused);
  JOURNAL_SET_TEXT(to, CalendarToml, from.calendar_toml);
  to.setRestoredEntries(from.restored_entries);
  to.setWarmThroughLsn(from.warm_through_lsn);
  to.setWarmInSteps(from.warm_in_steps);
  to.setRestoredFromLsn(from.restored_from_lsn);
  JOURNAL_SET_LIST(to, Ended, from.ended, fill);
  JOURNAL_SET_LIST(to, Missing, from.missing, fill);
  if (!from.emptying.empty()) fill_hosts(to.initEmptying(count(from.emptying)), from.emptying);
  if (!from.commandable.empty()) fill_hosts(to.initCommandable(count(from.commandable)), from.commandable);
}

void fill(schema::Cycle::Builder to, const Cycle& from) {
  to.setNumber(from.number);
  to.setSeed(from.seed);
  to.setFramesThroughLsn(from.frames_through_lsn);
  to.setForecastsBehind(from.forecasts_behind);
}

void fill(schema::AgentPresence::Builder to, const AgentPresence& from) {
  JOURNAL_SET_TEXT(to, Host, from.host.value);
  to.setCommandable(from.commandable);
  JOURNAL_SET_TEXT(to, Reason, from.reason);
}

void fill(schema::OperatorInput::Builder to, const OperatorInput& from) {
  to.setKind(static_cast<std::uint8_t>(from.kind));
  to.setAction(from.action);
  JOURNAL_SET_TEXT(to, Host, from.host.value);
  JOURNAL_SET_TEXT(to, By, from.by);
}

void fill(schema::SignalInput::Builder to, const SignalInput& from) {
  fill(to.initSignal(), from.push);
  JOURNAL_SET_TEXT(to, By, from.by);
}

void fill(schema::ForecastState::Builder to, const ForecastState& from) {
  JOURNAL_SET_LIST(to, Series, from.series, fill);
  JOURNAL_SET_LIST(to, Signals, from.signals, fill);
}

void fill(schema::LearningState::Builder to, const LearningState& from) {
  if (from.bytes.empty()) return;
  to.setState({reinterpret_cast<const capnp::byte*>(from.bytes.data()), from.bytes.size()});
}

void fill(schema::ProfileState::Record::Builder to, const profile::SavedRecord& from) {
  JOURNAL_SET_TEXT(to, Name, from.name);
  if (from.bytes.empty()) return;
  to.setState({reinterpret_cast<const capnp::byte*>(from.bytes.data()), from.bytes.size()});
}

void fill(schema::ProfileState::Builder to, const ProfileState& from) {
  JOURNAL_SET_LIST(to, Records, from.records, fill);
}

EndedAction read_ended(schema::Started::EndedAction::Reader from) {
  return {VmId(read_text(from.getVm())), HostId(read_text(from.getSource())), HostId(read_text(from.getTarget())),
          from_unix_ns(from.getEndedNs()), from.getVerified()};
}

MissingVm read_missing(schema::Started::MissingVm::Reader from) {
  return {VmId(read_text(from.getVm())), from_unix_ns(from.getLastSeenNs())};
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
  to.maintenance = read_hosts(from.getMaintenance());
  to.paused = from.getPaused();
  to.calendar_toml = read_text(from.getCalendarToml());
  to.restored_entries = from.getRestoredEntries();
  to.warm_through_lsn = from.getWarmThroughLsn();
  to.warm_in_steps = from.getWarmInSteps();
  to.restored_from_lsn = from.getRestoredFromLsn();
  to.ended = read_list(from.getEnded(), read_ended);
  to.emptying = read_hosts(from.getEmptying());
  to.commandable = read_hosts(from.getCommandable());
  to.missing = read_list(from.getMissing(), read_missing);
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

Cycle read_cycle(schema::Cycle::Reader from) {
  return {from.getNumber(), from.getSeed(), from.getFramesThroughLsn(), from.getForecastsBehind()};
}

AgentPresence read_presence(schema::AgentPresence::Reader from) {
  return {HostId(read_text(from.getHost())), from.getCommandable(), read_text(from.getReason())};
}

OperatorInput read_operator(schema::OperatorInput::Reader from) {
  return {read_enum(from.getKind(), OperatorInput::Kind::kResume, "operator's input"), from.getAction(),
          HostId(read_text(from.getHost())), read_text(from.getBy())};
}

SignalInput read_signal_input(schema::SignalInput::Reader from) {
  return {read_signal(from.getSignal()), read_text(from.getBy())};
}

ForecastState read_forecast_state(schema::ForecastState::Reader from) {
  return {read_list(from.getSeries(), read_series), read_list(from.getSignals(), read_signal)};
}

profile::SavedRecord read_profile_record(schema::ProfileState::Record::Reader from) {
  const auto bytes = from.getState();
  return {read_text(from.getName()), {reinterpret_cast<const char*>(bytes.begin()), bytes.size()}};
}

ProfileState read_profile_state(schema::ProfileState::Reader from) {
  return {read_list(from.getRecords(), read_profile_record)};
}

LearningState read_learning_state(schema::LearningState::Reader from) {
  const auto bytes = from.getState();
  return {{reinterpret_cast<const char*>(bytes.begin()), bytes.size()}};
}

}  // namespace proteus::store
