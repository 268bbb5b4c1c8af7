#pragma once

#include <cstdint>

#include "tests/controller/ham/cluster.h"

namespace proteus::ham {

/// A cluster and a policy with every kind of rule and obstacle, all flat demand, so that what a host needs can be
/// worked out here in another way than the search does.
struct World {
  Cluster cluster;
  Policy policy = eager_policy();
};

World random_world(std::uint32_t seed);

}  // namespace proteus::ham
