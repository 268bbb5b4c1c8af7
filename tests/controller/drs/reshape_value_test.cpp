#include "controller/drs/reshape_value.h"

#include "tests/controller/drs/executor_fixture.h"

namespace proteus::drs {
namespace {

TEST(ReshapeValue, UnlimitedQuotasAreEqualAndBalloonsNearlyExact) {
  EXPECT_TRUE(same_value(SetCpuQuota{}, -1, -1000));
  EXPECT_FALSE(same_value(SetCpuQuota{}, -1, 5000));
  EXPECT_TRUE(same_value(SetMemory{}, kGiB, kGiB - 4096));
  EXPECT_FALSE(same_value(SetMemory{}, kGiB, kGiB - kMiB));
  EXPECT_FALSE(fulfils(SetCpuQuota{50000, 50000}, runs(50000))) << "another period";
  EXPECT_FALSE(value_of(Migrate{}));
}

}  // namespace
}  // namespace proteus::drs
