#pragma once

#include <string>

#include "controller/ham/search/search.h"

namespace proteus::ham {

/// "migrate web1 h1 -> h2", "raise cpu quota web1 0.40 -> 0.95 cores"; several joined by ", then ".
std::string label_of(const PlanState& plan, const Change& change);

/// Why the option's change is made, in one sentence with figures; `plan` as it is before the change.
std::string reason_of(const PlanState& plan, const Option& option, const Change& change, const Evaluation& evaluation);

/// What a move's reason ends with if it pays only together with others: " it belongs to a rearrangement that …".
std::string exchange_reason(double gain);

/// Which hard rule the VM breaks where it is; empty: none.
std::string broken_rule(const PlanState& plan, std::size_t vm);

/// Seconds and milliseconds as people say them: "18 s", "4.1 s", "2.5 min".
std::string say_seconds(double seconds);
/// An amount of currency per hour: "31.2/h", "0.05/h".
std::string say_rate(double per_hour);

}  // namespace proteus::ham
