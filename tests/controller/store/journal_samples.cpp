#include "tests/controller/store/journal_samples.h"

#include <algorithm>

namespace proteus::store {
namespace {

using Random = std::mt19937_64;

std::string random_text(Random& random) {
  std::string text(random() % 20, ' ');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}
std::int64_t number(Random& random) {
  return static_cast<std::int64_t>(random()) >> (random() % 60);
}
Timestamp time(Random& random) {
  return from_unix_ns(number(random));
}
double real(Random& random) {
  return static_cast<double>(number(random)) / 1024.0;
}
bool coin(Random& random) {
  return random() % 2 == 0;
}
template <typename T, typename Make>
std::vector<T> some(Random& random, Make make) {
  std::vector<T> items(random() % 4);
  for (T& item : items) item = make(random);
  return items;
}
template <typename T, typename Make>
std::optional<T> perhaps(Random& random, Make make) {
  if (coin(random)) return std::nullopt;
  return make(random);
}
HostId host(Random& random) {
  return HostId(random_text(random));
}
VmId vm(Random& random) {
  return VmId(random_text(random));
}

Operation operation(Random& random) {
  switch (random() % std::variant_size_v<Operation>) {
    case 0: return SetCpuQuota{number(random), number(random)};
    case 1: return SetCpuShares{number(random)};
    case 2: return SetVcpus{static_cast<std::int32_t>(random())};
    case 3: return SetMemory{number(random)};
    case 4:
      return Migrate{host(random),   random_text(random), random_text(random), number(random),
                     number(random), coin(random),        coin(random)};
    case 5: return Reserve{number(random), number(random)};
    case 6: return Release{random()};
    case 7: return Abort{random()};
    default: return Inspect{};
  }
}

ham::learning::Note note(Random& random) {
  ham::learning::Note n;
  n.kind = static_cast<ham::learning::Kind>(random() % 3);
  for (double& feature : n.features) feature = real(random);
  for (double* value : {&n.predicted, &n.cost, &n.copied_bytes, &n.utilisation, &n.scale, &n.gain, &n.required, &n.mean,
                        &n.deviation, &n.correction, &n.propensity}) {
    *value = real(random);
  }
  n.learned_act = coin(random);
  n.control = coin(random);
  n.preferred = coin(random);
  n.horizon = Nanoseconds(number(random));
  return n;
}

ham::Held held(Random& random) {
  return {vm(random), random_text(random), note(random), coin(random), coin(random)};
}

ham::LearningPart learning_part(Random& random) {
  if (coin(random)) return {};
  return {true,
          coin(random),
          random(),
          some<ham::Held>(random, held),
          random(),
          perhaps<ham::Held>(random, held),
          random_text(random)};
}

ham::learning::Outcome outcome(Random& random) {
  return {random(),     vm(random),   note(random), real(random), real(random),
          real(random), real(random), coin(random), random()};
}

ham::Action action(Random& random) {
  ham::Action a;
  a.id = random();
  a.vm = vm(random);
  a.host = host(random);
  a.operation = operation(random);
  a.present_value = perhaps<std::int64_t>(random, number);
  a.reserve = {number(random), number(random)};
  a.automation = static_cast<ham::Automation>(random() % 4);
  a.reason = random_text(random);
  a.expected_duration = Nanoseconds(number(random));
  a.expected_downtime_ms = number(random);
  a.expected_wait_ratio = perhaps<double>(random, [](Random& r) { return std::abs(real(r)); });
  a.expected_storage_s = perhaps<double>(random, [](Random& r) { return std::abs(real(r)); });
  a.expected_drop_share = perhaps<double>(random, [](Random& r) { return std::abs(real(r)); });
  a.after = some<std::uint32_t>(random, [](Random& r) { return static_cast<std::uint32_t>(r()); });
  a.learned = perhaps<ham::learning::Note>(random, note);
  return a;
}

ham::Candidate candidate(Random& random) {
  return {
      random_text(random), some<ham::Action>(random, action), {real(random), real(random), real(random), real(random)}};
}

ham::Rejection rejection(Random& random) {
  return {random_text(random), random_text(random), random_text(random)};
}

ham::Outlook outlook(Random& random) {
  ham::Outlook o;
  o.vm = vm(random);
  o.host = host(random);
  o.cpu_window_max = {real(random), real(random), real(random), real(random), real(random)};
  o.cpu_limit_cores = real(random);
  o.model = random_text(random);
  o.until_limit = perhaps<Nanoseconds>(random, [](Random& r) { return Nanoseconds(number(r)); });
  return o;
}

ham::PowerChange power_change(Random& random) {
  return {host(random), random() % 2 == 0, random_text(random)};
}

ham::HelperChange helper_change(Random& random) {
  return {vm(random),          host(random), random() % 2 == 0,
          random_text(random), real(random), static_cast<ham::Automation>(random() % 4)};
}

ham::Decision decision(Random& random) {
  ham::Decision d;
  d.id = random();
  d.time = time(random);
  d.policy = random_text(random);
  d.chosen = candidate(random);
  d.do_nothing = candidate(random);
  d.alternatives = some<ham::Candidate>(random, candidate);
  d.rejections = some<ham::Rejection>(random, rejection);
  d.outlooks = some<ham::Outlook>(random, outlook);
  d.summary = random_text(random);
  d.power = some<ham::PowerChange>(random, power_change);
  d.emptying = some<HostId>(random, [](Random& g) { return HostId(random_text(g)); });
  d.learning = learning_part(random);
  d.helpers = some<ham::HelperChange>(random, helper_change);
  return d;
}

drs::ActionState state(Random& random) {
  return static_cast<drs::ActionState>(random() % 13);
}

drs::Transition transition(Random& random) {
  drs::Transition t;
  t.action = random();
  t.from = state(random);
  t.to = state(random);
  t.time = time(random);
  t.agent_time = perhaps<Timestamp>(random, time);
  t.message = random_text(random);
  t.command = random();
  t.deadline = perhaps<Timestamp>(random, time);
  t.trigger = perhaps<Timestamp>(random, time);
  return t;
}

MigrationProgress progress(Random& random) {
  return {number(random), number(random), number(random), number(random), number(random)};
}

DomainObservation observation(Random& random) {
  return {coin(random),   coin(random),  static_cast<std::int32_t>(random()), number(random), number(random),
          number(random), number(random)};
}

drs::ActionRecord record(Random& random) {
  drs::ActionRecord r;
  r.action = action(random);
  r.decision = random();
  r.prerequisites = some<ActionId>(random, [](Random& g) { return ActionId(g()); });
  r.state = state(random);
  r.term = random();
  r.intended_at = time(random);
  r.trigger_time = time(random);
  r.deadline = time(random);
  r.command = random();
  r.executed_at = perhaps<Timestamp>(random, time);
  r.ended_at = perhaps<Timestamp>(random, time);
  r.progress = perhaps<MigrationProgress>(random, progress);
  r.message = random_text(random);
  r.transitions = some<drs::Transition>(random, transition);
  return r;
}

Update update(Random& random) {
  Update u;
  u.command = random();
  u.action = random();
  u.term = random();
  u.host = host(random);
  u.vm = vm(random);
  u.state = static_cast<CommandState>(random() % 5);
  u.time = time(random);
  u.message = random_text(random);
  u.migration = perhaps<MigrationProgress>(random, progress);
  u.observed = perhaps<DomainObservation>(random, observation);
  return u;
}

Command command(Random& random) {
  Command c;
  c.id = random();
  c.action = random();
  c.term = random();
  c.controller = random_text(random);
  c.host = host(random);
  c.vm = vm(random);
  c.issued = time(random);
  c.deadline = time(random);
  c.require_running = perhaps<bool>(random, coin);
  c.require_value = perhaps<std::int64_t>(random, number);
  c.operation = operation(random);
  return c;
}

Started started(Random& random) {
  Started s;
  s.version = random_text(random);
  s.controller = random_text(random);
  s.term = random();
  s.policy_toml = random_text(random);
  s.options_toml = random_text(random);
  s.next_action_id = random();
  s.next_command_id = random();
  s.warm_from_lsn = random();
  s.adopted = some<drs::ActionRecord>(random, record);
  s.maintenance = some<HostId>(random, host);
  s.paused = coin(random);
  s.calendar_toml = random_text(random);
  s.restored_entries = static_cast<std::uint32_t>(random());
  s.warm_through_lsn = random();
  s.warm_in_steps = coin(random);
  s.restored_from_lsn = random();
  s.ended = some<EndedAction>(random, [](Random& r) { return EndedAction{vm(r), host(r), host(r), time(r), coin(r)}; });
  s.emptying = some<HostId>(random, host);
  s.commandable = some<HostId>(random, host);
  s.missing = some<MissingVm>(random, [](Random& r) { return MissingVm{vm(r), time(r)}; });
  return s;
}

profile::SavedRecord profile_record(Random& random) {
  return {random_text(random), random_text(random)};
}

forecast::SignalPush signal(Random& random) {
  forecast::SignalPush s;
  s.name = random_text(random);
  s.vm = vm(random);
  s.lead = Nanoseconds(number(random));
  s.points = some<forecast::SignalPush::Point>(random, [](Random& r) {
    return forecast::SignalPush::Point{time(r), real(r)};
  });
  return s;
}

forecast::SeriesState series_state(Random& random) {
  return {{vm(random), static_cast<forecast::Resource>(random() % 4)}, random_text(random)};
}

// --- comparison: each list of names must be the struct's whole list of members
// -----------------------------------------

template <typename T>
bool same_lists(const std::vector<T>& a, const std::vector<T>& b);

bool same(const ham::Action& x, const ham::Action& y) {
  const auto& [a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15] = x;
  const auto& [b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15] = y;
  return std::tie(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15) ==
         std::tie(b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15);
}
bool same(const ham::Candidate& x, const ham::Candidate& y) {
  const auto& [a1, actions_a, a3] = x;
  const auto& [b1, actions_b, b3] = y;
  return a1 == b1 && same_lists(actions_a, actions_b) && a3 == b3;
}
bool same(const ham::Rejection& x, const ham::Rejection& y) {
  const auto& [a1, a2, a3] = x;
  const auto& [b1, b2, b3] = y;
  return std::tie(a1, a2, a3) == std::tie(b1, b2, b3);
}
bool same(const ham::Outlook& x, const ham::Outlook& y) {
  const auto& [a1, a2, a3, a4, a5, a6] = x;
  const auto& [b1, b2, b3, b4, b5, b6] = y;
  return std::tie(a1, a2, a3, a4, a5, a6) == std::tie(b1, b2, b3, b4, b5, b6);
}
bool same(const ham::PowerChange& x, const ham::PowerChange& y) {
  return std::tie(x.host, x.awake, x.reason) == std::tie(y.host, y.awake, y.reason);
}
bool same(const ham::HelperChange& x, const ham::HelperChange& y) {
  const auto& [a1, a2, a3, a4, a5, a6] = x;
  const auto& [b1, b2, b3, b4, b5, b6] = y;
  return std::tie(a1, a2, a3, a4, a5, a6) == std::tie(b1, b2, b3, b4, b5, b6);
}
bool same(const ham::Held& x, const ham::Held& y) {
  const auto& [a1, a2, a3, a4, a5] = x;
  const auto& [b1, b2, b3, b4, b5] = y;
  return std::tie(a1, a2, a3, a4, a5) == std::tie(b1, b2, b3, b4, b5);
}
bool same(const ham::LearningPart& x, const ham::LearningPart& y) {
  const auto& [a1, a2, a3, held_a, a5, opinion_a, a7] = x;
  const auto& [b1, b2, b3, held_b, b5, opinion_b, b7] = y;
  return std::tie(a1, a2, a3, a5, a7) == std::tie(b1, b2, b3, b5, b7) && same_lists(held_a, held_b) &&
         opinion_a.has_value() == opinion_b.has_value() && (!opinion_a || same(*opinion_a, *opinion_b));
}
bool same(const ham::learning::Outcome& x, const ham::learning::Outcome& y) {
  const auto& [a1, a2, a3, a4, a5, a6, a7, a8, a9] = x;
  const auto& [b1, b2, b3, b4, b5, b6, b7, b8, b9] = y;
  return std::tie(a1, a2, a3, a4, a5, a6, a7, a8, a9) == std::tie(b1, b2, b3, b4, b5, b6, b7, b8, b9);
}
bool same(const ProfileState& x, const ProfileState& y) {
  return x.records == y.records;
}
bool same(const LearningState& x, const LearningState& y) {
  return x.bytes == y.bytes;
}
bool same(const ham::Decision& x, const ham::Decision& y) {
  const auto& [a1, a2, a3, chosen_a, nothing_a, alternatives_a, rejections_a, outlooks_a, a9, a10, power_a, learning_a,
               helpers_a] = x;
  const auto& [b1, b2, b3, chosen_b, nothing_b, alternatives_b, rejections_b, outlooks_b, b9, b10, power_b, learning_b,
               helpers_b] = y;
  return std::tie(a1, a2, a3, a9, a10) == std::tie(b1, b2, b3, b9, b10) && same(chosen_a, chosen_b) &&
         same(nothing_a, nothing_b) && same_lists(alternatives_a, alternatives_b) &&
         same_lists(rejections_a, rejections_b) && same_lists(power_a, power_b) && same_lists(outlooks_a, outlooks_b) &&
         same(learning_a, learning_b) && same_lists(helpers_a, helpers_b);
}
bool same(const drs::Transition& x, const drs::Transition& y) {
  const auto& [a1, a2, a3, a4, a5, a6, a7, a8, a9] = x;
  const auto& [b1, b2, b3, b4, b5, b6, b7, b8, b9] = y;
  return std::tie(a1, a2, a3, a4, a5, a6, a7, a8, a9) == std::tie(b1, b2, b3, b4, b5, b6, b7, b8, b9);
}
bool same(const Update& x, const Update& y) {
  const auto& [a1, a2, a3, a4, a5, a6, a7, a8, a9, a10] = x;
  const auto& [b1, b2, b3, b4, b5, b6, b7, b8, b9, b10] = y;
  return std::tie(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10) == std::tie(b1, b2, b3, b4, b5, b6, b7, b8, b9, b10);
}
bool same(const Command& x, const Command& y) {
  const auto& [a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11] = x;
  const auto& [b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11] = y;
  return std::tie(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11) ==
         std::tie(b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11);
}
bool same(const Started& x, const Started& y) {
  const auto& [a1, a2, a3, a4, a5, a6, a7, a8, adopted_a, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20] = x;
  const auto& [b1, b2, b3, b4, b5, b6, b7, b8, adopted_b, b10, b11, b12, b13, b14, b15, b16, b17, b18, b19, b20] = y;
  return std::tie(a1, a2, a3, a4, a5, a6, a7, a8, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20) ==
             std::tie(b1, b2, b3, b4, b5, b6, b7, b8, b10, b11, b12, b13, b14, b15, b16, b17, b18, b19, b20) &&
         same_lists(adopted_a, adopted_b);
}
bool same(const SignalInput& x, const SignalInput& y) {
  const auto& [a1, a2] = x;
  const auto& [b1, b2] = y;
  return a1 == b1 && a2 == b2;
}
bool same(const ForecastState& x, const ForecastState& y) {
  const auto& [a1, a2] = x;
  const auto& [b1, b2] = y;
  return a1 == b1 && a2 == b2;
}
bool same(const Cycle& x, const Cycle& y) {
  const auto& [a1, a2, a3, a4] = x;
  const auto& [b1, b2, b3, b4] = y;
  return std::tie(a1, a2, a3, a4) == std::tie(b1, b2, b3, b4);
}
bool same(const AgentPresence& x, const AgentPresence& y) {
  const auto& [a1, a2, a3] = x;
  const auto& [b1, b2, b3] = y;
  return std::tie(a1, a2, a3) == std::tie(b1, b2, b3);
}
bool same(const OperatorInput& x, const OperatorInput& y) {
  const auto& [a1, a2, a3, a4] = x;
  const auto& [b1, b2, b3, b4] = y;
  return std::tie(a1, a2, a3, a4) == std::tie(b1, b2, b3, b4);
}
bool record_same(const drs::ActionRecord& x, const drs::ActionRecord& y) {
  const auto& [action_a, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, transitions_a] = x;
  const auto& [action_b, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, transitions_b] = y;
  return same(action_a, action_b) &&
         std::tie(a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13) ==
             std::tie(b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13) &&
         same_lists(transitions_a, transitions_b);
}
bool same(const drs::ActionRecord& x, const drs::ActionRecord& y) {
  return record_same(x, y);
}

template <typename T>
bool same_lists(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const T& x, const T& y) { return same(x, y); });
}

}  // namespace

