#include "controller/simulate/kvm/policies/catalogue.h"

#include <algorithm>
#include <array>

#include "controller/simulate/kvm/policies/forecast_source.h"
#include "controller/simulate/kvm/policies/ham_policy.h"
#include "controller/simulate/kvm/policies/mfped.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"
#include "controller/simulate/kvm/policies/search_policy.h"
#include "controller/simulate/kvm/policies/threshold.h"
#include "controller/simulate/kvm/policies/true_response.h"

namespace proteus::simulate::kvm {
namespace {

template <typename Source, typename Model>
std::unique_ptr<Policy> search(std::unique_ptr<Source> source, std::unique_ptr<Model> response) {
  return std::make_unique<SearchPolicy>(std::move(source), std::move(response), SearchOptions{});
}

template <typename Source>
std::unique_ptr<Policy> decider(std::unique_ptr<Source> source) {
  return std::make_unique<HamPolicy>(std::move(source), default_ham_options());
}

struct Entry {
  std::string_view name;
  std::unique_ptr<Policy> (*make)(const Workload& workload);
};

constexpr std::array kEntries = {
    Entry{"none", [](const Workload&) -> std::unique_ptr<Policy> { return std::make_unique<StayPolicy>(); }},
    Entry{"threshold", [](const Workload&) -> std::unique_ptr<Policy> { return std::make_unique<ThresholdPolicy>(); }},
    Entry{"mfped", [](const Workload&) -> std::unique_ptr<Policy> { return std::make_unique<MfpedPolicy>(); }},
    Entry{"search-hour",
          [](const Workload& w) { return search(std::make_unique<LastHour>(), std::make_unique<TrueResponse>(w)); }},
    Entry{"oracle",
          [](const Workload& w) { return search(std::make_unique<NextHour>(w), std::make_unique<TrueResponse>(w)); }},
    Entry{"proteus-rules", [](const Workload&) { return decider(std::make_unique<LastHour>()); }},
    Entry{"proteus",
          [](const Workload&) { return decider(std::make_unique<ForecastSource>(ForecastSource::Weights{})); }},
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
