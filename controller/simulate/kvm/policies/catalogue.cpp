#include "controller/simulate/kvm/policies/catalogue.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "controller/simulate/kvm/policies/checked_source.h"
#include "controller/simulate/kvm/policies/forecast_source.h"
#include "controller/simulate/kvm/policies/ham_policy.h"
#include "controller/simulate/kvm/policies/helper_policy.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"
#include "controller/simulate/kvm/policies/threshold.h"

namespace proteus::simulate::kvm {
namespace {

constexpr double kForecastWeight = 0.3;

std::unique_ptr<Policy> proteus(std::unique_ptr<OutlookSource> source) {
  return std::make_unique<HamPolicy>(std::move(source), HamOptions{});
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
    Entry{"search-hour", [](const Workload&) { return baseline(std::make_unique<LastHour>()); }},
    Entry{"oracle", [](const Workload& w) { return baseline(std::make_unique<NextHour>(w)); }},
    Entry{"proteus-rules", [](const Workload&) { return proteus(std::make_unique<RecentPaths>(RecentWeights{})); }},
    Entry{"proteus",
          [](const Workload&) {
            return proteus(
                std::make_unique<CheckedSource>(std::make_unique<RecentPaths>(RecentWeights{}),
                                                std::make_unique<ForecastSource>(kForecastWeight, RecentWeights{})));
          }},
};

}  // namespace

std::string policy_names() {
  std::string names;
  for (const Entry& entry : kEntries) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const Workload& workload) {
  if (name.ends_with(kWithHelpers)) {
    Result<std::unique_ptr<Policy>> policy = make_policy(name.substr(0, name.size() - kWithHelpers.size()), workload);
    if (!policy) return policy.error();
    return std::unique_ptr<Policy>(std::make_unique<HelperPolicy>(std::move(*policy)));
  }
  const auto* const entry =
      std::find_if(kEntries.begin(), kEntries.end(), [&](const Entry& e) { return e.name == name; });
  if (entry == kEntries.end()) {
    return Error{ErrorCode::kInvalidArgument, "no policy is called '" + std::string(name) + "': " + policy_names()};
  }
  return entry->make(workload);
}

}  // namespace proteus::simulate::kvm
