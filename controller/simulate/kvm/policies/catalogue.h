#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// The policies' names, for people: "none, threshold, …".
std::string policy_names();

/// After a policy's name: with helpers beside it (helper_policy.h).
inline constexpr std::string_view kWithHelpers = "+helpers";

/// The policy of that name. workload: for the one that sees the future. Errors: kInvalidArgument for another name.
Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const Workload& workload);

}  // namespace proteus::simulate::kvm
