#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "controller/simulate/kvm/policies/ham_policy.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"

namespace proteus::simulate::kvm {

/// What the policy `proteus-rules` decides by; as made, what is in force.
struct Setup {
  HamOptions ham;
  RecentWeights recent;
};

using Member = std::variant<double ham::Prices::*, double ham::Limits::*, Nanoseconds ham::Limits::*,
                            int ham::Limits::*, double RecentWeights::*>;

struct Parameter {
  std::string_view name;
  std::vector<double> values;  ///< to be tried; durations in hours
  Member member;
};

const std::vector<Parameter>& parameters();

/// False: it had that value.
bool set(Setup& setup, const Parameter& parameter, double value);
/// text: NAME=VALUE. False: it is none.
bool set(Setup& setup, std::string_view text);
/// All parameters, NAME=VALUE with spaces between.
std::string describe(const Setup& setup);

}  // namespace proteus::simulate::kvm
