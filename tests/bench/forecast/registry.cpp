#include "tests/bench/forecast/registry.h"

#include <iterator>

#include "tests/bench/forecast/baselines.h"

namespace proteus::bench {

std::vector<ContenderKind> contenders() {
  std::vector<ContenderKind> all = baselines();
  return all;
}

}  // namespace proteus::bench
