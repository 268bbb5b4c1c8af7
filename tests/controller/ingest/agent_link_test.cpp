#include "controller/ingest/agent_link.h"

#include <gtest/gtest.h>

#include "tests/common/wire/eventually.h"
#include "tests/controller/ingest/loopback.h"

namespace proteus::ingest {
namespace {

using namespace std::chrono_literals;

class AgentLinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    AgentLinkOptions options;
    options.endpoint = "tcp://127.0.0.1:*";
    options.keys = loopback_.server_keys;
    options.controller = "c1";
    options.term = 7;
    options.hello_interval = 200ms;
    options.socket = loopback_.socket;
    auto started = AgentLink::start(loopback_.context, options, *loopback_.authorized, clock_, events_);
    ASSERT_TRUE(started) << started.error().message;
    link_ = std::move(*started);
    connect();
  }
  void connect() {
    dealer_ = std::make_unique<zmq::socket_t>(
        std::move(*wire::make_dealer(loopback_.context, link_->endpoint(), loopback_.agent_keys,
                                     loopback_.server_keys.public_key, loopback_.socket)));
  }
  void say(const std::string& bytes) {
    ASSERT_TRUE(eventually([&] { return wire::send(*dealer_, bytes).has_value(); }));
  }
  void say_hello(const std::string& leader, Term term = 7, const std::string& host = "h1", std::uint64_t boot_id = 1) {
    say(wire::encode(wire::Hello{HostId(host), boot_id, leader, term, 10000, "0.1.0"}));
  }
  /// The next message from the controller.
  std::optional<wire::FromController> hear() {
    std::optional<wire::FromController> heard;
    eventually([&] {
      auto message = wire::receive(*dealer_);
      if (message && *message) {
        auto decoded = wire::decode_from_controller((*message)->to_string_view());
        if (decoded) heard = std::move(*decoded);
      }
      return heard.has_value();
    });
    return heard;
  }
  std::optional<AgentEvent> event() { return events_.pop_for(10s); }
  std::optional<store::AgentPresence> presence() {
    const auto next = event();
    if (!next || !std::holds_alternative<store::AgentPresence>(next->what)) return std::nullopt;
    return std::get<store::AgentPresence>(next->what);
  }
  static Command inspect(std::uint64_t id, const std::string& host = "h1") {
    Command command;
    command.id = id;
    command.controller = "c1";
    command.term = 7;
    command.host = HostId(host);
    command.vm = VmId("0f0e7a52-93b1-4c7c-8a55-0123456789ab");
    command.operation = Inspect{};
    return command;
  }

  Loopback loopback_;
  SystemClock clock_;
  Queue<AgentEvent> events_{1000, WhenFull::kRefuse};
  std::unique_ptr<AgentLink> link_;
  std::unique_ptr<zmq::socket_t> dealer_;
};

TEST_F(AgentLinkTest, AnAgentIsCommandableOnceItFollowsUs) {
  say_hello("");
  auto state = presence();
  ASSERT_TRUE(state);
  EXPECT_EQ(state->host, HostId("h1"));
  EXPECT_FALSE(state->commandable);
  const auto welcome = hear();
  ASSERT_TRUE(welcome);
  EXPECT_EQ(std::get<wire::Welcome>(*welcome).controller, "c1");
  EXPECT_EQ(std::get<wire::Welcome>(*welcome).term, 7u);
  say_hello("c1");
  state = presence();
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->commandable);
  EXPECT_EQ(link_->status().agents.at(0).commandable, true);
  say_hello("c1");  // no news
  EXPECT_TRUE(hear());
  EXPECT_TRUE(hear());
  EXPECT_EQ(events_.size(), 0u);
  state = presence();  // and then it falls silent
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->commandable);
  EXPECT_NE(state->reason.find("no word"), std::string::npos);
}

TEST_F(AgentLinkTest, AnAgentOfAnotherLeaderOrANewerTermIsNotOurs) {
  say_hello("c2");
  auto state = presence();
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->commandable);
  EXPECT_EQ(state->reason, "follows controller c2");
  say_hello("c1", 8);
  state = presence();
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->commandable);
  EXPECT_NE(state->reason.find("term 8"), std::string::npos);
}

TEST_F(AgentLinkTest, AHostThatTwoAgentsSayTheyAreTakesNoCommands) {
  say_hello("c1", 7, "h1", 1);
  auto state = presence();
  ASSERT_TRUE(state && state->commandable);
  say_hello("c1", 7, "h1", 2);  // may have restarted
  say_hello("c1", 7, "h1", 1);
  state = presence();
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->commandable);
  EXPECT_NE(state->reason.find("two agents"), std::string::npos);
  ASSERT_TRUE(link_->send(inspect(42)));
  EXPECT_TRUE(eventually([&] { return link_->status().commands_undeliverable == 1; }));
  // until one of them has been silent for a while
  EXPECT_TRUE(eventually([&] {
    say_hello("c1", 7, "h1", 1);
    return link_->status().agents.at(0).commandable;
  }));
}

