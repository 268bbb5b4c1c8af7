#include "controller/api/history.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "controller/api/json_view.h"

namespace proteus::api {
namespace {

/// By the alternatives of JournalPayload.
constexpr std::array kKinds = {"started",        "cycle",          "agent",      "operator",     "update",
                               "decision",       "action",         "transition", "command",      "signal",
                               "forecast_state", "learning_state", "outcome",    "profile_state"};
static_assert(kKinds.size() == std::variant_size_v<store::JournalPayload>);

/// They drown what people look for; they are there with `all`, or by their name.
constexpr std::array kDetails = {"cycle",          "update",        "signal", "forecast_state",
                                 "learning_state", "profile_state", "command"};

Error invalid(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

template <typename Range, typename Value>
bool contains(const Range& range, const Value& value) {
  return std::find(std::begin(range), std::end(range), value) != std::end(range);
}

/// What an entry bears on.
struct Subject {
  std::set<VmId> vms;
  std::set<HostId> hosts;

  void add(const HostId& host, const Operation& operation) {
    hosts.insert(host);
    if (const auto* migrate = std::get_if<Migrate>(&operation)) hosts.insert(migrate->target);
  }
  void add(const Subject& other) {
    vms.insert(other.vms.begin(), other.vms.end());
    hosts.insert(other.hosts.begin(), other.hosts.end());
  }
};

/// Tells which entries are asked for. An action is to be noted before what is said of it is asked about.
class Matcher {
 public:
  Matcher(const HistoryFilter& filter, const std::vector<drs::ActionRecord>& known) : filter_(filter) {
    for (const drs::ActionRecord& record : known) note(record);
  }

  void note(const drs::ActionRecord& record) {
    Subject& subject = actions_[record.action.id];
    subject.vms.insert(record.action.vm);
    subject.add(record.action.host, record.action.operation);
  }

  /// The actions that an entry tells of.
  void note(const store::JournalEntry& entry) {
    if (const auto* record = std::get_if<drs::ActionRecord>(&entry.payload)) note(*record);
    if (const auto* started = std::get_if<store::Started>(&entry.payload)) {
      for (const drs::ActionRecord& record : started->adopted) note(record);
    }
  }
  /// Whether actions matter at all.
  bool asks_for_subjects() const { return !filter_.vms.empty() || !filter_.hosts.empty(); }

  bool matches(const store::JournalEntry& entry) {
    const std::string kind = kind_of(entry.payload);
    if (filter_.kinds.empty() ? !filter_.all && contains(kDetails, kind) : !contains(filter_.kinds, kind)) return false;
    if (!asks_for_subjects()) return true;
    const Subject subject = subject_of(entry.payload);
    const auto is_one_of = [](const auto& asked, const auto& there) {
      return asked.empty() ||
             std::any_of(asked.begin(), asked.end(), [&](const auto& one) { return there.contains(one); });
    };
    return is_one_of(filter_.vms, subject.vms) && is_one_of(filter_.hosts, subject.hosts);
  }

  /// Something was said of actions that have not been seen: what is older would tell.
  bool lacks_actions() const { return !lacking_.empty(); }
  const std::set<ActionId>& lacking() const { return lacking_; }

 private:
  Subject subject_of(const store::JournalPayload& payload) {
    Subject subject;
    if (const auto* agent = std::get_if<store::AgentPresence>(&payload)) {
      subject.hosts.insert(agent->host);
    } else if (const auto* input = std::get_if<store::OperatorInput>(&payload)) {
      if (!input->host.empty()) subject.hosts.insert(input->host);
      if (input->action != 0) add_action(subject, input->action);
    } else if (const auto* update = std::get_if<Update>(&payload)) {
      subject.vms.insert(update->vm);
      subject.hosts.insert(update->host);
    } else if (const auto* decision = std::get_if<ham::Decision>(&payload)) {
      for (const ham::Action& action : decision->chosen.actions) {
        subject.vms.insert(action.vm);
        subject.add(action.host, action.operation);
      }
      for (const ham::PowerChange& change : decision->power) subject.hosts.insert(change.host);
      for (const ham::HelperChange& change : decision->helpers) {
        subject.vms.insert(change.vm);
        subject.hosts.insert(change.host);
      }
    } else if (const auto* record = std::get_if<drs::ActionRecord>(&payload)) {
      add_action(subject, record->action.id);
    } else if (const auto* step = std::get_if<drs::Transition>(&payload)) {
      add_action(subject, step->action);
    } else if (const auto* command = std::get_if<Command>(&payload)) {
      subject.vms.insert(command->vm);
      subject.add(command->host, command->operation);
    } else if (const auto* signal = std::get_if<store::SignalInput>(&payload)) {
      if (!signal->push.vm.empty()) subject.vms.insert(signal->push.vm);
    } else if (const auto* outcome = std::get_if<ham::learning::Outcome>(&payload)) {
      subject.vms.insert(outcome->vm);
      add_action(subject, outcome->action);
    }
    return subject;
  }

  void add_action(Subject& subject, ActionId id) {
    const auto found = actions_.find(id);
    if (found != actions_.end()) {
      subject.add(found->second);
    } else {
      lacking_.insert(id);
    }
  }

  const HistoryFilter& filter_;
  std::map<ActionId, Subject> actions_;
  std::set<ActionId> lacking_;
};

using Numbers = std::vector<std::uint64_t>;

/// Visits the journal, newest first, for as long as somebody waits for the answer.
Status visit_tail(const store::Store& store, std::size_t depth, store::Allowance& allowance,
                  const std::function<bool(const store::JournalEntry&)>& visit) {
  Status wanted;
  const Status read = store.visit_journal_tail(depth, [&](const store::JournalEntry& entry) {
    wanted = allowance.go_on();
    return wanted && visit(entry);
  });
  return read ? wanted : read;
}

/// The newest entries, read deeper only if what is asked for is rare among them.
Result<Numbers> from_tail(const store::Store& store, const HistoryFilter& filter,
                          const std::vector<drs::ActionRecord>& known, store::Allowance& allowance) {
  for (std::size_t depth = std::max<std::size_t>(filter.limit, 200) * 10;; depth *= 10) {
    depth = std::min(depth, kHistoryEntriesMax);
    Matcher matcher(filter, known);
    std::size_t noted = 0;
    std::size_t seen = 0;
    std::uint64_t newest = std::numeric_limits<std::uint64_t>::max();  // of the first pass, while the journal grows
    if (matcher.asks_for_subjects()) {
      const Status read = visit_tail(store, depth, allowance, [&](const store::JournalEntry& entry) {
        if (noted++ == 0) newest = entry.lsn;
        matcher.note(entry);
        return true;
      });
      if (!read) return read.error();
    }
    Numbers kept;
    const Status read = visit_tail(store, depth, allowance, [&](const store::JournalEntry& entry) {
      ++seen;
      if (entry.lsn <= newest && matcher.matches(entry)) kept.push_back(entry.lsn);
      return kept.size() < filter.limit;
    });
    if (!read) return read.error();
    const bool enough = kept.size() >= filter.limit && !matcher.lacks_actions();
    const bool is_all = (matcher.asks_for_subjects() ? noted : seen) < depth;
    if (enough || is_all || depth == kHistoryEntriesMax) return kept;
  }
}

/// All entries of a time, however far back it lies.
Result<Numbers> from_range(const store::Store& store, const HistoryFilter& filter,
                           const std::vector<drs::ActionRecord>& known, store::Allowance& allowance) {
  const Timestamp from = filter.from.value_or(Timestamp{});
  const Timestamp to = filter.to.value_or(Timestamp::max());
  const auto read = [&](Matcher& matcher, std::deque<std::uint64_t>& kept) {
    Status wanted;
    store::Store::Visitor visitor;
    visitor.journal = [&](const store::JournalEntry& entry) {
      wanted = allowance.go_on();
      matcher.note(entry);
      if (!matcher.matches(entry)) return wanted.has_value();
      kept.push_back(entry.lsn);
      if (kept.size() > filter.limit) kept.pop_front();
      return wanted.has_value();
    };
    const Status scanned = store.scan(from, to, visitor);
    return scanned ? wanted : scanned;
  };
  Matcher matcher(filter, known);
  std::deque<std::uint64_t> kept;
  if (const Status done = read(matcher, kept); !done) return done.error();
  if (matcher.lacks_actions()) {  // they were intended before that time
    Matcher informed(filter, known);
    std::set<ActionId> lacking = matcher.lacking();
    const Status noted = visit_tail(store, kWholeJournal, allowance, [&](const store::JournalEntry& entry) {
      const auto learn = [&](const drs::ActionRecord& record) {
        if (lacking.erase(record.action.id) > 0) informed.note(record);
      };
      if (const auto* record = std::get_if<drs::ActionRecord>(&entry.payload)) learn(*record);
      if (const auto* started = std::get_if<store::Started>(&entry.payload)) {
        std::for_each(started->adopted.begin(), started->adopted.end(), learn);
      }
      return !lacking.empty();
    });
    if (!noted) return noted.error();
    kept.clear();
    if (const Status done = read(informed, kept); !done) return done.error();
  }
  return Numbers(kept.rbegin(), kept.rend());
}

/// Hexadecimal digits, 8-4-4-4-12.
bool is_uuid(const std::string& word) {
  if (word.size() != 36) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? word[i] != '-' : std::isxdigit(static_cast<unsigned char>(word[i])) == 0) return false;
  }
  return true;
}

/// measured: knows names of VMs that are gone; may be null.
Result<std::vector<VmId>> parse_vms(const std::vector<std::string>& words, const Snapshot& names,
                                    const store::SeriesReader* measured) {
  std::vector<VmId> vms;
  for (const std::string& word : words) {
    const std::size_t before = vms.size();
    if (names.state) {
      for (const ham::VmState& vm : names.state->vms) {
        if (vm.name == word || vm.id.value == word) vms.push_back(vm.id);
      }
    }
    if (vms.size() > before) continue;
    if (measured != nullptr) {
      for (const std::string& uuid : measured->selection().vms_named(word)) vms.emplace_back(uuid);
    }
    if (vms.size() > before) continue;
    if (!is_uuid(word)) {
      return Error{ErrorCode::kNotFound,
                   fmt::format("there is no VM '{}', nor was one measured; any is found by its UUID", word)};
    }
    vms.emplace_back(word);
  }
  return vms;
}

}  // namespace

