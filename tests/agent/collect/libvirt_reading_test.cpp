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

}  // namespace
}  // namespace proteus::collect
