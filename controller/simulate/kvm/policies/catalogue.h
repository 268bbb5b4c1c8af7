#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"
#include "controller/ham/learning/agent.h"
#include "controller/simulate/kvm/policies/learner.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// The policies' names, for people: "none, threshold, …".
std::string policy_names();

/// After the name of a policy that decides of helpers: with them (Policy::use_helpers).
inline constexpr std::string_view kWithHelpers = "+helpers";

/// The policy of that name. workload: for the one that sees the future. Errors: kInvalidArgument for another name, or
/// for helpers of a policy that knows of none.
Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const Workload& workload);

/// Lets the policy use helpers. Errors: kInvalidArgument: it knows of none.
Status use_helpers(Policy& policy, std::string_view name);

/// The agent of `proteus-learning`, which has learned nothing yet, of `proteus-learning=FILE`, which goes on from a
/// model that `proteusctl learning train` wrote, or of `proteus-exploring`, likewise; null: another policy.
/// Errors: the file's.
Result<std::shared_ptr<ham::learning::Agent>> learning_agent(std::string_view name);

/// Proteus with rules and learning. told: of each outcome; may be empty.
std::unique_ptr<Policy> make_learning_policy(std::shared_ptr<ham::learning::Agent> agent, Learner::Told told = {});

}  // namespace proteus::simulate::kvm
