#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/ham/rules/rule.h"
#include "controller/ham/rules/selector.h"
#include "tests/controller/ham/cluster.h"

namespace proteus::ham {
namespace {

using testing::HasSubstr;

/// h1 (a, b) and h2 (c), h3 empty; a wants to go to h2 unless a test says otherwise.
class Rules : public testing::Test {
 protected:
  Rules() {
    for (const char* id : {"h1", "h2", "h3"}) cluster_.host(id, 2.0, 8 * kGiB);
    for (const auto& [name, host] : {std::pair("a", "h1"), std::pair("b", "h1"), std::pair("c", "h2")}) {
      set_flat_cpu(cluster_.vm(name, host, 2, 0.5), cluster_.state.now, 0.4);
    }
    policy_ = eager_policy();
  }

  /// Which rule refuses to move VM `vm` to host `host`; empty: none.
  std::string refused_move(std::size_t vm, std::size_t host) {
    cluster_.ready();
    return refused({vm, {host, cluster_.state.vms[vm].allocation}});
  }
  std::string refused_quota(std::size_t vm, double cores) {
    cluster_.ready();
    Allocation allocation = cluster_.state.vms[vm].allocation;
    allocation.cpu_quota_us = static_cast<std::int64_t>(cores / allocation.vcpus * 100000 + 0.5);
    return refused({vm, {vm == 2 ? 1u : 0u, allocation}});
  }
  std::string refused(const Change& change) {
    const ClusterModel model(cluster_.state, policy_);
    PlanState plan(model);
    for (const Change& earlier : earlier_) plan.apply(earlier);
    const auto refused = refusal(plan, change, true);
    const auto silent = refusal(plan, change, false);
    EXPECT_EQ(refused.has_value(), silent.has_value());
    if (!refused) return {};
    EXPECT_EQ(refused->rule, silent->rule);
    EXPECT_FALSE(refused->reason.empty());
    reason_ = refused->reason;
    return refused->rule;
  }
  Change move(std::size_t vm, std::size_t host) { return {vm, {host, cluster_.state.vms[vm].allocation}}; }

  template <typename Rule>
  static Rule rule(const char* name, std::set<std::string> vms) {
    Rule r;
    r.name = name;
    r.vms = std::move(vms);
    return r;
  }

