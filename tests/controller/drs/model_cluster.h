#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/command.h"

namespace proteus::drs {

/// Random numbers of one seed.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  bool chance(double probability) { return std::uniform_real_distribution<>(0, 1)(engine_) < probability; }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
  }
  Nanoseconds milliseconds(std::int64_t low, std::int64_t high) {
    return std::chrono::milliseconds(between(low, high));
  }

 private:
  std::mt19937_64 engine_;
};

/// A domain's copy on one host.
struct Copy {
  bool running = true;
  DomainObservation values;
};

/// The hypervisors of a small cluster: domains, and migrations that go on whether or not an agent looks.
/// A migration: the target's copy appears paused a moment after the start; at the end the source pauses, then
/// the target runs, then the source's copy goes. A failed one leaves the target's copy for a moment longer.
class ModelHypervisors {
 public:
  struct Job {
    VmId vm;
    HostId source;
    HostId target;
    ActionId action = 0;
    Timestamp prepare;  ///< target's copy appears
    Timestamp end;      ///< transfer done: switch over, or fail
    Timestamp next;     ///< of the next phase below
    bool fails = false;
    enum class Phase { kTransfer, kSwitch, kCleanSource, kCleanTarget } phase = Phase::kTransfer;
    std::function<void(bool moved)> done;  ///< tells the agent, if it still is the one that started it
  };

  std::map<HostId, std::map<VmId, Copy>> hosts;
  std::map<VmId, Job> jobs;
  std::map<VmId, bool> destroyed;

  const Copy* find(const HostId& host, const VmId& vm) const;
  Copy* find(const HostId& host, const VmId& vm);
  bool migrate(const HostId& source, const VmId& vm, const HostId& target, ActionId action, Dice& dice, Timestamp now,
               std::function<void(bool)> done);
  void abort(const VmId& vm, Timestamp now);
  void destroy(const VmId& vm);
  void advance(Timestamp now);
  int running_count(const VmId& vm) const;
  int active_count(const VmId& vm) const;
};

/// An agent that keeps the rules of common/command.h.
class ModelAgent {
 public:
  ModelAgent(HostId host, bool keeps_ids, ModelHypervisors& hypervisors, Dice& dice)
      : host_(std::move(host)), keeps_ids_(keeps_ids), hypervisors_(hypervisors), dice_(dice) {}

  void on_command(const Command& command, Timestamp now);
  void advance(Timestamp now);
  void restart(Timestamp now);
  bool holds_reservation(ActionId action) const { return reservations_.contains(action); }
  bool holds_reservations() const { return !reservations_.empty(); }

  std::vector<Update> outbox;         ///< taken by the link
  int started_twice = 0;              ///< commands whose work began a second time
  std::vector<std::string> overlaps;  ///< VMs on which work began while other work on them went on

 private:
  struct Work {
    Command command;
    Timestamp due;              ///< a reshape's end, a migration's next word
    std::optional<bool> moved;  ///< a migration's end
  };
  void say(const Command& command, CommandState state, std::string message, Timestamp now, bool observe = false);
  std::string obstacle(const Command& command, Timestamp now) const;
  void execute(const Command& command, Timestamp now);
  void finish_reshape(const Command& command, Timestamp now);
  void set(const Command& command, std::int64_t value);

  std::set<std::uint64_t> started_;  ///< the test's own memory; survives restarts
  HostId host_;
  bool keeps_ids_;
  ModelHypervisors& hypervisors_;
  Dice& dice_;
  std::uint64_t life_ = 1;
  Timestamp started_at_{};
  Term term_ = 0;
  std::map<std::uint64_t, Update> known_;
  std::map<ActionId, Timestamp> reservations_;  ///< to when each lapses
  std::map<std::uint64_t, Work> reshapes_;
  std::map<std::uint64_t, Work> migrations_;
};

}  // namespace proteus::drs