TEST_F(AgentLinkTest, CommandsGoOutAndUpdatesComeBack) {
  say_hello("c1");
  ASSERT_TRUE(presence());
  ASSERT_TRUE(hear());  // welcome
  ASSERT_TRUE(link_->send(inspect(42)));
  const auto command = hear();
  ASSERT_TRUE(command);
  EXPECT_EQ(std::get<Command>(*command).id, 42u);

  Update update;
  update.command = 42;
  update.host = HostId("h1");
  update.state = CommandState::kSucceeded;
  update.observed = DomainObservation{true, true, 2, -1, 100000, 1024, kGiB};
  say(wire::encode(update));
  const auto told = event();
  ASSERT_TRUE(told);
  EXPECT_EQ(std::get<Update>(told->what).command, 42u);
  EXPECT_EQ(std::get<Update>(told->what).observed, update.observed);
  EXPECT_FALSE(wire::receive(*dealer_).value());  // nothing is acknowledged before it is journalled
  link_->acknowledge(std::get<Update>(told->what));
  const auto ack = hear();
  ASSERT_TRUE(ack);
  EXPECT_EQ(std::get<wire::UpdateAck>(*ack), (wire::UpdateAck{42, CommandState::kSucceeded}));
  EXPECT_EQ(link_->status().commands_sent, 1u);
}

TEST_F(AgentLinkTest, CommandsFollowAnAgentThatReconnects) {
  say_hello("c1");
  ASSERT_TRUE(presence());
  dealer_.reset();
  connect();
  say_hello("c1");
  ASSERT_TRUE(hear());  // welcome, so the new connection is known
  ASSERT_TRUE(link_->send(inspect(43)));
  const auto command = hear();
  ASSERT_TRUE(command);
  EXPECT_EQ(std::get<Command>(*command).id, 43u);
}

TEST_F(AgentLinkTest, ACommandForAnUnknownHostIsCountedAndDropped) {
  ASSERT_TRUE(link_->send(inspect(44, "h9")));
  ASSERT_TRUE(eventually([&] { return link_->status().commands_undeliverable == 1; }));
}

TEST_F(AgentLinkTest, AHostThatChangesItsMindAllTheTimeIsNotToldOfEachTime) {
  for (int i = 0; i < 200; ++i) {
    say_hello(i % 2 == 0 ? "c1" : "c" + std::to_string(i));
    ASSERT_TRUE(hear());
  }
  ASSERT_TRUE(eventually([&] { return link_->status().changes_held_back > 50; }));
  EXPECT_FALSE(link_->status().agents.at(0).commandable) << "the last it said";
  // The first, those that were left, as many ends, and what was regained meanwhile.
  EXPECT_LE(events_.size(), 100u);
  say_hello("c1");
  ASSERT_TRUE(hear());
  EXPECT_FALSE(link_->status().agents.at(0).commandable) << "it has not been calm";
}

TEST_F(AgentLinkTest, AHostThatNeverPausesIsNotListenedToAllTheTime) {
  Update update;
  update.host = HostId("h1");
  update.state = CommandState::kSucceeded;
  const auto heard = [&] { return link_->status().updates + link_->status().messages_dropped; };
  for (update.command = 1; update.command <= 6000; ++update.command) say(wire::encode(update));
  ASSERT_TRUE(eventually([&] { return heard() == 6000; }));
  EXPECT_GE(link_->status().updates, 4096u);
  EXPECT_GT(link_->status().messages_dropped, 0u);
  // A moment later it is.
  ASSERT_TRUE(eventually([&] {
    const auto before = link_->status().updates;
    say(wire::encode(update));
    return eventually([&] { return link_->status().updates > before || heard() > 6000; }) &&
           link_->status().updates > before;
  }));
}

TEST_F(AgentLinkTest, WordsOfOneHostDoNotTakeTheRoomOfOthers) {
  Update update;
  update.host = HostId("h1");
  update.state = CommandState::kSucceeded;
  for (update.command = 1; update.command <= 3000; ++update.command) say(wire::encode(update));
  ASSERT_TRUE(eventually([&] { return link_->status().updates == 3000; }));
  EXPECT_EQ(link_->status().updates_dropped, 3000u - 1024u);
  // What is taken in makes room.
  for (int i = 0; i < 1024; ++i) ASSERT_TRUE(event());
  say(wire::encode(update));
  const auto told = event();
  ASSERT_TRUE(told);
  EXPECT_EQ(std::get<Update>(told->what).command, update.command);
}

TEST_F(AgentLinkTest, NobodySpeaksForAnotherHost) {
  say_hello("c1", 7, "h2");
  Update update;
  update.host = HostId("h2");
  say(wire::encode(update));
  say("garbage!");
  ASSERT_TRUE(eventually([&] { return link_->status().refused == 3; }));
  EXPECT_EQ(events_.size(), 0u);
  EXPECT_TRUE(link_->status().agents.empty());
}

}  // namespace
}  // namespace proteus::ingest
