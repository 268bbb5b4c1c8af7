#include "agent/collect/shared_filesystem.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/agent/collect/fixture_root.h"

namespace proteus::collect {
namespace {

class SharedFilesystemTest : public testing::Test {
 protected:
  bool is_shared(const std::string& path) const { return on_shared_filesystem(root.path() + path, mounts); }
  std::string line(const std::string& place, const std::string& kind) const {
    return "36 35 98:0 / " + root.path() + place + " rw,relatime shared:1 - " + kind + " source rw\n";
  }
  FixtureRoot root;
  std::string mounts = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n" + line("/far", "nfs4") + line("/far/near", "ext4") +
                       line("/with\\040blank", "fuse.glusterfs") + line("/twice", "nfs") + line("/twice", "xfs") +
                       line("/usb", "fuseblk");
};

TEST_F(SharedFilesystemTest, GoesByTheMountThatHoldsThePath) {
  EXPECT_FALSE(is_shared("/disk.img"));
  EXPECT_TRUE(is_shared("/far/disk.img"));
  EXPECT_TRUE(is_shared("/far")) << "what is mounted itself";
  EXPECT_TRUE(is_shared("/far/deep/down/disk.img")) << "which nobody looks for";
  EXPECT_FALSE(is_shared("/farther/disk.img"));
  EXPECT_FALSE(is_shared("/far/near/disk.img")) << "the deepest mount holds it";
  EXPECT_TRUE(is_shared("/far/near/../disk.img"));
  EXPECT_FALSE(is_shared("/far/../disk.img"));
  EXPECT_TRUE(is_shared("/with blank/disk.img"));
  EXPECT_FALSE(is_shared("/twice/disk.img")) << "the later mount lies on top";
  EXPECT_FALSE(is_shared("/usb/disk.img")) << "a block device of this host";
  EXPECT_FALSE(on_shared_filesystem("", mounts));
  EXPECT_FALSE(on_shared_filesystem("/far/disk.img", ""));
}

TEST_F(SharedFilesystemTest, FollowsLinksOfLocalFileSystems) {
  root.write("/images/other.img", "");
  std::filesystem::create_symlink(root.path() + "/far", root.path() + "/images/pool");
  std::filesystem::create_symlink("../far/disk.img", root.path() + "/images/disk.img");
  std::filesystem::create_symlink("loop", root.path() + "/images/loop");
  EXPECT_TRUE(is_shared("/images/pool/disk.img"));
  EXPECT_TRUE(is_shared("/images/disk.img"));
  EXPECT_FALSE(is_shared("/images/other.img"));
  EXPECT_FALSE(is_shared("/images/loop"));
  EXPECT_TRUE(is_shared("/images/../images/./pool/disk.img"));
}

TEST_F(SharedFilesystemTest, AHostWithoutADiskMayHaveLocalImages) {
  const std::string diskless =
      "1 0 0:20 / / rw - nfs4 server:/root rw\n2 1 8:1 / /var/lib/libvirt/images rw - xfs /dev/sda1 rw\n";
  EXPECT_TRUE(on_shared_filesystem("/etc/disk.img", diskless));
  EXPECT_FALSE(on_shared_filesystem("/var/lib/libvirt/images/disk.img", diskless));
}

}  // namespace
}  // namespace proteus::collect
