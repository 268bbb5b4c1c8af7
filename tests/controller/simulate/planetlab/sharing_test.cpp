#include "controller/simulate/planetlab/sharing.h"

#include <gtest/gtest.h>

#include <vector>

namespace proteus::simulate::planetlab {
namespace {

TEST(Sharing, GivesWhatIsAskedForUpToOneCore) {
  std::vector<Share> vms{{.requested = 1000}, {.requested = 2500}};
  // 3720 - 1000 - 1860
  EXPECT_EQ(share_cpu(kHostTypes[0], vms), 860);
  EXPECT_EQ(vms[0].allocated, 1000);
  EXPECT_EQ(vms[1].allocated, 1860);
}

TEST(Sharing, VmsInTransitGetLess) {
  std::vector<Share> vms{{.requested = 1000, .transit = Transit::kOut}, {.requested = 1000, .transit = Transit::kIn}};
  EXPECT_EQ(share_cpu(kHostTypes[0], vms), 3720 - 1000 - 100);
  EXPECT_EQ(vms[0].allocated, 900);
  EXPECT_EQ(vms[0].used(), 1000);
  EXPECT_EQ(vms[1].allocated, 100);
}

TEST(Sharing, ScalesDownToWholeMips) {
  std::vector<Share> vms{{.requested = 1860}, {.requested = 1860}, {.requested = 930, .transit = Transit::kOut}};
  EXPECT_EQ(share_cpu(kHostTypes[0], vms), 0);
  EXPECT_EQ(vms[0].allocated, 1488);  // 1860 * 3720 / 4650
  EXPECT_EQ(vms[1].allocated, 1488);
  EXPECT_EQ(vms[2].allocated, 669);  // 744 * 0.9 = 669.6
}

TEST(Machines, PowerIsLinearBetweenThePoints) {
  EXPECT_EQ(kHostTypes[0].power(0), 86);
  EXPECT_EQ(kHostTypes[0].power(0.5), 102);
  EXPECT_DOUBLE_EQ(kHostTypes[1].power(0.25), 103);
  EXPECT_EQ(kHostTypes[1].power(1), 135);
}

}  // namespace
}  // namespace proteus::simulate::planetlab
