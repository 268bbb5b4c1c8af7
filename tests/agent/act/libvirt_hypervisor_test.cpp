#include "agent/act/libvirt_hypervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/act/worker.h"
#include "tests/agent/act/job_harness.h"

// libvirt's own test driver: one domain, "test", in this process's memory. It has vCPUs and memory, no control groups
// and no migration; those are tried in the lab.

namespace proteus::act {
namespace {

const char* const kUri = "test:///default";
const VmId kTest{"6695eb01-f6a4-8304-79aa-97f2502e193f"};

TEST(LibvirtHypervisor, DescribesAndInspects) {
  LibvirtHypervisor hypervisor(kUri);
  const auto description = hypervisor.describe(kTest);
  ASSERT_TRUE(description) << description.error().message;
  EXPECT_EQ(description->name, "test");
  EXPECT_TRUE(description->active);
  EXPECT_TRUE(description->persistent);
  EXPECT_EQ(description->memory_bytes_max, 8 * kGiB);
  const auto seen = hypervisor.inspect(kTest);
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->defined_active);
  EXPECT_TRUE(seen->running);
  EXPECT_EQ(seen->vcpus, 2);
  EXPECT_EQ(seen->memory_bytes, 2 * kGiB);
}

TEST(LibvirtHypervisor, ADomainThatIsNotHereIsAValueToInspectAndAnErrorToTheRest) {
  LibvirtHypervisor hypervisor(kUri);
  const VmId nobody{"00000000-0000-4000-8000-000000000000"};
  const auto seen = hypervisor.inspect(nobody);
  ASSERT_TRUE(seen);
  EXPECT_FALSE(seen->defined_active);
  for (const Status& status :
       {hypervisor.set_vcpus(nobody, {2}), hypervisor.set_memory(nobody, {kGiB}), hypervisor.set_cpu_quota(nobody, {}),
        hypervisor.set_cpu_shares(nobody, {}), hypervisor.abort_migration(nobody)}) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kNotFound);
  }
  const auto progress = hypervisor.migration_progress(nobody);
  ASSERT_TRUE(progress);
  EXPECT_FALSE(*progress);
}

TEST(LibvirtHypervisor, SetsMemory) {
  LibvirtHypervisor hypervisor(kUri);
  ASSERT_TRUE(hypervisor.set_memory(kTest, {kGiB}));
  EXPECT_EQ(hypervisor.inspect(kTest)->memory_bytes, kGiB);
  ASSERT_TRUE(hypervisor.set_memory(kTest, {2 * kGiB}));
  EXPECT_EQ(hypervisor.inspect(kTest)->memory_bytes, 2 * kGiB);
}

TEST(LibvirtHypervisor, LibvirtsReasonsBecomeOurErrors) {
  LibvirtHypervisor hypervisor(kUri);
  const Status too_many = hypervisor.set_vcpus(kTest, {200});
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().code, ErrorCode::kInvalidArgument) << too_many.error().message;
  const Status job = hypervisor.abort_migration(kTest);
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().code, ErrorCode::kUnsupported) << job.error().message;
}

TEST(LibvirtHypervisor, AHostThatCannotBeAskedIsUnavailable) {
  LibvirtHypervisor hypervisor("qemu+unix:///system?socket=/nonexistent/libvirt-sock");
  const auto seen = hypervisor.inspect(kTest);
  ASSERT_FALSE(seen);
  EXPECT_EQ(seen.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(seen.error().message, testing::HasSubstr("/nonexistent/libvirt-sock"));
}

TEST(LibvirtHypervisor, ARealReshapeFromCommandToVerifiedEnd) {
  JobHarness harness;
  LibvirtHypervisor hypervisor(kUri);
  JobContext context{HostId("h1"),   hypervisor,
                     harness.limits, harness.clock,
                     harness.pause,  [&](Update update) { harness.updates.push_back(std::move(update)); }};
  Command command = harness.command(SetMemory{kGiB});
  command.vm = kTest;
  command.require_value = 2 * kGiB;
  run_job(context, Job{command});
  ASSERT_THAT(harness.states(), testing::ElementsAre(CommandState::kAccepted, CommandState::kSucceeded))
      << harness.updates.back().message;
}

}  // namespace
}  // namespace proteus::act
