#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "controller/drs/executor.h"
#include "on_the_wire.h"

namespace proteus::drs {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using enum ActionState;

inline const HostId kH1("h1");
inline const HostId kH2("h2");
inline const VmId kVm = vm_id(1);

inline ham::Action quota(std::int64_t from_us, std::int64_t to_us, const VmId& vm = kVm) {
  ham::Action action;
  action.vm = vm;
  action.host = kH1;
  action.operation = SetCpuQuota{to_us, 100000};
  action.present_value = from_us;
  action.automation = ham::Automation::kAutomatic;
  return action;
}

inline ham::Action move(const VmId& vm = kVm) {
  ham::Action action;
  action.vm = vm;
  action.host = kH1;
  Migrate migrate;
  migrate.target = kH2;
  action.operation = migrate;
  action.reserve = {2 * kGiB, 1500};
  action.automation = ham::Automation::kAutomatic;
  return action;
}

inline DomainObservation runs(std::int64_t quota_us = 50000) {
  return {true, true, 2, quota_us, 100000, 1024, kGiB};
}
inline DomainObservation paused() {
  return {true, false, 2, 50000, 100000, 1024, kGiB};
}
inline DomainObservation absent() {
  return {};
}

/// An executor, what it has put out, and short words for what agents say.
class ExecutorTest : public ::testing::Test {
 protected:
  void put(Output out) {
    for (ActionRecord& record : out.new_actions) journal_[record.action.id] = record;
    for (const Transition& transition : out.transitions) {
      const Status applied = apply(journal_.at(transition.action), transition);
      ASSERT_TRUE(applied) << applied.error().message;
    }
    sent_ = std::move(out.commands);
    for (const Command& command : sent_) expect_arrives(command);
    all_.insert(all_.end(), sent_.begin(), sent_.end());
  }
  void take(std::vector<ham::Action> actions, std::uint64_t decision = 1) {
    put(executor_.take(decision, now_ - milliseconds(300), std::move(actions), now_));
  }
  void tick(Nanoseconds later) {
    now_ += later;
    put(executor_.on_tick(now_, [this](const HostId& host) { return !unreachable_.contains(host); }));
  }
  void say(const Command& command, CommandState state, std::string message = "",
           std::optional<DomainObservation> seen = std::nullopt) {
    put(executor_.on_update(word(command, state, std::move(message), std::move(seen)), now_));
  }
  bool awaits(const Command& command, CommandState state) const { return executor_.awaits(word(command, state), now_); }
  Update word(const Command& command, CommandState state, std::string message = "",
              std::optional<DomainObservation> seen = std::nullopt) const {
    Update update;
    update.command = command.id;
    update.action = command.action;
    update.term = command.term;
    update.host = command.host;
    update.vm = command.vm;
    update.state = state;
    update.time = now_ + seconds(1);  // this host's clock is ahead
    update.message = std::move(message);
    update.observed = std::move(seen);
    return update;
  }
  /// Answers the questions that left last, by host.
  void observe(const std::map<HostId, DomainObservation>& truth) {
    for (const Command& question : std::vector<Command>(sent_)) {
      if (std::holds_alternative<Inspect>(question.operation)) {
        say(question, CommandState::kSucceeded, "", truth.at(question.host));
      }
    }
  }
  template <typename Kind>
  const Command* latest() const {
    for (auto it = all_.rbegin(); it != all_.rend(); ++it) {
      if (std::holds_alternative<Kind>(it->operation)) return &*it;
    }
    return nullptr;
  }
  template <typename Kind>
  Command the() const {
    const Command* command = latest<Kind>();
    EXPECT_NE(command, nullptr);
    return command == nullptr ? Command{} : *command;
  }
  template <typename Kind>
  int count() const {
    int n = 0;
    for (const Command& command : all_) n += std::holds_alternative<Kind>(command.operation) ? 1 : 0;
    return n;
  }
  const ActionRecord& action(ActionId id = 1) const { return executor_.actions().at(id); }
  /// Up to a migration that its agent says is running.
  void start_move() {
    take({move()});
    say(the<Reserve>(), CommandState::kSucceeded);
    say(the<Migrate>(), CommandState::kAccepted);
    say(the<Migrate>(), CommandState::kRunning);
  }
  /// A new controller, which knows what the journal holds.
  void restart() {
    std::vector<ActionRecord> open;
    for (const auto& [id, record] : journal_) {
      if (!is_final(record.state)) open.push_back(record);
    }
    executor_ = Executor({.controller = "c2"}, 2, 100, 1000);
    executor_.adopt(std::move(open));
  }

  Timestamp now_ = from_unix_ns(1'700'000'000'000'000'000);
  Executor executor_{{.controller = "c1"}, 1, 1, 1};
  std::set<HostId> unreachable_;
  std::map<ActionId, ActionRecord> journal_;
  std::vector<Command> sent_;  ///< by the last call
  std::vector<Command> all_;
};

}  // namespace proteus::drs
