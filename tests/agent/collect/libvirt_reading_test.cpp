#include "agent/collect/libvirt_reading.h"

#include <gtest/gtest.h>

namespace proteus::collect {
namespace {

TEST(ReadStatistics, ADomainThatFailsTheCallForAllDoesNotKeepTheOthersFromBeingRead) {
  const auto mine = connect("test:///default");
  const auto other = connect("test:///default");
  ASSERT_TRUE(mine && other);
  auto domains = active_domains(mine->get());
  auto strangers = active_domains(other->get());
  ASSERT_TRUE(domains && strangers);
  ASSERT_FALSE(domains->empty() || strangers->empty());
  // libvirt refuses one call for domains of two connections
  for (Domain& stranger : *strangers) domains->push_back(std::move(stranger));
  std::map<VmId, VmFacts> vms;
  for (const Domain& domain : *domains) vms[domain_id(domain.get())].state = -1;
  const Status read = read_statistics(*domains, vms);
  EXPECT_TRUE(read) << read.error().message;
  for (const auto& [id, facts] : vms) EXPECT_NE(facts.state, -1) << id.value;
}

}  // namespace
}  // namespace proteus::collect
