#include "controller/simulate/kvm/policies/catalogue.h"

#include <algorithm>
#include <array>

#include "controller/simulate/kvm/policies/threshold.h"

namespace proteus::simulate::kvm {
namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<Policy> (*make)(const Workload& workload);
};

constexpr std::array kEntries = {
    Entry{"none", [](const Workload&) -> std::unique_ptr<Policy> { return std::make_unique<StayPolicy>(); }},
    Entry{"threshold", [](const Workload&) -> std::unique_ptr<Policy> { return std::make_unique<ThresholdPolicy>(); }},
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
