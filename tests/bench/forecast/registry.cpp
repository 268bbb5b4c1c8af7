#include "tests/bench/forecast/registry.h"

#include <system_error>
#include <utility>

#include "tests/bench/forecast/baselines.h"
#include "tests/bench/forecast/global_contenders.h"

namespace proteus::bench {

std::vector<ContenderKind> contenders(const std::filesystem::path& weights) {
  std::vector<ContenderKind> all = baselines();
  if (std::error_code none; std::filesystem::exists(weights, none)) {
    for (ContenderKind& kind : global_contenders(weights)) all.push_back(std::move(kind));
  }
  return all;
}

}  // namespace proteus::bench
