#include "controller/simulate/kvm/policies/catalogue.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "common/toml_document.h"
#include "controller/simulate/kvm/policies/checked_source.h"
#include "controller/simulate/kvm/policies/forecast_source.h"
#include "controller/simulate/kvm/policies/ham_policy.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"
#include "controller/simulate/kvm/policies/packing.h"
#include "controller/simulate/kvm/policies/threshold.h"

namespace proteus::simulate::kvm {
namespace {

constexpr std::string_view kLearning = "proteus-learning";
constexpr std::string_view kExploring = "proteus-exploring";
constexpr std::string_view kPolicyFile = ".toml";
constexpr double kForecastWeight = 0.3;

std::unique_ptr<Policy> proteus(std::unique_ptr<OutlookSource> source) {
  return std::make_unique<HamPolicy>(std::move(source), HamOptions{});
}

std::unique_ptr<Policy> packing(PackingRules rules) {
  return std::make_unique<PackingPolicy>(rules);
}

std::unique_ptr<OutlookSource> recent() {
  return std::make_unique<RecentPaths>(RecentWeights{});
}

/// A baseline whose outlook is one hour and says nothing of what comes after.
std::unique_ptr<Policy> baseline(std::unique_ptr<OutlookSource> source) {
  HamOptions options;
  options.limits.gain_floor /= static_cast<double>(options.limits.payback / std::chrono::hours(1));
  options.limits.payback = std::chrono::hours(1);
  return std::make_unique<HamPolicy>(std::move(source), options);
}

struct Entry {
  std::string_view name;
  std::unique_ptr<Policy> (*make)(const Workload& workload);
};

constexpr std::array kEntries = {
    Entry{"none", [](const Workload&) -> std::unique_ptr<Policy> { return std::make_unique<StayPolicy>(); }},
    Entry{"threshold", [](const Workload&) -> std::unique_ptr<Policy> { return std::make_unique<ThresholdPolicy>(); }},
    Entry{"mfped", [](const Workload&) { return packing(mfped_rules()); }},
    Entry{"peakday", [](const Workload&) { return packing(peak_day_rules()); }},
    Entry{"search-naive", [](const Workload&) { return baseline(std::make_unique<LastSample>()); }},
    Entry{"search-hour", [](const Workload&) { return baseline(std::make_unique<LastHour>()); }},
    Entry{"oracle", [](const Workload& w) { return baseline(std::make_unique<NextHour>(w)); }},
    Entry{"proteus-rules", [](const Workload&) { return proteus(recent()); }},
    Entry{"proteus",
          [](const Workload&) {
            return proteus(
                std::make_unique<CheckedSource>(std::make_unique<RecentPaths>(RecentWeights{}),
                                                std::make_unique<ForecastSource>(kForecastWeight, RecentWeights{})));
          }},
};

/// The operator's own policy, in place of the benchmark's bill.
Result<std::unique_ptr<Policy>> policy_of_file(const std::string& file) {
  const Result<std::string> text = read_config_file(file);
  if (!text) return text.error();
  Result<ham::Policy> policy = ham::parse_policy(*text, file);
  if (!policy) return policy.error();
  HamOptions options;
  options.policy = std::move(*policy);
  return std::unique_ptr<Policy>(std::make_unique<HamPolicy>(recent(), std::move(options)));
}

}  // namespace

Result<std::shared_ptr<ham::learning::Agent>> learning_agent(std::string_view name) {
  const std::size_t end = name.find('=');
  const std::string_view base = name.substr(0, end);
  if (base != kLearning && base != kExploring) return std::shared_ptr<ham::learning::Agent>();
  auto agent = std::make_shared<ham::learning::Agent>();
  agent->explore(base == kExploring);
  if (end == std::string_view::npos) return agent;
  const std::string file(name.substr(end + 1));
  const Result<std::string> bytes = read_config_file(file);
  if (!bytes) return bytes.error();
  if (Status read = agent->restore(*bytes); !read) return with_context(read.error(), file);
  return agent;
}

std::unique_ptr<Policy> make_learning_policy(std::shared_ptr<ham::learning::Agent> agent, Learner::Told told) {
  return std::make_unique<HamPolicy>(recent(), HamOptions{}, Learner(std::move(agent), std::move(told)));
}

Status use_helpers(Policy& policy, std::string_view name) {
  if (policy.use_helpers()) return {};
  return Error{ErrorCode::kInvalidArgument, "policy '" + std::string(name) + "' knows of no helpers"};
}

std::string policy_names() {
  std::string names;
  for (const Entry& entry : kEntries) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names + ", " + std::string(kLearning) + "[=MODEL], " + std::string(kExploring) +
         "[=MODEL], or a policy file (FILE" + std::string(kPolicyFile) + ")";
}

Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const Workload& workload) {
  if (name.ends_with(kWithHelpers)) {
    Result<std::unique_ptr<Policy>> policy = make_policy(name.substr(0, name.size() - kWithHelpers.size()), workload);
    if (!policy) return policy.error();
    if (Status used = use_helpers(**policy, name); !used) return used.error();
    return policy;
  }
  Result<std::shared_ptr<ham::learning::Agent>> agent = learning_agent(name);
  if (!agent) return agent.error();
  if (*agent != nullptr) return make_learning_policy(std::move(*agent));
  if (name.ends_with(kPolicyFile)) return policy_of_file(std::string(name));
  const auto* const entry =
      std::find_if(kEntries.begin(), kEntries.end(), [&](const Entry& e) { return e.name == name; });
  if (entry == kEntries.end()) {
    return Error{ErrorCode::kInvalidArgument, "no policy is called '" + std::string(name) + "': " + policy_names()};
  }
  return entry->make(workload);
}

}  // namespace proteus::simulate::kvm