const char* kind_of(const store::JournalPayload& payload) {
  return kKinds[payload.index()];
}

Result<HistoryFilter> parse_history(const Parameters& parameters, const Snapshot& names,
                                    const store::SeriesReader* measured, Timestamp now) {
  HistoryFilter filter;
  if (const std::vector<std::string> limit = parameters("limit"); !limit.empty()) {
    const std::string& text = limit.front();
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), filter.limit);
    if (error != std::errc{} || rest != text.data() + text.size() || filter.limit == 0 ||
        filter.limit > kHistoryEntriesMax) {
      return invalid(fmt::format("limit must be from 1 to {}", kHistoryEntriesMax));
    }
  }
  if (const std::vector<std::string> all = parameters("all"); !all.empty()) {
    if (all.front() != "1" && all.front() != "0") return invalid("all is 1 or 0");
    filter.all = all.front() == "1";
  }
  for (const char* name : {"from", "to"}) {
    const std::vector<std::string> text = parameters(name);
    if (text.empty()) continue;
    const Result<Timestamp> time = parse_time(text.front(), now);
    if (!time) return time.error();
    (std::string_view(name) == "from" ? filter.from : filter.to) = *time;
  }
  if (filter.from && filter.to) {
    if (const Status good = check_range(*filter.from, *filter.to); !good) return good.error();
  }
  filter.kinds = parameters("kind");
  for (const std::string& kind : filter.kinds) {
    if (contains(kKinds, kind)) continue;
    std::string known;
    for (const char* one : kKinds) known += (known.empty() ? "" : ", ") + std::string(one);
    return invalid(fmt::format("'{}' is no kind of entry: {}", kind, known));
  }
  Result<std::vector<VmId>> vms = parse_vms(parameters("vm"), names, measured);
  if (!vms) return vms.error();
  filter.vms = std::move(*vms);
  for (const std::string& host : parameters("host")) filter.hosts.emplace_back(host);
  return filter;
}

Result<std::vector<std::uint64_t>> find_history(const store::Store& store, const HistoryFilter& filter,
                                                const std::vector<drs::ActionRecord>& known,
                                                store::Allowance& allowance) {
  return filter.from || filter.to ? from_range(store, filter, known, allowance)
                                  : from_tail(store, filter, known, allowance);
}

Status check_hosts(const store::Store& store, const HistoryFilter& filter, const Snapshot& names,
                   store::Allowance& allowance) {
  for (const HostId& host : filter.hosts) {
    if (names.state && names.state->find_host(host) != nullptr) continue;
    if (store.series() != nullptr && store.series()->selection().check_names({host}, {})) continue;
    HistoryFilter any;
    any.limit = 1;
    any.all = true;
    any.from = filter.from;
    any.to = filter.to;
    any.hosts = {host};
    const Result<Numbers> numbers = find_history(store, any, names.actions, allowance);
    if (!numbers) return numbers.error();
    if (numbers->empty()) {
      return Error{ErrorCode::kNotFound, fmt::format("there is no host '{}', and nothing is told of one", host.value)};
    }
  }
  return {};
}

}  // namespace proteus::api
