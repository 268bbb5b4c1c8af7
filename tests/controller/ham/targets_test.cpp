#include "controller/ham/search/targets.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/controller/ham/cluster.h"

namespace proteus::ham {
namespace {

/// 20 small hosts whose VMs use little, 20 large ones whose VMs use more; the first small one's memory is all given
/// away.
TEST(Targets, InALargeClusterAreTheLeastUsedOfEachKindInTurn) {
  Cluster cluster;
  const auto fill = [&](const std::string& host, double cores, std::int64_t memory_bytes) {
    set_flat_cpu(cluster.vm("on-" + host, host, 8, -1, memory_bytes), cluster.state.now, cores);
  };
  for (int i = 0; i < 20; ++i) {
    const std::string number = std::to_string(10 + i);
    cluster.host("small" + number, 8);
    fill("small" + number, 0.1 + 0.1 * i, i == 0 ? 63 * kGiB : kGiB);
    cluster.host("large" + number, 16);
    fill("large" + number, 4 + 0.1 * i, kGiB);
  }
  const ClusterState& state = cluster.ready();
  const Policy policy = eager_policy();
  const ClusterModel model(state, policy);
  PlanState plan(model);
  const Workspace workspace(plan, 1);
  ASSERT_FALSE(workspace.thorough);
  std::vector<std::string> tried;
  const std::size_t vm = static_cast<std::size_t>(
      std::find_if(state.vms.begin(), state.vms.end(), [](const VmState& v) { return v.id.value == "on-small29"; }) -
      state.vms.begin());
  Targets(workspace).for_each(vm, [&](std::size_t host) {
    tried.push_back(state.hosts[host].id.value);
    return tried.size() < 6;
  });
  EXPECT_EQ(tried, (std::vector<std::string>{"large10", "small11", "large11", "small12", "large12", "small13"}));
}

}  // namespace
}  // namespace proteus::ham
