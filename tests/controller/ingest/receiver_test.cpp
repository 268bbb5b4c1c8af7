#include "controller/ingest/receiver.h"

#include <gtest/gtest.h>

#include "tests/common/wire/eventually.h"
#include "tests/controller/ingest/loopback.h"

namespace proteus::ingest {
namespace {

using namespace std::chrono_literals;

class ReceiverTest : public ::testing::Test {
 protected:
  ReceiverTest() {
    loopback_.admit("h1 " + loopback_.agent_keys.public_key + "\nh2 " + other_keys_.public_key + "\n");
    EXPECT_TRUE(loopback_.authorized->reload_if_changed());
  }
  void start(const WaitingLimits& limits) {
    auto started =
        Receiver::start(loopback_.context, {"tcp://127.0.0.1:*", loopback_.server_keys, limits, loopback_.socket},
                        *loopback_.authorized);
    ASSERT_TRUE(started) << started.error().message;
    receiver_ = std::move(*started);
  }
  zmq::socket_t connect(const wire::KeyPair& keys) {
    return std::move(wire::make_dealer(loopback_.context, receiver_->endpoint(), keys, loopback_.server_keys.public_key,
                                       loopback_.socket))
        .value();
  }
  static void send(zmq::socket_t& dealer, const std::string& bytes) {
    ASSERT_TRUE(eventually([&] { return wire::send(dealer, bytes).has_value(); })) << bytes;
  }
  /// What waits, oldest first.
  std::string all() {
    std::string text;
    while (const auto message = receiver_->next())
      text += message->user.value + " " + std::string(message->bytes()) + ";";
    return text;
  }

  Loopback loopback_;
  const wire::KeyPair other_keys_ = wire::generate_key_pair().value();
  std::unique_ptr<Receiver> receiver_;
};

TEST_F(ReceiverTest, OfAHostThatNobodyTakesFromOnlySoManyMessagesWait) {
  start({.host_messages_max = 3});
  zmq::socket_t one = connect(loopback_.agent_keys);
  zmq::socket_t two = connect(other_keys_);
  for (const char* text : {"a", "b", "c", "d", "e"}) send(one, text);
  ASSERT_TRUE(eventually([&] { return receiver_->counts().dropped == 2; }));
  EXPECT_EQ(receiver_->counts().dropped_bytes, 2u);
  send(two, "f");
  ASSERT_TRUE(eventually([&] {
    receiver_->wait(1s);
    const auto first = receiver_->next();
    return first && first->bytes() == "a";
  }));
  send(one, "g");
  std::string rest;
  ASSERT_TRUE(eventually([&] { return (rest += all()).find("g;") != std::string::npos; }));
  EXPECT_TRUE(rest == "h1 b;h1 c;h2 f;h1 g;" || rest == "h1 b;h1 c;h1 g;h2 f;") << rest;
  EXPECT_EQ(receiver_->counts().dropped, 2u);
}

TEST_F(ReceiverTest, WhoHasNothingWaitingIsNotKeptOutByWhoHasMuch) {
  start({.bytes_max = 60'000, .host_bytes_max = 60'000});
  zmq::socket_t one = connect(loopback_.agent_keys);
  zmq::socket_t two = connect(other_keys_);
  for (int i = 0; i < 3; ++i) send(one, std::string(25'000, 'x'));
  ASSERT_TRUE(eventually([&] { return receiver_->counts().dropped == 1; }));
  send(two, std::string(10'000, 'y'));
  send(two, std::string(10'000, 'z'));
  ASSERT_TRUE(eventually([&] { return receiver_->counts().dropped == 2; })) << "its share is a quarter of the limit";
  EXPECT_TRUE(receiver_->take_dropped().empty()) << "there is no room yet";
  std::string letters;
  while (const auto message = receiver_->next()) letters += message->bytes().front();
  EXPECT_EQ(letters, "xxy");
  std::vector<HostId> hosts;
  for (const auto& [host, link] : receiver_->take_dropped()) {
    hosts.push_back(host);
    receiver_->answer(link, "again");
  }
  EXPECT_EQ(hosts, (std::vector{HostId("h1"), HostId("h2")}));
  EXPECT_TRUE(receiver_->take_dropped().empty()) << "once";
  for (zmq::socket_t* dealer : {&one, &two}) {
    ASSERT_TRUE(eventually([&] {
      const auto word = wire::receive(*dealer);
      return word && *word && (*word)->to_string_view() == "again";
    }));
  }
}

TEST_F(ReceiverTest, OfAllHostsOnlySoManyBytesWait) {
  start({.bytes_max = 100'000, .host_bytes_max = 60'000});
  zmq::socket_t one = connect(loopback_.agent_keys);
  zmq::socket_t two = connect(other_keys_);
  const std::string large(25'000, 'x');
  for (int i = 0; i < 3; ++i) send(one, large);
  ASSERT_TRUE(eventually([&] { return receiver_->counts().dropped == 1; })) << "two of the host's own";
  for (int i = 0; i < 2; ++i) send(two, large);
  ASSERT_TRUE(eventually([&] { return receiver_->counts().dropped == 2; })) << "three of all";
  EXPECT_EQ(receiver_->counts().dropped_bytes, 50'000u);
  int waiting = 0;
  while (receiver_->next()) ++waiting;
  EXPECT_EQ(waiting, 3);
}

TEST_F(ReceiverTest, AnswersGoOutThoughNobodyTakesWhatComes) {
  start({.host_messages_max = 1});
  zmq::socket_t one = connect(loopback_.agent_keys);
  send(one, "a");
  std::optional<wire::FromPeer> first;
  ASSERT_TRUE(eventually([&] { return (first = receiver_->next()).has_value(); }));
  for (int i = 0; i < 100; ++i) send(one, "b");
  receiver_->answer(first->routing_id, "yes");
  receiver_->answer("nobody", "lost");
  ASSERT_TRUE(eventually([&] {
    const auto got = wire::receive(one);
    return got && *got && (*got)->to_string_view() == "yes";
  }));
  ASSERT_TRUE(eventually([&] { return receiver_->counts().dropped == 99; }));
}

TEST_F(ReceiverTest, WaitingEndsWhenItIsInterrupted) {
  start({});
  receiver_->interrupt();
  receiver_->wait(1h);
  std::thread interrupter([&] { receiver_->interrupt(); });
  receiver_->wait(1h);
  interrupter.join();
}

TEST_F(ReceiverTest, AKeyThatIsWithdrawnIsRefusedOnConnectionsThatStand) {
  start({});
  zmq::socket_t one = connect(loopback_.agent_keys);
  send(one, "a");
  ASSERT_TRUE(eventually([&] { return all() == "h1 a;"; }));
  loopback_.admit("h2 " + other_keys_.public_key + "\n");
  EXPECT_TRUE(loopback_.authorized->reload_if_changed());
  send(one, "b");
  ASSERT_TRUE(eventually([&] { return receiver_->counts().refused == 1; }));
  EXPECT_EQ(all(), "");
}

}  // namespace
}  // namespace proteus::ingest