  Cluster cluster_;
  Policy policy_;
  std::vector<Change> earlier_;
  std::string reason_;
};

TEST_F(Rules, AllowWhatNothingForbids) {
  EXPECT_EQ(refused_move(0, 1), "");
  EXPECT_EQ(refused_quota(0, 0.8), "");
}

TEST_F(Rules, StaleHostsTakeNoPart) {
  cluster_.find_host("h2").fresh = false;
  EXPECT_EQ(refused_move(0, 1), "staleness");
  EXPECT_EQ(refused_move(2, 2), "staleness");
  EXPECT_EQ(refused_quota(2, 0.8), "staleness");
  EXPECT_EQ(refused_move(0, 2), "");
}

TEST_F(Rules, UncommandableHostsTakeNoPart) {
  cluster_.find_host("h2").commandable = false;
  EXPECT_EQ(refused_move(0, 1), "staleness");
}

TEST_F(Rules, VmAndHostsInFlightAreSpokenFor) {
  cluster_.state.in_flight.push_back({7, VmId("a"), HostId("h1"), HostId("h2"), false});
  EXPECT_EQ(refused_move(0, 2), "in_flight");
  EXPECT_EQ(refused_move(1, 2), "in_flight");
  EXPECT_EQ(refused_move(2, 2), "in_flight");
}

TEST_F(Rules, AwaitedApprovalHoldsOnlyItsVm) {
  cluster_.state.in_flight.push_back({7, VmId("a"), HostId("h1"), HostId("h2"), true});
  EXPECT_EQ(refused_move(0, 2), "in_flight");
  EXPECT_EQ(refused_move(1, 2), "");
}

// VMs on their way count at their target before they are there.
TEST_F(Rules, TransitCountsAtTheTarget) {
  cluster_.find("a").allocation.memory_bytes = 4 * kGiB;
  cluster_.find("b").allocation.memory_bytes = 3 * kGiB;
  cluster_.find("b").memory_resident_bytes = kGiB;
  EXPECT_EQ(refused_move(1, 2), "");
  cluster_.state.in_flight.push_back({7, VmId("a"), HostId("h1"), HostId("h3"), true});
  cluster_.find("b").allocation.memory_bytes = 4 * kGiB;
  EXPECT_EQ(refused_move(1, 2), "headroom");
}

TEST_F(Rules, ExcludedIsNeverTouched) {
  policy_.exclusions.push_back(rule<ExcludeRule>("hands-off", {"a*"}));
  EXPECT_EQ(refused_move(0, 1), "exclude:hands-off");
  EXPECT_EQ(refused_quota(0, 0.8), "exclude:hands-off");
  EXPECT_EQ(refused_move(1, 1), "");
}

TEST_F(Rules, CooldownHasAnEnd) {
  policy_.limits.cooldown = std::chrono::minutes(5);
  cluster_.find("a").last_action_end = cluster_.state.now - std::chrono::seconds(299);
  EXPECT_EQ(refused_quota(0, 0.3), "cooldown");
  EXPECT_THAT(reason_, HasSubstr("299 s"));
  EXPECT_EQ(refused_move(0, 1), "cooldown");
  cluster_.find("a").last_action_end = cluster_.state.now - std::chrono::seconds(300);
  EXPECT_EQ(refused_quota(0, 0.3), "");
  EXPECT_EQ(refused_move(0, 1), "");
}

// A VM on a rising load starved for a whole cooldown, because its first raise had been too small.
TEST_F(Rules, CooldownDoesNotStarve) {
  policy_.limits.cooldown = std::chrono::minutes(5);
  cluster_.find("a").last_action_end = cluster_.state.now - std::chrono::seconds(4);
  EXPECT_EQ(refused_quota(0, 0.8), "cooldown") << "what the last one gave may not show yet";
  cluster_.find("a").last_action_end = cluster_.state.now - std::chrono::seconds(5);
  EXPECT_EQ(refused_quota(0, 0.8), "");
  cluster_.find("a").last_action_failed = true;  // what was refused is not asked for again each second
  EXPECT_EQ(refused_quota(0, 0.8), "cooldown");
}

TEST_F(Rules, UnmovableMayBeReshaped) {
  cluster_.find("a").unmovable = "a PCI device is passed through";
  EXPECT_EQ(refused_move(0, 1), "unmovable");
  EXPECT_THAT(reason_, HasSubstr("PCI"));
  EXPECT_EQ(refused_quota(0, 0.8), "");
}

TEST_F(Rules, ThoseOfMovesLetAReshapePass) {
  PinRule pin = rule<PinRule>("p", {"a"});
  pin.hosts = {"h2"};
  policy_.pins.push_back(pin);
  AffinityRule apart = rule<AffinityRule>("apart", {"a", "b"});
  apart.apart = true;
  policy_.affinity.push_back(apart);
  policy_.limits.moves_per_hour_per_host = 0;
  policy_.limits.concurrent_migrations = 0;
  cluster_.find_host("h1").maintenance = true;
  EXPECT_EQ(refused_quota(0, 0.8), "");
  EXPECT_NE(refused_move(0, 1), "");
}

TEST_F(Rules, NoMigrationThatWouldBeAborted) {
  cluster_.find("a").memory_resident_bytes = 4 * kGiB;
  cluster_.find("a").dirty_bytes_per_s = 1;
  policy_.limits.migration_bandwidth_bytes_per_s = 100 * kMiB;  // 41 s
  cluster_.state.migration_time_max = std::chrono::seconds(40);
  EXPECT_EQ(refused_move(0, 1), "migration_time");
  EXPECT_THAT(reason_, HasSubstr("migrating a is expected to take 41 s, and would be aborted after 40 s"));
  EXPECT_EQ(refused_quota(0, 0.8), "");
  cluster_.state.migration_time_max = std::chrono::seconds(42);
  EXPECT_EQ(refused_move(0, 1), "");
  cluster_.state.migration_time_max = {};
  EXPECT_EQ(refused_move(0, 1), "");
}

TEST_F(Rules, MovesPerHourForgetsTheHourBefore) {
  policy_.limits.moves_per_hour = 2;
  cluster_.state.recent_moves = {cluster_.state.now - std::chrono::minutes(61),
                                 cluster_.state.now - std::chrono::minutes(59)};
  EXPECT_EQ(refused_move(0, 1), "");
  cluster_.state.recent_moves.push_back(cluster_.state.now - std::chrono::minutes(1));
  EXPECT_EQ(refused_move(0, 1), "moves_per_hour");
  EXPECT_EQ(refused_quota(0, 0.8), "");
}

TEST_F(Rules, MovesPerHourOfOneVm) {
  policy_.limits.moves_per_hour_per_vm = 1;
  cluster_.state.recent_moves.emplace_back(cluster_.state.now - std::chrono::minutes(59), VmId("a"), HostId("h3"),
                                           HostId("h1"));
  EXPECT_EQ(refused_move(0, 1), "moves_per_hour_per_vm");
  EXPECT_THAT(reason_, HasSubstr("a has been migrated 1 times"));
  EXPECT_EQ(refused_move(1, 1), "");
  EXPECT_EQ(refused_quota(0, 0.8), "");
}

TEST_F(Rules, MovesPerHourOfOneHostCountsBothEnds) {
  policy_.limits.moves_per_hour_per_host = 1;
  cluster_.state.recent_moves.emplace_back(cluster_.state.now - std::chrono::minutes(59), VmId("c"), HostId("h3"),
                                           HostId("h2"));
  EXPECT_EQ(refused_move(0, 1), "moves_per_hour_per_host");
  EXPECT_EQ(refused_move(0, 2), "moves_per_hour_per_host");
  cluster_.find_host("h2").maintenance = true;
  EXPECT_EQ(refused_move(2, 0), "") << "a host that is being emptied does not wait";
}

TEST_F(Rules, WindowsOpenAndClose) {
  // The clock of these tests stands at a Tuesday, 22:13 UTC.
  WindowRule window = rule<WindowRule>("night", {"a"});
  window.from_minute = 22 * 60;
  window.to_minute = 6 * 60;
  policy_.windows = {window};
  EXPECT_EQ(refused_move(0, 1), "");
  policy_.windows[0].days = 1U << 2;  // Wednesday
  EXPECT_EQ(refused_move(0, 1), "window:night");
  EXPECT_EQ(refused_quota(0, 0.8), "") << "it is about migrations";
  EXPECT_EQ(refused_move(1, 1), "");
  cluster_.state.now += std::chrono::hours(24 + 6);  // Thursday, 04:13: the window of Wednesday
  EXPECT_EQ(refused_move(0, 1), "");
  cluster_.state.now += std::chrono::hours(2);
  EXPECT_EQ(refused_move(0, 1), "window:night");
  cluster_.state.now -= std::chrono::hours(2);
  policy_.windows[0].forbid = true;
  policy_.windows[0].migrate_only = false;
  EXPECT_EQ(refused_move(0, 1), "window:night");
  EXPECT_EQ(refused_quota(0, 0.8), "window:night");
}

TEST_F(Rules, AnyOfSeveralWindowsWillDo) {
  WindowRule window = rule<WindowRule>("morning", {"a"});
  window.to_minute = 60;
  policy_.windows = {window};
  EXPECT_EQ(refused_move(0, 1), "window:morning");
  window.name = "evening";
  window.from_minute = 20 * 60;
  window.to_minute = 24 * 60;
  policy_.windows.push_back(window);
  EXPECT_EQ(refused_move(0, 1), "");
}

TEST_F(Rules, FaultDomainsAreKeptApart) {
  FaultDomain rack;
  rack.name = "rack1";
  rack.hosts = {"h2", "h3"};
  policy_.fault_domains.push_back(rack);
  AffinityRule apart = rule<AffinityRule>("replicas", {"a", "c"});
  apart.apart = true;
  apart.by_fault_domain = true;
  policy_.affinity.push_back(apart);
  EXPECT_EQ(refused_move(0, 2), "anti_affinity:replicas") << "c is in the same rack, if not on the same host";
  EXPECT_THAT(reason_, HasSubstr("apart from c"));
  EXPECT_EQ(refused_move(2, 2), "") << "within its rack it may move";
  EXPECT_EQ(refused_move(1, 2), "");
}

TEST_F(Rules, FaultDomainsAreKeptTogether) {
  FaultDomain rack;
  rack.name = "rack1";
  rack.hosts = {"h1", "h2"};
  policy_.fault_domains.push_back(rack);
  AffinityRule together = rule<AffinityRule>("near", {"a", "b"});
  together.by_fault_domain = true;
  policy_.affinity.push_back(together);
  EXPECT_EQ(refused_move(0, 1), "") << "another host, the same rack";
  EXPECT_EQ(refused_move(0, 2), "affinity:near");
}

TEST_F(Rules, ReservationCountsUsedOrNot) {
  ReservationRule reservation = rule<ReservationRule>("gold", {"c"});
  reservation.cpu_cores = 1.5;
  reservation.memory_bytes = 2 * kGiB;
  policy_.reservations.push_back(reservation);
  EXPECT_EQ(refused_move(0, 1), "headroom") << "1.5 of h2's 1.8 are c's own";
  EXPECT_EQ(refused_quota(2, 0.4), "reservation:gold") << "nothing is taken below it";
  EXPECT_EQ(refused_move(0, 2), "");
}

TEST_F(Rules, HeadroomMayBeAHostsOwn) {
  HeadroomRule headroom;
  headroom.name = "thin";
  headroom.hosts = {"h2"};
  headroom.cpu = 0.7;
  policy_.headrooms.push_back(headroom);
  EXPECT_EQ(refused_move(0, 1), "headroom");
  EXPECT_THAT(reason_, HasSubstr("0.60 of its 2.00 are allowed"));
  EXPECT_EQ(refused_move(0, 2), "");
}

TEST_F(Rules, SleepingHostsTakeVmsOnlyWhereTheyMayBeWoken) {
  cluster_.find_host("h3").asleep = true;
  cluster_.find_host("h3").fresh = false;
  EXPECT_EQ(refused_move(0, 2), "staleness");
  EXPECT_THAT(reason_, HasSubstr("is asleep"));
  policy_.strategies.consolidate = true;
  EXPECT_EQ(refused_move(0, 2), "");
}

// What one VM leaves is there for the next, which waits for it.
TEST_F(Rules, RoomOfThoseWhoLeftCounts) {
  cluster_.find("c").allocation.memory_bytes = cluster_.find("c").memory_resident_bytes = 6 * kGiB;
  cluster_.find("a").allocation.memory_bytes = cluster_.find("a").memory_resident_bytes = 3 * kGiB;
  EXPECT_EQ(refused_move(0, 1), "headroom");
  earlier_ = {move(2, 2)};
  EXPECT_EQ(refused_move(0, 1), "");
}

TEST_F(Rules, MaintenanceTakesNobodyIn) {
  cluster_.find_host("h2").maintenance = true;
  EXPECT_EQ(refused_move(0, 1), "maintenance");
  EXPECT_EQ(refused_move(2, 2), "");
}

TEST_F(Rules, PinAllowsOnlyItsHosts) {
  PinRule pin = rule<PinRule>("licence", {"a"});
  pin.hosts = {"h[13]"};
  policy_.pins.push_back(pin);
  EXPECT_EQ(refused_move(0, 1), "pin:licence");
  EXPECT_EQ(refused_move(0, 2), "");
  EXPECT_EQ(refused_move(1, 1), "");
}

TEST_F(Rules, AntiAffinityKeepsApart) {
  AffinityRule apart = rule<AffinityRule>("web", {"a", "c"});
  apart.apart = true;
  policy_.affinity.push_back(apart);
  EXPECT_EQ(refused_move(0, 1), "anti_affinity:web");
  EXPECT_THAT(reason_, HasSubstr("apart from c, on h2"));
  EXPECT_EQ(refused_move(0, 2), "");
}

TEST_F(Rules, AffinityKeepsTogether) {
  policy_.affinity.push_back(rule<AffinityRule>("pair", {"a", "b"}));
  EXPECT_EQ(refused_move(0, 1), "affinity:pair");
  policy_.affinity.front().hard = false;
  EXPECT_EQ(refused_move(0, 1), "");
}

TEST_F(Rules, SizeBoundsWhatIsGiven) {
  SizeRule size = rule<SizeRule>("small", {"a"});
  size.cpu_cores_max = 0.6;
  policy_.sizes.push_back(size);
  EXPECT_EQ(refused_quota(0, 0.6), "");
  EXPECT_EQ(refused_quota(0, 0.7), "size:small");
  EXPECT_EQ(refused_quota(1, 0.7), "");
}

// Who is outside already may come nearer, not go further.
TEST_F(Rules, SizeLetsOutsidersComeBack) {
  SizeRule size = rule<SizeRule>("small", {"a"});
  size.cpu_cores_max = 0.3;
  policy_.sizes.push_back(size);
  EXPECT_EQ(refused_quota(0, 0.4), "");
  EXPECT_EQ(refused_quota(0, 0.55), "size:small");
}

TEST_F(Rules, ConcurrencyCountsThePlan) {
  policy_.limits.concurrent_migrations_per_host = 1;
  cluster_.ready();
  earlier_ = {move(0, 1)};
  EXPECT_EQ(refused_move(1, 2), "concurrency");
  EXPECT_EQ(refused_move(2, 2), "concurrency");
  policy_.limits.concurrent_migrations_per_host = 2;
  EXPECT_EQ(refused_move(1, 2), "");
  policy_.limits.concurrent_migrations = 1;
  EXPECT_EQ(refused_move(1, 2), "concurrency");
}

TEST_F(Rules, HeadroomKeepsCpuFree) {
  cluster_.find("c").allocation.cpu_quota_us = -1;
  set_flat_cpu(cluster_.find("c"), cluster_.state.now, 1.5);
  EXPECT_EQ(refused_move(0, 1), "headroom");
  EXPECT_THAT(reason_, HasSubstr("1.80 of its 2.00"));
  EXPECT_EQ(refused_move(0, 2), "");
}

// A controller that had just been started moved a VM on the strength of five ticks.
TEST_F(Rules, NothingIsDoneAboutAVmOfWhichTooLittleIsKnown) {
  cluster_.find("a").forecasts[forecast::Resource::kCpu].model = forecast::kColdStart;
  EXPECT_EQ(refused_move(0, 2), "cold_start");
  EXPECT_EQ(refused_quota(0, 0.8), "cold_start");
  EXPECT_EQ(refused_move(1, 2), "");
  cluster_.find_host("h1").maintenance = true;
  EXPECT_EQ(refused_move(0, 2), "");
  EXPECT_EQ(refused_quota(0, 0.8), "cold_start");
}

// A VM that its quota held at 0.49 of a core while its host had 0.15 to spare was refused more, for good.
TEST_F(Rules, HeadroomIsThereForVmsToGrowInto) {
  set_flat_cpu(cluster_.find("c"), cluster_.state.now, 1.9);
  EXPECT_EQ(refused_quota(2, 1.9), "");
  earlier_ = {move(1, 1)};
  EXPECT_EQ(refused_quota(2, 1.9), "headroom");
  EXPECT_THAT(reason_, HasSubstr("2.00 of its 2.00 are allowed"));
}

// ProxLB issue 378: 70 GB moved onto a 58.75 GB host.
TEST_F(Rules, HeadroomNeverOvercommitsMemory) {
  cluster_.find("a").allocation.memory_bytes = 7 * kGiB;
  EXPECT_EQ(refused_move(0, 1), "headroom");  // 8 GiB host with a GiB taken
  EXPECT_EQ(refused_move(0, 2), "");          // 7.0 of 7.2
  cluster_.find("a").allocation.memory_bytes = 7500 * kMiB;
  EXPECT_EQ(refused_move(0, 2), "headroom");
}

// What the host itself says counts too: other things than VMs use memory.
TEST_F(Rules, HeadroomBelievesTheHost) {
  cluster_.ready();
  cluster_.find_host("h2").memory_available_bytes = kGiB;
  EXPECT_EQ(refused(move(0, 1)), "headroom");
}

TEST_F(Rules, TwoArrivalsShareTheRoom) {
  cluster_.find("a").allocation.memory_bytes = 4 * kGiB;
  cluster_.find("b").allocation.memory_bytes = 4 * kGiB;
  cluster_.ready();
  earlier_ = {move(0, 2)};
  EXPECT_EQ(refused(move(1, 2)), "headroom");
}

TEST(Selector, MatchesNamesIdsAndTags) {
  VmState vm;
  vm.id = VmId("0a1b");
  vm.name = "web1";
  vm.groups = {{"tier", "front"}};
  EXPECT_TRUE(selects_vm({"web?"}, vm));
  EXPECT_TRUE(selects_vm({"0a1b"}, vm));
  EXPECT_TRUE(selects_vm({"@tier=f*"}, vm));
  EXPECT_TRUE(selects_vm({"@tier"}, vm));
  EXPECT_FALSE(selects_vm({"@tier=back", "db*", "web"}, vm));
  EXPECT_TRUE(selects_host({"h*"}, HostId("h2")));
  EXPECT_FALSE(selects_host({"h1"}, HostId("h2")));
}

}  // namespace
}  // namespace proteus::ham