JournalPayload random_payload(std::mt19937_64& random, std::size_t kind) {
  switch (kind) {
    case 0: return started(random);
    case 1: return Cycle{random(), random(), random(), static_cast<std::uint32_t>(random())};
    case 2: return AgentPresence{host(random), coin(random), random_text(random)};
    case 3:
      return OperatorInput{static_cast<OperatorInput::Kind>(random() % 6), random(), host(random), random_text(random)};
    case 4: return update(random);
    case 5: return decision(random);
    case 6: return record(random);
    case 7: return transition(random);
    case 8: return command(random);
    case 9: return SignalInput{signal(random), random_text(random)};
    case 11: return LearningState{random_text(random)};
    case 12: return outcome(random);
    case 13: return ProfileState{some<profile::SavedRecord>(random, profile_record)};
    default:
      return ForecastState{some<forecast::SeriesState>(random, series_state),
                           some<forecast::SignalPush>(random, signal)};
  }
}

bool same(const JournalPayload& a, const JournalPayload& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&b](const auto& x) {
        using T = std::decay_t<decltype(x)>;
        return same(x, std::get<T>(b));
      },
      a);
}

bool same(const JournalEntry& a, const JournalEntry& b) {
  return a.lsn == b.lsn && a.time == b.time && same(a.payload, b.payload);
}

bool same_record(const drs::ActionRecord& a, const drs::ActionRecord& b) {
  return record_same(a, b);
}

drs::ActionRecord intent(ActionId id, Timestamp at) {
  drs::ActionRecord r;
  r.action.id = id;
  r.action.vm = VmId("vm-" + std::to_string(id));
  r.action.host = HostId("h1");
  r.action.operation = SetCpuQuota{50000, 100000};
  r.decision = 7;
  r.intended_at = at;
  return r;
}

drs::Transition step(ActionId id, drs::ActionState from, drs::ActionState to, Timestamp at) {
  drs::Transition t;
  t.action = id;
  t.from = from;
  t.to = to;
  t.time = at;
  return t;
}

}  // namespace proteus::store
