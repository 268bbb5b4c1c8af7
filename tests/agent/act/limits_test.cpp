#include "agent/act/limits.h"

#include <gtest/gtest.h>

namespace proteus::act {
namespace {

Status check(const LocalLimits& limits, Operation operation) {
  Command command;
  command.operation = std::move(operation);
  return check_limits(limits, command);
}

TEST(Limits, QuotaIsAtLeastTheConfiguredShareOfACpu) {
  LocalLimits limits;
  limits.cpu_quota_percent_min = 20;
  EXPECT_TRUE(check(limits, SetCpuQuota{20000, 100000}));
  EXPECT_FALSE(check(limits, SetCpuQuota{19999, 100000}));
  EXPECT_TRUE(check(limits, SetCpuQuota{2000, 10000}));
  EXPECT_TRUE(check(limits, SetCpuQuota{-1, 100000}));
}

TEST(Limits, ImpossibleValuesAreInvalidNotDenied) {
  const LocalLimits limits;
  for (const Operation& operation :
       {Operation{SetCpuQuota{50000, 999}}, Operation{SetCpuQuota{50000, 1000001}}, Operation{SetCpuQuota{0, 100000}},
        Operation{SetCpuQuota{-2, 100000}}, Operation{SetVcpus{0}}, Operation{SetMemory{0}}, Operation{Migrate{}},
        Operation{Reserve{-1, 0}}, Operation{Reserve{INT64_MAX, 0}}, Operation{Reserve{0, INT64_MAX}}}) {
    const Status status = check(limits, operation);
    ASSERT_FALSE(status) << operation.index();
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument) << status.error().message;
  }
}

TEST(Limits, BoundsOfTheHostAreDenied) {
  LocalLimits limits;
  limits.vcpus_min = 2;
  limits.vcpus_max = 4;
  limits.memory_bytes_min = 256 * kMiB;
  limits.cpu_shares_max = 2048;
  limits.migration_bandwidth_bytes_per_s_max = 10 * kMiB;
  Migrate migrate{.target = HostId("h2"), .target_libvirt_uri = "qemu+tcp://h2/system", .migrate_uri = ""};
  EXPECT_TRUE(check(limits, migrate));
  migrate.bandwidth_bytes_per_s = 11 * kMiB;
  for (const Operation& operation : {Operation{SetVcpus{1}}, Operation{SetVcpus{5}}, Operation{SetMemory{255 * kMiB}},
                                     Operation{SetCpuShares{2049}}, Operation{migrate}}) {
    const Status status = check(limits, operation);
    ASSERT_FALSE(status) << operation.index();
    EXPECT_EQ(status.error().code, ErrorCode::kPermissionDenied);
  }
}

TEST(Limits, WhatIsNotAllowedIsRefusedButSafetyAlwaysWorks) {
  LocalLimits limits;
  limits.allow_reshape = limits.allow_migrate = limits.allow_receive = false;
  const Migrate migrate{.target = HostId("h2"), .target_libvirt_uri = "qemu+tcp://h2/system", .migrate_uri = ""};
  for (const Operation& operation : {Operation{SetCpuQuota{}}, Operation{SetCpuShares{}}, Operation{SetVcpus{}},
                                     Operation{SetMemory{kGiB}}, Operation{migrate}, Operation{Reserve{}}}) {
    EXPECT_FALSE(check(limits, operation)) << operation.index();
  }
  for (const Operation& operation : {Operation{Release{1}}, Operation{Abort{1}}, Operation{Inspect{}}}) {
    EXPECT_TRUE(check(limits, operation)) << operation.index();
  }
}

TEST(Limits, ProtectedDomainsMatchByNameOrUuid) {
  LocalLimits limits;
  limits.protected_vms = {"db-*", "7c0e*"};
  EXPECT_FALSE(check_protected(limits, "db-1", VmId("aa")));
  EXPECT_FALSE(check_protected(limits, "web", VmId("7c0e1111")));
  EXPECT_TRUE(check_protected(limits, "web-db-1", VmId("aa")));
}

}  // namespace
}  // namespace proteus::act
