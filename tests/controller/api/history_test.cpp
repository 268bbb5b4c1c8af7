#include "controller/api/history.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "controller/api/json_view.h"
#include "tests/temporary_directory.h"

namespace proteus::api {
namespace {

using std::chrono::seconds;
using store::JournalEntry;

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);
const std::string kWeb = "00000000-0000-4000-8000-000000000001";
const std::string kGone = "00000000-0000-4000-8000-000000000009";

using Given = std::multimap<std::string, std::string>;

class History : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = store::Store::open({.directory = directory_ / "store"});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
    auto state = std::make_shared<ham::ClusterState>();
    state->vms.resize(1);
    state->vms[0].id = VmId(kWeb);
    state->vms[0].name = "web";
    names_.state = state;
    add(0, store::Started{});
    add(1, store::Cycle{1, 2, 3});
    add(2, intended(7, kWeb, "h1", "h2"));
    add(3, intended(8, kGone, "h3", ""));
    for (const ActionId action : {7, 8}) {
      drs::Transition step;
      step.action = action;
      step.to = drs::ActionState::kSent;
      add(4, step);
    }
    add(5, store::AgentPresence{HostId("h2"), true, ""});
    add(6, store::OperatorInput{store::OperatorInput::Kind::kApprove, 7, {}, "ann"});
    Command command;
    command.action = 8;
    command.vm = VmId(kGone);
    command.host = HostId("h3");
    add(7, command);
  }
  void add(int at_s, store::JournalPayload payload) {
    std::vector<JournalEntry> one = {{0, kStart + seconds(at_s), std::move(payload)}};
    ASSERT_TRUE(store_->append(one));
  }
  static drs::ActionRecord intended(ActionId id, const std::string& vm, const std::string& host,
                                    const std::string& target) {
    drs::ActionRecord record;
    record.action.id = id;
    record.action.vm = VmId(vm);
    record.action.host = HostId(host);
    record.action.operation = SetVcpus{2};
    if (!target.empty())
      record.action.operation = Migrate{.target = HostId(target), .target_libvirt_uri = "", .migrate_uri = ""};
    return record;
  }
  Result<HistoryFilter> parse(const Given& given) {
    return parse_history(
        [&](const char* name) {
          std::vector<std::string> values;
          const auto [begin, end] = given.equal_range(name);
          for (auto at = begin; at != end; ++at) values.push_back(at->second);
          return values;
        },
        names_, nullptr, kStart + seconds(100));
  }
  /// "7 command", newest first: the second of each and its kind.
  std::vector<std::string> found(const Given& given) {
    const auto filter = parse(given);
    EXPECT_TRUE(filter) << filter.error().message;
    store::Allowance unlimited;
    const auto numbers = find_history(*store_, *filter, {}, unlimited);
    EXPECT_TRUE(numbers) << numbers.error().message;
    std::vector<std::string> words;
    for (const std::uint64_t lsn : *numbers) {
      const auto entry = store_->journal_entry(lsn);
      EXPECT_TRUE(entry && *entry);
      words.push_back(std::to_string(((*entry)->time - kStart) / seconds(1)) + " " + kind_of((*entry)->payload));
    }
    return words;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<store::Store> store_;
  Snapshot names_;
};

using Words = std::vector<std::string>;

TEST_F(History, LeavesOutDetailsUnlessAllOrTheirKindIsAskedFor) {
  EXPECT_EQ(found({{"limit", "3"}}), (Words{"6 operator", "5 agent", "4 transition"}));
  EXPECT_EQ(found({{"limit", "2"}, {"all", "1"}}), (Words{"7 command", "6 operator"}));
  EXPECT_EQ(found({{"kind", "cycle"}, {"kind", "command"}}), (Words{"7 command", "1 cycle"}));
}

TEST_F(History, OfAVmIsWhatIsSaidOfItsActionsToo) {
  const Words web = {"6 operator", "4 transition", "2 action"};
  EXPECT_EQ(found({{"vm", "web"}}), web);
  EXPECT_EQ(found({{"vm", kWeb}, {"all", "1"}}), web);
  EXPECT_EQ(found({{"vm", kGone}, {"all", "1"}}), (Words{"7 command", "4 transition", "3 action"}));
  EXPECT_EQ(found({{"vm", "web"}, {"vm", kGone}, {"kind", "action"}}), (Words{"3 action", "2 action"}));
  EXPECT_EQ(found({{"vm", "web"}, {"host", "h3"}}), Words{});
}

