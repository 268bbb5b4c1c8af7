#include "controller/simulate/kvm/policies/catalogue.h"

#include <algorithm>
#include <array>

#include "controller/simulate/kvm/policies/forecast_source.h"
#include "controller/simulate/kvm/policies/learned_response.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"
#include "controller/simulate/kvm/policies/search_policy.h"
#include "controller/simulate/kvm/policies/threshold.h"
#include "controller/simulate/kvm/policies/true_response.h"

namespace proteus::simulate::kvm {
namespace {

constexpr double kForecastWeight = 0.3;

std::unique_ptr<Policy> proteus(std::unique_ptr<OutlookSource> source) {
  return std::make_unique<SearchPolicy>(std::move(source), std::make_unique<LearnedResponse>(), SearchOptions{});
}

/// A baseline that knows the simulator's formulas. Its outlook is one hour and says nothing of what comes after.
std::unique_ptr<Policy> baseline(std::unique_ptr<OutlookSource> source, const Workload& workload) {
  SearchOptions options;
  options.payback_h = 1;
  return std::make_unique<SearchPolicy>(std::move(source), std::make_unique<TrueResponse>(workload), options);
}

struct Entry {
  std::string_view name;
  std::unique_ptr<Policy> (*make)(const Workload& workload);
};

constexpr std::array kEntries = {
    Entry{"none", [](const Workload&) -> std::unique_ptr<Policy> { return std::make_unique<StayPolicy>(); }},
    Entry{"threshold", [](const Workload&) -> std::unique_ptr<Policy> { return std::make_unique<ThresholdPolicy>(); }},
    Entry{"search-hour", [](const Workload& w) { return baseline(std::make_unique<LastHour>(), w); }},
    Entry{"oracle", [](const Workload& w) { return baseline(std::make_unique<NextHour>(w), w); }},
    Entry{"proteus-rules", [](const Workload&) { return proteus(std::make_unique<RecentPaths>(RecentWeights{})); }},
    Entry{"proteus",
          [](const Workload&) { return proteus(std::make_unique<ForecastSource>(kForecastWeight, RecentWeights{})); }},
};

}  // namespace

std::string policy_names() {
  std::string names;
  for (const Entry& entry : kEntries) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const Workload& workload) {
  const auto* const entry =
      std::find_if(kEntries.begin(), kEntries.end(), [&](const Entry& e) { return e.name == name; });
  if (entry == kEntries.end()) {
    return Error{ErrorCode::kInvalidArgument, "no policy is called '" + std::string(name) + "': " + policy_names()};
  }
  return entry->make(workload);
}

}  // namespace proteus::simulate::kvm
