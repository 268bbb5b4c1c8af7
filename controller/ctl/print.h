#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

/// The API's answers as text for people.
namespace proteus::ctl {

using Json = nlohmann::ordered_json;

/// UUID to name, from the answer of /v1/vms; a UUID without a name stays as it is.
using VmNames = std::map<std::string, std::string>;
VmNames vm_names(const Json& vms);

std::string print_status(const Json& status);
std::string print_hosts(const Json& hosts);
std::string print_vms(const Json& vms);
std::string print_forecast(const Json& outlook);
/// How forecasts have turned out, by series and lead. every_model: also of those that are not chosen.
std::string print_accuracy(const Json& series, bool every_model);
std::string print_plan(const Json& plan, const VmNames& names);
/// One decision: what was chosen and why, as a sum of score terms, beside doing nothing and the alternatives.
std::string print_decision(const Json& decision, const VmNames& names);
/// One action with its life so far, and its decision if the answer has one.
std::string print_action(const Json& action, const VmNames& names);
/// entries: newest first, as the API gives them; printed oldest first.
std::string print_history(const Json& entries, const VmNames& names);

/// "set_cpu_quota 80000/100000 µs" and the like.
std::string describe_operation(const Json& operation);

}  // namespace proteus::ctl
