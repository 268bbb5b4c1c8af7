#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "controller/api/series_export.h"
#include "controller/store/query.h"
#include "controller/store/rocks_store.h"
#include "tests/controller/store/series_feed.h"
#include "tests/temporary_directory.h"

namespace proteus::api {
namespace {

using std::chrono::seconds;
using store::Across;
using store::Function;

const Timestamp kStart = from_unix_ns(1'700'006'400'000'000'000);  // 2023-11-15T00:00:00Z

std::string uuid_of(int vm) {
  return "00000000-0000-4000-8000-00000000000" + std::to_string(vm);
}

/// Three VMs; the first two are of tier "web", and the second was not there in the first minute.
class SeveralVms : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = store::RocksStore::open({.directory = directory_ / "store"});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
    store::SeriesFeed feed("h1");
    std::vector<std::pair<Entity, std::vector<Series>>> vms;
    for (int vm = 1; vm <= 3; ++vm) {
      const std::string tier = vm < 3 ? "web" : "db";
      vms.push_back({store::vm_entity("vm" + std::to_string(vm), uuid_of(vm), {{"tier", tier}}),
                     {{0, Kpi::kMemoryResidentBytes, 0}, {0, Kpi::kRunQueueLatencyNs, 4}}});
    }
    feed.set_entities(std::move(vms));
    std::vector<store::RawMessage> messages;
    for (std::int64_t i = 0; i < 180; ++i) {
      const std::optional<std::int64_t> later = i < 60 ? std::nullopt : std::optional<std::int64_t>(3000 - i);
      for (auto& message : feed.tick(kStart + seconds(i), {1000 + i, i, later, 2 * i, 500, 3 * i}))
        messages.push_back(std::move(message));
    }
    ASSERT_TRUE(store_->append(messages));
    ASSERT_TRUE(store_->write_pages());
    query_.selector.kpi = Kpi::kMemoryResidentBytes;
    query_.from = kStart;
    query_.to = kStart + seconds(180);
  }

  struct Line {
    std::string name;
    std::vector<std::optional<double>> points;
    bool operator==(const Line&) const = default;
  };
  std::vector<Line> answer(store::Query query, std::vector<std::string> vms) {
    query.selector.vms = std::move(vms);
    std::vector<Line> lines;
    const Status run = run_query(*store_->series(), query, [&](const store::QueryResult& line) {
      std::string name = line.vm;
      for (const auto& [key, value] : line.group) name += key + "=" + value;
      lines.push_back({name + " of " + std::to_string(line.members), line.points});
      return true;
    });
    EXPECT_TRUE(run) << run.error().message;
    return lines;
  }
  static std::vector<std::string> names(const std::vector<Line>& lines) {
    std::vector<std::string> all;
    for (const Line& line : lines) all.push_back(line.name);
    return all;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<store::RocksStore> store_;
  store::Query query_;
};

TEST_F(SeveralVms, EachForItselfOnceHoweverItIsNamed) {
  const std::vector<std::string> both = {"vm1 of 1", "vm2 of 1"};
  EXPECT_EQ(names(answer(query_, {"vm2", "vm1"})), both);
  EXPECT_EQ(names(answer(query_, {"vm2", uuid_of(1), uuid_of(2), "vm1"})), both);
  EXPECT_EQ(answer(query_, {}).size(), 3u);
}

TEST_F(SeveralVms, JoinedAsIfALabelHadSelectedThem) {
  store::Query by_label = query_;
  by_label.selector.labels = {{"tier", "web"}};
  for (const Across across : {Across::kSum, Across::kMean, Across::kMin, Across::kMax}) {
    for (const std::vector<std::string>& by : {std::vector<std::string>{}, {"host"}, {"vm"}, {"tier"}}) {
      query_.across = by_label.across = across;
      query_.by = by_label.by = by;
      const std::vector<Line> lines = answer(query_, {"vm1", "vm2"});
      EXPECT_FALSE(lines.empty());
      EXPECT_EQ(lines, answer(by_label, {}));
      EXPECT_EQ(answer(query_, {uuid_of(1), "vm1", "vm2"}), lines) << "a VM counts once";
    }
  }
}

TEST_F(SeveralVms, AQuantileOverThem) {
  query_.selector.kpi = Kpi::kRunQueueLatencyNs;
  query_.function = Function::kQuantile;
  query_.across = Across::kSum;
  store::Query by_label = query_;
  by_label.selector.labels = {{"tier", "web"}};
  const std::vector<Line> lines = answer(query_, {"vm1", "vm2"});
  EXPECT_FALSE(lines.empty());
  EXPECT_EQ(lines, answer(by_label, {}));
}

TEST_F(SeveralVms, TheHighestAreThoseOfAll) {
  query_.top = 2;
  EXPECT_EQ(names(answer(query_, {"vm3", "vm1", "vm2"})), (std::vector<std::string>{"vm2 of 1", "vm1 of 1"}));
  query_.across = Across::kSum;
  query_.by = {"tier"};
  query_.top = 1;
  EXPECT_EQ(names(answer(query_, {"vm3", "vm1", "vm2"})), std::vector<std::string>{"tier=web of 2"});
}

TEST_F(SeveralVms, OneOfThemMustHaveWhatIsGroupedBy) {
  query_.across = Across::kSum;
  query_.by = {"tier", "host"};
  query_.selector.vms = {"vm1", "vm3"};
  EXPECT_TRUE(store_->series()->selection().check_groups(query_.selector, query_.by));
  query_.by = {"colour"};
  EXPECT_EQ(store_->series()->selection().check_groups(query_.selector, query_.by).error().code, ErrorCode::kNotFound);
}

TEST_F(SeveralVms, AnExportHasEachOnceAndOneHeadForAKpi) {
  const auto exported = [&](const std::vector<std::string>& vms) {
    std::vector<store::SeriesSelector> selectors;
    for (const Kpi kpi : {Kpi::kMemoryResidentBytes, Kpi::kRunQueueLatencyNs}) {
      store::SeriesSelector& selector = selectors.emplace_back();
      selector.kpi = kpi;
      selector.vms = vms;
    }
    std::string text;
    const std::int64_t from_us = store::to_us(kStart + seconds(100));
    store::Allowance unlimited;
    const Exported what{selectors, from_us, from_us + 1'000'000, ExportFormat::kOpenMetrics, {}};
    EXPECT_TRUE(export_series(*store_->series(), what, unlimited, [&](std::string_view piece) {
      text += piece;
      return true;
    }));
    return text;
  };
  const std::string text = exported({"vm1", "vm2"});
  EXPECT_EQ(exported({"vm1", uuid_of(1), "vm2", uuid_of(2)}), text);
  const auto count = [&](const std::string& what) {
    int times = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++times;
    return times;
  };
  EXPECT_EQ(count("# TYPE"), 2) << text;
  EXPECT_EQ(count("proteus_memory_resident_bytes{"), 2) << text;
  EXPECT_EQ(count("le=\"+Inf\"} "), 2) << text;
}

}  // namespace
}  // namespace proteus::api
