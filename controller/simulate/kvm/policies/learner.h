#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "controller/ham/decision.h"
#include "controller/ham/learning/agent.h"
#include "controller/ham/policy.h"
#include "controller/simulate/kvm/policies/ids.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// Feeds a learning agent with what the simulated cluster lets be observed of moves: what VMs got done, tick by tick,
/// while they moved and for as long after as the outlook reaches. Every migration counts, whatever it was for; balloon
/// targets, which are set all the time, are no actions to it. Thread: owned by one.
class Learner {
 public:
  using Told = std::function<void(const ham::learning::Outcome&)>;
  /// The agent may have learned from other weeks. told: of each outcome; may be empty.
  explicit Learner(std::shared_ptr<ham::learning::Agent> agent, Told told = {});

  const ham::learning::Agent& agent() const { return *agent_; }
  /// What the last tick came to, into the state; VMs without samples are left out.
  static void add_served(const Console& console, const Ids& ids, ham::ClusterState& state);

  // Once a step, in this order:
  void before(const Console& console, const ham::ClusterState& state, const ham::Policy& policy);
  void decided(const ham::Decision& decision) { agent_->on_decision(decision); }
  /// A migration of the decision has begun.
  void moving(int vm, int target, ham::Action action, const ham::ClusterState& state, std::uint64_t decision);

 private:
  struct Move {
    ActionId action = 0;
    int target = kNever;
  };
  std::shared_ptr<ham::learning::Agent> agent_;
  Told told_;
  std::map<int, Move> moves_;  ///< by VM
  ActionId next_action_ = 1;
};

}  // namespace proteus::simulate::kvm
