#include <gtest/gtest.h>

#include "controller/cluster_view.h"
#include "tests/controller/view_fixture.h"

// Telemetry that was held up, and clocks that are wrong.
namespace proteus::controller {
namespace {

// Minutes of telemetry that had waited for the controller came within a second, and counted as the present.
TEST(ClusterView, AHostThatCatchesUpIsNotFreshUntilItHas) {
  using std::chrono::seconds;
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.vms = {vm("a")};
  view.on_sample(host.sample(kStart), kStart);
  const Timestamp back = kStart + seconds(600);
  for (int i = 1; i < 600; ++i) {
    const Timestamp now = back + std::chrono::milliseconds(i);
    view.on_sample(host.sample(kStart + seconds(i)), now);
    const ham::HostState state = view.state(now)->hosts[0];
    ASSERT_FALSE(state.fresh) << i;
    ASSERT_TRUE(state.catching_up) << i;
    ASSERT_NEAR(to_seconds(state.lag), 600 - i, 1);
  }
  for (int i = 1; i <= 12; ++i) {
    view.on_sample(host.sample(back + seconds(i)), back + seconds(i));
    EXPECT_EQ(view.state(back + seconds(i))->hosts[0].fresh, i >= 11) << i;
  }
}

TEST(ClusterView, AClockThatIsWrongDoesNotMakeAHostStale) {
  using std::chrono::seconds;
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  for (int i = 0; i < 30; ++i) {
    // Late by up to 5 s, as on a busy machine.
    const Timestamp now = kStart + seconds(i + i % 3 * 2);
    view.on_sample(host.sample(kStart + seconds(i + 3600)), now);
    EXPECT_TRUE(view.state(now)->hosts[0].fresh) << i;
    EXPECT_LT(to_seconds(view.state(now)->hosts[0].lag), -3590);
  }
  // It is set: fresh again once it has stayed so for two minutes; at once where its lag becomes less.
  for (const auto& [set, fresh_at] : {std::pair(0, 159), {-7200, 40}}) {
    for (int i = 30; i < 170; ++i) {
      const Timestamp now = kStart + seconds(set + i);
      view.on_sample(host.sample(kStart + seconds(i)), now);
      EXPECT_EQ(view.state(now)->hosts[0].fresh, i >= fresh_at) << set << " " << i;
    }
  }
}

// Many hosts that catch up at once do so hardly faster than time passes.
TEST(ClusterView, AHostThatCatchesUpSlowlyIsNotFreshEither) {
  using std::chrono::milliseconds;
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  view.on_sample(host.sample(kStart), kStart);
  const Timestamp back = kStart + std::chrono::seconds(600);
  for (int i = 1; i <= 1160; ++i) {
    const Timestamp now = back + std::chrono::seconds(i);
    view.on_sample(host.sample(kStart + milliseconds(1500) * i), now);
    ASSERT_FALSE(view.state(now)->hosts[0].fresh) << i;
  }
  // It falls silent.
  const ham::HostState silent = view.state(back + std::chrono::seconds(1200))->hosts[0];
  EXPECT_FALSE(silent.fresh);
  EXPECT_FALSE(silent.catching_up);
}

TEST(ClusterView, AHostThatTellsOfThePastDoesNotTakeBackAVm) {
  using std::chrono::seconds;
  ClusterView view(options());
  FakeHost source("h1", 2, 4 * kGiB);
  FakeHost target("h2", 2, 4 * kGiB);
  source.vms = {vm("a")};
  view.on_sample(source.sample(kStart), kStart);
  view.on_sample(target.sample(kStart), kStart);
  // The source is cut off; the VM moves.
  target.vms = {vm("a")};
  const Timestamp later = kStart + seconds(60);
  view.on_sample(target.sample(later), later);
  ASSERT_EQ(view.state(later)->vms.at(0).host, HostId{"h2"});
  view.on_sample(source.sample(kStart + seconds(1)), later);
  EXPECT_EQ(view.state(later)->vms.at(0).host, HostId{"h2"});
  // As it has caught up it no longer lists it.
  source.vms.clear();
  view.on_sample(source.sample(later), later);
  EXPECT_EQ(view.state(later)->vms.at(0).host, HostId{"h2"});
}

}  // namespace
}  // namespace proteus::controller