TEST_F(History, OfAHostIsWhatMovesToIt) {
  EXPECT_EQ(found({{"host", "h2"}}), (Words{"6 operator", "5 agent", "4 transition", "2 action"}));
}

TEST_F(History, OfATimeKnowsTheActionsFromBefore) {
  const std::string from = std::to_string(to_unix_ns(kStart) / 1'000'000'000 + 4);
  EXPECT_EQ(found({{"from", from}, {"vm", "web"}}), (Words{"6 operator", "4 transition"}));
  EXPECT_EQ(found({{"from", from}, {"limit", "1"}}), (Words{"6 operator"}));
  EXPECT_EQ(found({{"to", from}}), (Words{"3 action", "2 action", "0 started"}));
}

TEST_F(History, OfATimeKnowsTheActionsFromBeforeHoweverMuchFollowed) {
  std::vector<JournalEntry> later(kHistoryEntriesMax, {0, kStart + seconds(50), store::Cycle{}});
  ASSERT_TRUE(store_->append(later));
  const auto at = [](int s) { return std::to_string(to_unix_ns(kStart) / 1'000'000'000 + s); };
  EXPECT_EQ(found({{"from", at(4)}, {"to", at(10)}, {"vm", "web"}}), (Words{"6 operator", "4 transition"}));
}

TEST_F(History, IsNotReadForNobody) {
  for (const Given& given : {Given{}, Given{{"vm", "web"}}, Given{{"from", "0"}}}) {
    const auto filter = parse(given);
    ASSERT_TRUE(filter);
    store::Allowance allowance(1 << 20, [] { return false; });
    const auto numbers = find_history(*store_, *filter, {}, allowance);
    ASSERT_FALSE(numbers);
    EXPECT_EQ(numbers.error().code, ErrorCode::kUnavailable);
  }
}

TEST_F(History, WhatNobodyIsOrCanBeIsRefused) {
  const auto error = [&](const Given& given) {
    const auto filter = parse(given);
    return filter ? "" : filter.error().message;
  };
  EXPECT_EQ(error({{"vm", "nobody"}}), "there is no VM 'nobody', nor was one measured; any is found by its UUID");
  EXPECT_NE(error({{"kind", "opinion"}}).find("'opinion' is no kind of entry: started, "), std::string::npos);
  EXPECT_EQ(error({{"limit", "0"}}), "limit must be from 1 to 100000");
  EXPECT_NE(error({{"from", "-1m"}, {"to", "-2m"}}).find("is not before"), std::string::npos);
}

// It was answered by nothing, as a host is of which nothing has been told.
TEST_F(History, AHostThatNobodyKnowsIsSaidToBeThat) {
  auto state = std::make_shared<ham::ClusterState>(*names_.state);
  state->hosts.resize(1);
  state->hosts[0].id = HostId("h7");
  names_.state = state;
  const auto checked = [&](const Given& given) {
    store::Allowance unlimited;
    return check_hosts(*store_, *parse(given), names_, unlimited);
  };
  EXPECT_TRUE(checked({}));
  EXPECT_TRUE(checked({{"host", "h7"}, {"host", "h3"}})) << "one is there, the other in the journal";
  const Status unknown = checked({{"host", "h3"}, {"host", "h9"}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(unknown.error().message, "there is no host 'h9', and nothing is told of one");
}

TEST(HistoryKinds, AreTheTypesInJson) {
  const std::vector<store::JournalPayload> payloads = {store::Started{},
                                                       store::Cycle{},
                                                       store::AgentPresence{},
                                                       store::OperatorInput{},
                                                       Update{},
                                                       ham::Decision{},
                                                       drs::ActionRecord{},
                                                       drs::Transition{},
                                                       Command{},
                                                       store::SignalInput{},
                                                       store::ForecastState{},
                                                       store::LearningState{},
                                                       ham::learning::Outcome{},
                                                       store::ProfileState{}};
  EXPECT_EQ(payloads.size(), std::variant_size_v<store::JournalPayload>);
  for (const store::JournalPayload& payload : payloads) {
    EXPECT_EQ(to_json(JournalEntry{0, kStart, payload})["type"], kind_of(payload));
  }
}

}  // namespace
}  // namespace proteus::api
