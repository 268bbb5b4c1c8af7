#include "agent/collect/dirty_rate_budget.h"

#include <gtest/gtest.h>

#include <set>

namespace proteus::collect {
namespace {

using namespace std::chrono_literals;

std::map<VmId, std::int64_t> guests(int count, std::int64_t memory_bytes) {
  std::map<VmId, std::int64_t> all;
  for (int i = 0; i < count; ++i) all[VmId("vm" + std::to_string(100 + i))] = memory_bytes;
  return all;
}

TEST(DirtyRateBudget, FewSmallGuestsAreMeasuredAtEveryPass) {
  DirtyRateBudget budget;
  DirtyRateBudget::SteadyTime now{1h};
  for (int pass = 0; pass < 5; ++pass) {
    EXPECT_EQ(budget.choose(guests(5, kGiB), now).size(), 5u);
    now += 10s;
  }
}

TEST(DirtyRateBudget, ManyLargeGuestsTakeTurnsAndStayWithinTheShare) {
  constexpr double kShare = 0.005;
  DirtyRateBudget budget(kShare);
  DirtyRateBudget::SteadyTime now{1h};
  const auto all = guests(40, 8 * kGiB);
  budget.choose(all, now);
  std::map<VmId, int> measured;
  Nanoseconds spent{0};
  constexpr int kPasses = 400;
  for (int pass = 0; pass < kPasses; ++pass) {
    now += 10s;
    for (const VmId& id : budget.choose(all, now)) {
      ++measured[id];
      spent += DirtyRateBudget::cost(8 * kGiB);
    }
  }
  EXPECT_LE(spent, Nanoseconds(static_cast<std::int64_t>(kShare * 10e9 * kPasses)));
  ASSERT_EQ(measured.size(), 40u) << "nobody is left out";
  const double affordable = kShare * 10e9 * kPasses / static_cast<double>(DirtyRateBudget::cost(8 * kGiB).count());
  for (const auto& [id, count] : measured) EXPECT_NEAR(count, affordable / 40, 1) << id.value;
}

TEST(DirtyRateBudget, LargeGuestsAreMeasuredOnCreditAndKeepNobodyWaiting) {
  constexpr double kShare = 0.005;
  DirtyRateBudget budget(kShare);
  DirtyRateBudget::SteadyTime now{1h};
  auto all = guests(4, 2048 * kGiB);
  for (int i = 0; i < 100; ++i) all[VmId("zz" + std::to_string(i))] = 4 * kGiB;
  std::map<VmId, int> measured;
  Nanoseconds spent{0};
  constexpr int kPasses = 24 * 360;
  for (int pass = 0; pass < kPasses; ++pass) {
    now += 10s;
    auto candidates = all;
    if (pass % 30 == 0) candidates.erase(VmId("vm100"));  // is paused for a moment: that earns it no turn
    for (const VmId& id : budget.choose(candidates, now)) {
      ++measured[id];
      spent += DirtyRateBudget::cost(all.at(id));
    }
  }
  ASSERT_EQ(measured.size(), all.size()) << "nobody is left out";
  for (const auto& [id, count] : measured) {
    if (all.at(id) > 4 * kGiB) {
      EXPECT_NEAR(count, 6, 1) << id.value;
    } else {
      EXPECT_GT(count, 120) << id.value;
    }
  }
  const Nanoseconds share(static_cast<std::int64_t>(kShare * 10e9 * kPasses));
  EXPECT_LE(spent, share + DirtyRateBudget::cost(2048 * kGiB)) << "but for the last one, which is still being paid";
}

TEST(DirtyRateBudget, ANewGuestComesFirst) {
  DirtyRateBudget budget;
  DirtyRateBudget::SteadyTime now{1h};
  auto all = guests(20, 8 * kGiB);
  for (int pass = 0; pass < 30; ++pass) budget.choose(all, now += 10s);
  all[VmId("zz")] = kGiB;
  EXPECT_EQ(budget.choose(all, now += 10s).front(), VmId("zz"));
  EXPECT_TRUE(budget.choose({}, now += 10s).empty());
}

}  // namespace
}  // namespace proteus::collect
