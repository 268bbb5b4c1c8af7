#include "controller/profile/signature.h"

#include <gtest/gtest.h>

namespace proteus::profile {
namespace {

/// Five minutes and more of the same.
void feed(SignatureLearner& learner, const SignatureLearner::Tick& tick, int seconds = 3000) {
  for (int i = 0; i < seconds; ++i) learner.observe(tick);
}

void feed(SignatureLearner& learner, const SignatureLearner::StorageTick& tick, int count = 300) {
  for (int i = 0; i < count; ++i) learner.observe(tick);
}

HostCurve answer(double response, double error = 0) {
  return {ResponseCurve(std::vector<ResponseCurve::Knot>{{0, response, 0, error}}), 1000, "test"};
}

TEST(Signature, SaysWhatTheVmSpendsItsTimeWith) {
  SignatureLearner busy;
  feed(busy, {.seconds = 1, .run_s = 0.8, .cpu_wait_s = 0.1});
  EXPECT_NEAR(busy.signature().run_cores, 0.8, 1e-9);
  EXPECT_NEAR(busy.signature().cpu_wait, 0.1, 1e-9);
  EXPECT_EQ(busy.signature().bound_by(), Resource::kCpu);

  SignatureLearner waits = busy;
  feed(waits, {.seconds = 10, .requests = 1000, .request_time_s = 20, .vcpus = 2});
  EXPECT_NEAR(waits.signature().storage_wait, 2, 1e-9);
  EXPECT_EQ(waits.signature().bound_by(), Resource::kStorage);

  SignatureLearner stalls = busy;
  feed(stalls, {.seconds = 1, .run_s = 0.1, .memory_stall_s = 0.5});
  EXPECT_EQ(stalls.signature().bound_by(), Resource::kMemory);

  SignatureLearner drops;
  feed(drops, {.seconds = 1, .run_s = 0.1, .packets = 1000, .packets_dropped = 2});
  EXPECT_EQ(drops.signature().bound_by(), Resource::kNetwork);
  EXPECT_EQ(Signature{}.bound_by(), Resource::kCpu) << "an idle VM";
}

TEST(Signature, FadesWithinMinutes) {
  SignatureLearner learner;
  feed(learner, {.seconds = 1, .run_s = 1});
  feed(learner, {.seconds = 1, .run_s = 0}, 300);
  const double half = learner.signature().run_cores;
  EXPECT_GT(half, 0.3);
  EXPECT_LT(half, 0.5);
  feed(learner, {.seconds = 1, .run_s = 0}, 3000);
  EXPECT_LT(learner.signature().run_cores, 0.01);
}

TEST(Signature, NoMoreWaitsForStorageThanThereAreVcpus) {
  // A queue of 32: 32 s of requests in each second, for one vCPU.
  SignatureLearner deep;
  feed(deep, {.seconds = 10, .requests = 10000, .request_time_s = 320, .host_response_s = 0.032, .vcpus = 1});
  EXPECT_NEAR(deep.signature().storage_requests_per_s, 1000, 1e-6);
  EXPECT_NEAR(deep.signature().storage_wait, 1, 1e-6);
  EXPECT_NEAR(expected_storage(deep.signature(), answer(0.032), 1000, 1).wait, 1, 1e-6);
  EXPECT_NEAR(expected_storage(deep.signature(), answer(0.016), 1000, 1).wait, 0.5, 1e-6);
}

TEST(Signature, RequestsThatTakeLongerThanOthersDoSoElsewhere) {
  SignatureLearner large;
  feed(large,
       {.seconds = 10, .requests = 100, .bytes = 1e8, .request_time_s = 2, .host_response_s = 0.005, .vcpus = 4});
  const Signature vm = large.signature();
  EXPECT_NEAR(vm.storage_bytes_per_request, 1e6, 1e-3);
  const Expected there = expected_storage(vm, answer(0.001, 0.0005), 10, 4);
  EXPECT_NEAR(there.wait, 10 * 4 * 0.001, 0.006) << "four times what others wait, less what the prior says";
  EXPECT_NEAR(there.wait_error / there.wait, 0.5, 1e-9);
  EXPECT_DOUBLE_EQ(there.response, 0.001);

  SignatureLearner unknown_host;
  feed(unknown_host, {.seconds = 10, .requests = 100, .request_time_s = 2, .vcpus = 4});
  EXPECT_NEAR(expected_storage(unknown_host.signature(), answer(0.001), 10, 4).wait, 0.01, 1e-9);
}

TEST(Signature, AVmWithoutDisksWaitsForNone) {
  SignatureLearner learner;
  learner.observe(SignatureLearner::StorageTick{.seconds = 20});
  EXPECT_EQ(learner.signature(), Signature{});
  EXPECT_EQ(expected_storage(learner.signature(), answer(1), 100, 4).wait, 0);
}

TEST(Signature, DroppedPacketsAndExitsCostWhatTheHostMakesThem) {
  SignatureLearner learner;
  feed(learner, {.seconds = 1, .run_s = 0.5, .packets = 1000, .exits = 2000});
  EXPECT_NEAR(expected_network(learner.signature(), answer(1e-3), 1e6, 1).wait, 1000 * 1e-3 * kDropCost_s, 1e-9);
  EXPECT_NEAR(expected_exits(learner.signature(), answer(50e-6), 0.5).wait, 0.1, 1e-9);
}

}  // namespace
}  // namespace proteus::profile
