#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "controller/simulate/kvm/workload.h"

namespace proteus::simulate::kvm {

/// Weeks of the KVM-cluster benchmark, and the traces that they point to.
struct Weeks {
  std::unique_ptr<const Traces> traces;
  std::vector<Workload> list;
  std::uint64_t first_seed = 1;  ///< of list[0]; then one after the other
};

/// The weeks of seeds `first` to `last`, as a command line has them. Errors: those of read_traces() and generate();
/// kInvalidArgument for what is no range of seeds.
Result<Weeks> read_weeks(const std::string& folder, std::string_view scenario, std::string_view first,
                         std::string_view last);

}  // namespace proteus::simulate::kvm
