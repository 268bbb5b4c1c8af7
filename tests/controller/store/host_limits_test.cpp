// Nothing that a host says ends the program.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "controller/store/rocks_store.h"
#include "tests/controller/store/series_feed.h"
#include "tests/controller/store/temporary_directory.h"

namespace proteus::store {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'400'000'000'000);  // 2023-11-14 22:20:00

class HostLimits : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    store_.reset();
    auto opened = RocksStore::open({.directory = directory_ / "store"});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  void append(std::vector<RawMessage> messages) {
    std::move(messages.begin(), messages.end(), std::back_inserter(unwritten_));
    if (unwritten_.size() >= 5000) flush();
  }
  void flush() {
    ASSERT_TRUE(store_->append(unwritten_));
    unwritten_.clear();
    ASSERT_TRUE(store_->write_pages());
  }
  std::size_t samples_count(const std::string& vm) const {
    SeriesSelector selector;
    selector.kpi = Kpi::kEmulatorTimeNs;
    if (!vm.empty()) selector.vms = {vm};
    std::size_t count = 0;
    const Status read = store_->series()->read_samples(selector, 0, to_us(kStart + hours(24 * 100)),
                                                       [&](const SeriesReader::HostSamples& host) {
                                                         for (const auto& one : host.series) {
                                                           count += one.second.values.size();
                                                         }
                                                         return true;
                                                       });
    EXPECT_TRUE(read) << read.error().message;
    return count;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<RocksStore> store_;
  std::vector<RawMessage> unwritten_;
  SeriesFeed feed_{"h1"};
};

TEST_F(HostLimits, TicksCloserToEachOtherThanAnyAgentTicksAreKept) {
  feed_.set_entities({{vm_entity("web1", "11111111-1111-4111-8111-111111111111"), {{0, Kpi::kEmulatorTimeNs, 0}}}});
  constexpr std::size_t kTicks = 70'000;  // more than a page has
  for (std::size_t i = 0; i < kTicks; ++i) {
    append(feed_.tick(kStart + milliseconds(i), {static_cast<std::int64_t>(1000 * i)}));
  }
  append(feed_.tick(kStart + minutes(30), {0}));  // their window has ended
  flush();
  EXPECT_EQ(samples_count("web1"), kTicks + 1);
}

TEST_F(HostLimits, TwoEntitiesThatNothingTellsApartAreOne) {
  const std::string uuid = "11111111-1111-4111-8111-111111111111";
  feed_.set_entities({{vm_entity("web1", uuid), {{0, Kpi::kEmulatorTimeNs, 0}}},
                      {vm_entity("web2", uuid), {{0, Kpi::kEmulatorTimeNs, 0}}}});
  for (int i = 0; i < 10; ++i) append(feed_.tick(kStart + seconds(i), {1000, 2000}));
  flush();
  ASSERT_TRUE(store_->expire(kStart + hours(1)));  // it is idle: what waits is sealed
  EXPECT_EQ(samples_count(""), 10u);
}

}  // namespace
}  // namespace proteus::store
