#include "controller/profile/isotonic.h"

#include <cstddef>

namespace proteus::profile {

std::vector<double> pool_adjacent_violators(std::span<const double> values, std::span<const double> weights) {
  struct Pool {
    double mean;
    double weight;
    std::size_t count;
  };
  std::vector<Pool> pools;
  pools.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    Pool pool{values[i], weights[i], 1};
    while (!pools.empty() && pools.back().mean > pool.mean) {
      const Pool& left = pools.back();
      const double weight = left.weight + pool.weight;
      pool = {(left.mean * left.weight + pool.mean * pool.weight) / weight, weight, left.count + pool.count};
      pools.pop_back();
    }
    pools.push_back(pool);
  }
  std::vector<double> monotone;
  monotone.reserve(values.size());
  for (const Pool& pool : pools) monotone.insert(monotone.end(), pool.count, pool.mean);
  return monotone;
}

}  // namespace proteus::profile
