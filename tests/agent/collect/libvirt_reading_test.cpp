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
  const auto read = read_statistics(*domains);
  ASSERT_TRUE(read) << read.error().message;
  for (const Domain& domain : *domains) EXPECT_TRUE(read->contains(domain_id(domain.get())));
}

TEST(ReadStates, TellsThemAlsoIfTheCallForAllFails) {
  const auto mine = connect("test:///default");
  const auto other = connect("test:///default");
  ASSERT_TRUE(mine && other);
  auto domains = active_domains(mine->get());
  auto strangers = active_domains(other->get());
  ASSERT_TRUE(domains && strangers);
  ASSERT_FALSE(domains->empty() || strangers->empty());
  const VmId id = domain_id(domains->front().get());
  const auto told = [&id](const std::vector<Domain>& listed) {
    std::map<VmId, VmFacts> vms;
    vms[id].memory_dirty_bytes_per_s = 7;
    const Status read = read_states(listed, vms);
    EXPECT_TRUE(read) << read.error().message;
    return vms.at(id);
  };
  EXPECT_EQ(told(*domains).state, VIR_DOMAIN_RUNNING);
  EXPECT_EQ(told(*domains).memory_dirty_bytes_per_s, 7);
  ASSERT_EQ(virDomainSuspend(domains->front().get()), 0);
  EXPECT_EQ(told(*domains).state, VIR_DOMAIN_PAUSED);
  EXPECT_EQ(told(*domains).memory_dirty_bytes_per_s, std::nullopt);
  // libvirt refuses one call for domains of two connections
  for (Domain& stranger : *strangers) domains->push_back(std::move(stranger));
  EXPECT_EQ(told(*domains).state, VIR_DOMAIN_PAUSED);
}

}  // namespace
}  // namespace proteus::collect
