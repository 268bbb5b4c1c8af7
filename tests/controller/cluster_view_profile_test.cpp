// What is learned of hosts from what is seen of the cluster.
#include <gtest/gtest.h>

#include "tests/controller/view_fixture.h"

namespace proteus::controller {
namespace {

/// VM a, from h1.
ham::Action move_to_h2() {
  Migrate migrate;
  migrate.target = HostId("h2");
  ham::Action action;
  action.vm = VmId("uuid-a");
  action.host = HostId("h1");
  action.operation = migrate;
  return action;
}

TEST(ClusterViewProfile, CalibrationIsThePriorOfTheResponse) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  const auto ratio_at_rest = [&] { return view.state(kStart)->hosts.at(0).fingerprint.run_queue_wait.at(0.1); };
  view.on_sample(host.sample(kStart), kStart);
  const double before = ratio_at_rest();
  host.labels = {{"calibration.wake_up_latency_ns", "300000"}, {"calibration.page_fault_ns", "nonsense"}};
  view.on_sample(host.sample(kStart), kStart);
  EXPECT_NEAR(ratio_at_rest(), before + 0.1, 1e-9) << "0.3 ms in each slice of 3 ms";
  EXPECT_EQ(view.state(kStart)->hosts.at(0).fingerprint.calibration,
            (std::map<std::string, std::int64_t>{{"wake_up_latency_ns", 300000}}));
}

TEST(ClusterViewProfile, AHostBeginsWhereItsClassIs) {
  ClusterView view(options());
  FakeHost seen("h1", 2, 4 * kGiB);
  FakeHost fresh("h2", 2, 4 * kGiB);
  FakeHost other("h3", 2, 4 * kGiB);
  seen.vms = {vm("a")};
  seen.labels = fresh.labels = {{"cpu_model", "Acme 9000"}};
  other.labels = {{"cpu_model", "Acme 100"}};
  Timestamp now = kStart;
  view.on_sample(fresh.sample(now), now);
  view.on_sample(other.sample(now), now);
  for (int second = 0; second < 600; ++second) {
    view.on_sample(seen.sample(now), now);
    seen.pass(1, {{0.9, 0.9}});
    now += std::chrono::seconds(1);
  }
  const ham::ClusterState state = *view.state(now);
  const auto ratio = [&](std::size_t h) { return state.hosts.at(h).fingerprint.run_queue_wait.at(0.45); };
  EXPECT_GT(ratio(0), 0.8);
  EXPECT_GT(ratio(1), 0.6) << "one like it has been seen to wait";
  EXPECT_LT(ratio(2), 0.4);
  EXPECT_EQ(state.hosts[1].fingerprint.evidence_s, 0) << "none of its own";
}

TEST(ClusterViewProfile, ComparesWhatAMoveWasExpectedToBringWithWhatItBrought) {
  ClusterView view(options());
  FakeHost target("h2", 2, 4 * kGiB);
  target.vms = {vm("a")};
  ham::Action action = move_to_h2();
  action.expected_wait_ratio = 0.1;
  Timestamp now = kStart;
  view.on_sample(target.sample(now), now);
  view.on_action_end(action, now, true);
  EXPECT_EQ(view.state(now)->move_errors, profile::MoveErrors{});
  for (int second = 0; second < 70; ++second) {
    target.pass(1, {{0.5, 0.2}});
    now += std::chrono::seconds(1);
    view.on_sample(target.sample(now), now);
  }
  const profile::MoveErrors errors = view.state(now)->move_errors;
  EXPECT_EQ(errors.moves, 1);
  EXPECT_GT(errors.bias, 0.1) << "it waits four times as much";
  view.on_action_end(action, now, false);
  EXPECT_EQ(view.state(now + std::chrono::hours(1))->move_errors, errors) << "a failed move is followed nowhere";
}

/// Requests, told every ten seconds as the slow lane does, each taking so long.
Timestamp read_disks(ClusterView& view, FakeHost& host, Timestamp now, int requests_per_s, double takes_s,
                     int seconds) {
  for (int second = 1; second <= seconds; ++second) {
    now += std::chrono::seconds(1);
    host.pass(1, {{0.2, 0}});
    if (second % 10 == 0) {
      FakeVm& vm = host.vms[0];
      vm.disk_requests += 10 * requests_per_s;
      vm.disk_bytes += 10 * requests_per_s * 65536;
      vm.disk_time_ns += static_cast<std::int64_t>(10 * requests_per_s * takes_s * 1e9);
    }
    view.on_sample(host.sample(now), now);
    (void)view.state(now);
  }
  return now;
}

TEST(ClusterViewProfile, LearnsWhatStorageAnswersAndWhoLeansOnIt) {
  ClusterView view(options());
  FakeHost host("h1", 2, 4 * kGiB);
  host.labels["calibration.storage_read_latency_ns"] = "500000";
  host.vms = {vm("a")};
  host.vms[0].disk_requests = 1;
  view.on_sample(host.sample(kStart), kStart);
  const ham::ClusterState before = *view.state(kStart);
  EXPECT_EQ(before.hosts[0].fingerprint.storage.evidence, 0);
  EXPECT_EQ(before.hosts[0].fingerprint.storage.prior, "calibrated storage_read_latency_ns");
  EXPECT_NEAR(before.hosts[0].fingerprint.storage.curve.at(50), 0.0005, 1e-5);
  Timestamp now = read_disks(view, host, kStart, 50, 0.01, 600);
  const ham::ClusterState state = *view.state(now);
  EXPECT_NEAR(state.hosts[0].fingerprint.storage.curve.at(50), 0.01, 0.0005);
  EXPECT_NEAR(state.vms[0].signature.storage_requests_per_s, 50, 1);
  EXPECT_NEAR(state.vms[0].signature.storage_wait, 0.5, 0.01);
  EXPECT_NEAR(state.vms[0].signature.storage_factor, 1, 0.1) << "it alone is what the host is known by";
  EXPECT_EQ(state.vms[0].signature.bound_by(), profile::Resource::kStorage);
  // At rest it is forgotten within minutes, though its counters stand still.
  now = read_disks(view, host, now, 0, 0, 3000);
  EXPECT_LT(view.state(now)->vms[0].signature.storage_wait, 0.06);
}

TEST(ClusterViewProfile, ComparesWhatRequestsTakeAfterAMoveWithWhatWasExpected) {
  ClusterView view(options());
  FakeHost target("h2", 2, 4 * kGiB);
  target.vms = {vm("a")};
  target.vms[0].disk_requests = 1;
  view.on_sample(target.sample(kStart), kStart);
  ham::Action action = move_to_h2();
  action.expected_storage_s = 0.001;
  view.on_action_end(action, kStart, true);
  const Timestamp now = read_disks(view, target, kStart, 20, 0.004, 100);
  const ham::ClusterState state = *view.state(now);
  EXPECT_EQ(state.storage_move_errors.moves, 1);
  EXPECT_GT(state.storage_move_errors.bias, 0.2);
  EXPECT_EQ(state.move_errors.moves, 0) << "no wait for a CPU was predicted";
}

TEST(ClusterViewProfile, ComparesWhatIsDroppedAfterAMoveWithWhatWasExpected) {
  ClusterView view(options());
  FakeHost target("h2", 2, 4 * kGiB);
  target.vms = {vm("a")};
  target.vms[0].net_packets = 1;
  Timestamp now = kStart;
  view.on_sample(target.sample(now), now);
  ham::Action action = move_to_h2();
  action.expected_drop_share = 1e-4;
  view.on_action_end(action, now, true);
  for (int second = 0; second < 100; ++second) {
    now += std::chrono::seconds(1);
    target.vms[0].net_bytes += 1'000'000;
    target.vms[0].net_packets += 1000;
    target.vms[0].net_drops += 5;
    view.on_sample(target.sample(now), now);
    (void)view.state(now);
  }
  const ham::ClusterState state = *view.state(now);
  EXPECT_EQ(state.network_move_errors.moves, 1);
  EXPECT_GT(state.network_move_errors.bias, 0.2) << "five of a thousand instead of one of ten thousand";
  EXPECT_EQ(state.storage_move_errors.moves, 0);
  EXPECT_NEAR(state.vms[0].signature.packets_dropped_per_s, 5, 0.1);
}

}  // namespace
}  // namespace proteus::controller
