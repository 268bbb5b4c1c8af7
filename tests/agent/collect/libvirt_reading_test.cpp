#include "agent/collect/libvirt_reading.h"

#include <gtest/gtest.h>

#include "common/units.h"

namespace proteus::collect {
namespace {

/// What libvirt tells of a domain.
class Record {
 public:
  Record(std::initializer_list<std::pair<const char*, std::int64_t>> numbers,
         std::initializer_list<std::pair<const char*, const char*>> texts = {}) {
    virInitialize();
    int room = 0;
    for (const auto& [name, value] : numbers)
      virTypedParamsAddULLong(&record_.params, &record_.nparams, &room, name, static_cast<unsigned long long>(value));
    for (const auto& [name, text] : texts)
      virTypedParamsAddString(&record_.params, &record_.nparams, &room, name, text);
  }
  ~Record() { virTypedParamsFree(record_.params, record_.nparams); }
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;
  /// An hour after the host has started, at second 1,000,000,000 of the epoch.
  DomainStatistics read() const { return statistics_of(record_, {now(), wall_}); }
  static std::chrono::steady_clock::time_point now() {
    return std::chrono::steady_clock::time_point(std::chrono::hours(1));
  }

 private:
  const std::chrono::system_clock::time_point wall_{std::chrono::seconds(1'000'000'000)};
  virDomainStatsRecord record_{};
};

using std::chrono::seconds;

TEST(StatisticsOf, ADirtyRateIsAsOldAsItsMeasurement) {
  const Record measured{
      {"dirtyrate.calc_status", 2}, {"dirtyrate.calc_start_time", 3'590}, {"dirtyrate.megabytes_per_second", 3}};
  EXPECT_EQ(measured.read().memory_dirty_bytes_per_s, 3 * kMiB);
  EXPECT_EQ(measured.read().dirty_rate_began_at, Record::now() - seconds(10));
  const Record since_8_2{
      {"dirtyrate.calc_status", 2}, {"dirtyrate.calc_start_time", 999'999'980}, {"dirtyrate.megabytes_per_second", 3}};
  EXPECT_EQ(since_8_2.read().dirty_rate_began_at, Record::now() - seconds(20)) << "by the wall clock";
  const Record measuring{{"dirtyrate.calc_status", 1}, {"dirtyrate.calc_start_time", 3'599}};
  EXPECT_EQ(measuring.read().memory_dirty_bytes_per_s, std::nullopt);
  EXPECT_TRUE(measuring.read().can_measure);
}

TEST(StatisticsOf, AGuestsReportIsAsOldAsItSays) {
  const Record reported{{"balloon.usable", 5}, {"balloon.last-update", 999'999'990}, {"balloon.rss", 9}};
  EXPECT_EQ(reported.read().guest_memory_usable_bytes, 5 * kKiB);
  EXPECT_EQ(reported.read().guest_memory_told_at, Record::now() - seconds(10));
  EXPECT_TRUE(reported.read().qemu_answered);
  const Record ahead{{"balloon.usable", 5}, {"balloon.last-update", 1'000'009'000}, {"balloon.rss", 9}};
  EXPECT_EQ(ahead.read().guest_memory_told_at, Record::now()) << "the clock was set back since";
  const Record never{{"balloon.last-update", 0}, {"balloon.rss", 9}};
  EXPECT_LT(never.read().guest_memory_told_at, Record::now() - std::chrono::hours(24));
  const Record busy{{"balloon.current", 100}, {"balloon.maximum", 100}};
  EXPECT_FALSE(busy.read().qemu_answered) << "libvirt knows that by itself";
}

TEST(StatisticsOf, ABusyDomainsDisksAreNotKnownThoughNamed) {
  const Record busy{{{"block.count", 1}, {"block.0.capacity", 5}}, {{"block.0.name", "vda"}}};
  EXPECT_FALSE(busy.read().disks);
  const Record answered{{{"block.count", 2}, {"block.1.rd.bytes", 5}},
                        {{"block.0.name", "sda"}, {"block.1.name", "vda"}}};
  ASSERT_TRUE(answered.read().disks);
  EXPECT_EQ(answered.read().disks->size(), 2u);
  const Record diskless{{"block.count", 0}};
  ASSERT_TRUE(diskless.read().disks);
  EXPECT_TRUE(diskless.read().disks->empty());
}

/// Domains of two connections, for which libvirt refuses one call.
class TwoConnections : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(mine && other);
    ASSERT_TRUE(domains && strangers);
    ASSERT_FALSE(domains->empty() || strangers->empty());
  }
  const Result<Connection> mine = connect("test:///default");
  const Result<Connection> other = connect("test:///default");
  Result<std::vector<Domain>> domains = active_domains(mine->get());
  Result<std::vector<Domain>> strangers = active_domains(other->get());
};
using ReadStatistics = TwoConnections;
using ReadStates = TwoConnections;

TEST_F(ReadStatistics, ADomainThatFailsTheCallForAllDoesNotKeepTheOthersFromBeingRead) {
  for (Domain& stranger : *strangers) domains->push_back(std::move(stranger));
  const auto read = read_statistics(*domains);
  ASSERT_TRUE(read) << read.error().message;
  for (const Domain& domain : *domains) EXPECT_TRUE(read->contains(domain_id(domain.get())));
}

TEST(LibvirtStatistics, OfAllLeavesOutThoseThatAreNotToBeAsked) {
  const auto source = libvirt_statistics("test:///default");
  const auto all = source->ask({.all = true, .except = {}, .vms = {}, .measure = {}});
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_FALSE(all->empty());
  const auto rest = source->ask({.all = true, .except = {all->begin()->first}, .vms = {}, .measure = {}});
  ASSERT_TRUE(rest) << rest.error().message;
  EXPECT_EQ(rest->size(), all->size() - 1);
}

TEST_F(ReadStates, TellsThemAlsoIfTheCallForAllFails) {
  const VmId id = domain_id(domains->front().get());
  const auto told = [&id](const std::vector<Domain>& listed) {
    std::map<VmId, VmFacts> vms;
    vms[id].memory_dirty_bytes_per_s = 7;
    const Status read = read_states(listed, vms);
    EXPECT_TRUE(read) << read.error().message;
    return vms.at(id);
  };
  EXPECT_EQ(told(*domains).state, VIR_DOMAIN_RUNNING);
  EXPECT_EQ(told(*domains).memory_dirty_bytes_per_s, 7);
  ASSERT_EQ(virDomainSuspend(domains->front().get()), 0);
  EXPECT_EQ(told(*domains).state, VIR_DOMAIN_PAUSED);
  EXPECT_EQ(told(*domains).memory_dirty_bytes_per_s, std::nullopt);
  for (Domain& stranger : *strangers) domains->push_back(std::move(stranger));
  EXPECT_EQ(told(*domains).state, VIR_DOMAIN_PAUSED);
}

TEST(DomainList, TellsActiveDomainsWithTheirStates) {
  const Result<Connection> connection = connect("test:///default");
  ASSERT_TRUE(connection);
  const auto domains = active_domains(connection->get());
  ASSERT_TRUE(domains);
  ASSERT_FALSE(domains->empty());
  ASSERT_EQ(virDomainSuspend(domains->front().get()), 0);
  const auto list = DomainList::read(connection->get());
  ASSERT_TRUE(list) << list.error().message;
  ASSERT_EQ(list->rows().size(), domains->size());
  const VmId paused = domain_id(domains->front().get());
  for (const DomainList::Row& row : list->rows()) {
    char uuid[VIR_UUID_STRING_BUFLEN] = {};
    ASSERT_EQ(virDomainGetUUIDString(row.domain, uuid), 0);
    EXPECT_EQ(row.id.value, uuid);
    EXPECT_EQ(row.state, row.id == paused ? VIR_DOMAIN_PAUSED : VIR_DOMAIN_RUNNING);
  }
}

TEST(ReadDescription, TheSameXmlIsNotParsedAgain) {
  const Result<Connection> connection = connect("test:///default");
  ASSERT_TRUE(connection);
  const auto domains = active_domains(connection->get());
  ASSERT_TRUE(domains);
  ASSERT_FALSE(domains->empty());
  VmFacts facts;
  std::uint64_t hash = 0;
  const auto read = [&](std::uint64_t seed) {
    facts.description.unmovable = "as before";
    return static_cast<bool>(read_description(domains->front().get(), seed, hash, facts));
  };
  EXPECT_TRUE(read(1));
  EXPECT_NE(facts.description.unmovable, "as before");
  const std::uint64_t first = hash;
  EXPECT_NE(first, 0u);
  EXPECT_TRUE(read(1));
  EXPECT_EQ(facts.description.unmovable, "as before");
  EXPECT_EQ(hash, first);
  EXPECT_TRUE(read(2)) << "something else is mounted";
  EXPECT_NE(facts.description.unmovable, "as before");
  EXPECT_NE(hash, first);
}

}  // namespace
}  // namespace proteus::collect
