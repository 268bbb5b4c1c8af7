#include "agent/collect/libvirt_reading.h"

#include <gtest/gtest.h>

namespace proteus::collect {
namespace {

/// Domains of two connections, for which libvirt refuses one call.
class TwoConnections : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(mine && other);
    ASSERT_TRUE(domains && strangers);
    ASSERT_FALSE(domains->empty() || strangers->empty());
  }
  const Result<Connection> mine = connect("test:///default");
  const Result<Connection> other = connect("test:///default");
  Result<std::vector<Domain>> domains = active_domains(mine->get());
  Result<std::vector<Domain>> strangers = active_domains(other->get());
};
using ReadStatistics = TwoConnections;
using ReadStates = TwoConnections;

TEST_F(ReadStatistics, ADomainThatFailsTheCallForAllDoesNotKeepTheOthersFromBeingRead) {
  for (Domain& stranger : *strangers) domains->push_back(std::move(stranger));
  const auto read = read_statistics(*domains);
  ASSERT_TRUE(read) << read.error().message;
  for (const Domain& domain : *domains) EXPECT_TRUE(read->contains(domain_id(domain.get())));
}

TEST(LibvirtStatistics, OfAllLeavesOutThoseThatAreNotToBeAsked) {
  const auto source = libvirt_statistics("test:///default");
  const auto all = source->ask({.all = true, .except = {}, .vms = {}, .measure = {}});
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_FALSE(all->empty());
  const auto rest = source->ask({.all = true, .except = {all->begin()->first}, .vms = {}, .measure = {}});
  ASSERT_TRUE(rest) << rest.error().message;
  EXPECT_EQ(rest->size(), all->size() - 1);
}

TEST_F(ReadStates, TellsThemAlsoIfTheCallForAllFails) {
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
  for (Domain& stranger : *strangers) domains->push_back(std::move(stranger));
  EXPECT_EQ(told(*domains).state, VIR_DOMAIN_PAUSED);
}

}  // namespace
}  // namespace proteus::collect
