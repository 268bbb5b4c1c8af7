#include "common/wire/socket.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "common/queue.h"
#include "common/wire/wakeup.h"
#include "common/wire/zap_handler.h"
#include "tests/common/wire/eventually.h"
#include "tests/common/wire/tcp_relay.h"
#include "tests/temporary_directory.h"

namespace proteus::wire {
namespace {

using namespace std::chrono_literals;

class Sockets : public ::testing::Test {
 protected:
  void admit(const std::string& lines) {
    std::ofstream(keys_path_ + ".new") << lines;
    std::filesystem::rename(keys_path_ + ".new", keys_path_);
  }
  std::string line_of(const std::string& host, const KeyPair& keys) { return host + " " + keys.public_key + "\n"; }

  std::optional<FromPeer> receive_within_deadline(zmq::socket_t& router) {
    std::optional<FromPeer> got;
    eventually([&] {
      auto received = receive_from_agent(router, *authorized_);
      if (received && *received) got = std::move(**received);
      return got.has_value();
    });
    return got;
  }
  /// The first event of this kind, passing over others.
  bool sees(SocketMonitor& monitor, SocketMonitor::Event wanted) {
    return eventually([&] {
      while (const auto event = monitor.next()) {
        if (*event == wanted) return true;
      }
      return false;
    });
  }

  TemporaryDirectory directory_;
  const std::string keys_path_ = directory_.path() + "/authorized";
  const KeyPair server_keys_ = generate_key_pair().value();
  const KeyPair agent_keys_ = generate_key_pair().value();
  std::unique_ptr<AuthorizedKeys> authorized_ = [this] {
    admit(line_of("h1", agent_keys_));
    return std::move(AuthorizedKeys::load(keys_path_)).value();
  }();
  const SocketOptions options_{.reconnect_min = 10ms, .reconnect_max = 20ms};
  zmq::context_t context_;
  ZapHandler zap_{context_, *authorized_};
  zmq::socket_t router_ = make_router(context_, "tcp://127.0.0.1:*", server_keys_, options_).value();
  const std::string endpoint_ = bound_endpoint(router_);
};

// An agent's second start in one process connected before its monitor listened: it never greeted its controller.
TEST_F(Sockets, AMonitorThatComesLateStillHearsThatTheConnectionStands) {
  auto dealer = std::move(make_dealer(context_, endpoint_, agent_keys_, server_keys_.public_key, options_)).value();
  ASSERT_TRUE(eventually([&] { return send(dealer, "hello").has_value(); }));
  SocketMonitor monitor(context_, dealer, "test to " + endpoint_, endpoint_);
  ASSERT_TRUE(sees(monitor, SocketMonitor::Event::kUp));
  ASSERT_TRUE(eventually([&] { return send(dealer, "again").has_value(); }));
  EXPECT_TRUE(eventually([&] {
    const auto got = receive_from_agent(router_, *authorized_);
    return got && *got && (*got)->bytes() == "again";
  }));
  EXPECT_FALSE(monitor.next()) << "and that it stands is the last word";
}

// A connection that was broken off to be heard of from its beginning was a warning at the other end.
TEST_F(Sockets, WhatItsMonitorConnectsBreaksNoHandshake) {
  SocketMonitor at_server(context_, router_, "test on " + endpoint_);
  for (int i = 0; i < 5; ++i) {
    auto dealer = std::move(make_dealer(context_, agent_keys_, server_keys_.public_key, options_)).value();
    SocketMonitor monitor(context_, dealer, "test to " + endpoint_, endpoint_);
    ASSERT_TRUE(sees(monitor, SocketMonitor::Event::kUp));
    ASSERT_TRUE(sees(at_server, SocketMonitor::Event::kUp));
  }
  while (at_server.next()) {
  }
  EXPECT_EQ(at_server.refused_count(), 0u) << at_server.refusal();
}

// libzmq ended the process: it had stopped reading, as nobody took what had come, when the connection was reset, and
// then a heartbeat was due.
TEST_F(Sockets, AConnectionThatIsResetWhileMessagesWaitEndsNothing) {
  SocketOptions options = options_;
  options.heartbeat_interval = 20ms;
  zmq::socket_t router = make_router(context_, "tcp://127.0.0.1:*", server_keys_, options).value();
  SocketMonitor at_server(context_, router, "test on a port of its own");
  TcpRelay relay(port_of(bound_endpoint(router)).value());
  auto dealer = std::move(make_dealer(context_, fmt::format("tcp://127.0.0.1:{}", relay.port()), agent_keys_,
                                      server_keys_.public_key, options_))
                    .value();
  ASSERT_TRUE(eventually([&] {
    while (send(dealer, std::string(200, 'x'))) {
    }
    return relay.forwarded() > 200'000;
  }));
  relay.reset();
  EXPECT_TRUE(sees(at_server, SocketMonitor::Event::kDown));
  EXPECT_TRUE(receive_within_deadline(router)) << "and what had come is there";
}

TEST(Endpoint, HasAHostAndAPort) {
  for (const char* good : {"tcp://c1:7401", "tcp://*:1", "tcp://[::1]:65535"})
    EXPECT_TRUE(valid_endpoint(good)) << good;
  for (const char* wrong : {"", "tcp://", "tcp://c1", "tcp://c1:", "tcp://:7401", "tcp://c1:0", "tcp://c1:65536",
                            "tcp://c1:74x", "tcp://*", "udp://c1:7401", "c1:7401"}) {
    EXPECT_FALSE(valid_endpoint(wrong)) << wrong;
  }
}

TEST_F(Sockets, AMessageCarriesTheHostBehindItsKey) {
  auto dealer = std::move(make_dealer(context_, endpoint_, agent_keys_, server_keys_.public_key, options_)).value();
  ASSERT_TRUE(eventually([&] { return send(dealer, "hello").has_value(); }));
  const auto got = receive_within_deadline(router_);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->bytes(), "hello");
  EXPECT_EQ(got->user, HostId("h1"));
  EXPECT_TRUE(check_sender(got->user, HostId("h1")));
  EXPECT_EQ(check_sender(got->user, HostId("h2")).error().code, ErrorCode::kPermissionDenied);

  ASSERT_TRUE(send_to(router_, got->routing_id, "welcome"));
  std::string answer;
  ASSERT_TRUE(eventually([&] {
    auto received = receive(dealer);
    if (received && *received) answer = (*received)->to_string();
    return !answer.empty();
  }));
  EXPECT_EQ(answer, "welcome");
  EXPECT_EQ(send_to(router_, "nobody", "x").error().code, ErrorCode::kNotFound);
}

TEST_F(Sockets, AnUnknownKeyIsRefusedAndBothSidesKnow) {
  auto dealer =
      std::move(make_dealer(context_, endpoint_, generate_key_pair().value(), server_keys_.public_key, options_))
          .value();
  SocketMonitor monitor(context_, dealer, "test to " + endpoint_, endpoint_);
  ASSERT_TRUE(sees(monitor, SocketMonitor::Event::kRefused));
  EXPECT_NE(monitor.refusal().find("status 400"), std::string::npos) << monitor.refusal();
  EXPECT_GE(zap_.refused_count(), 1u);
  EXPECT_EQ(send(dealer, "x").error().code, ErrorCode::kUnavailable);
}

TEST_F(Sockets, AServerWithAnotherKeyThanThePinnedOneIsRefused) {
  SocketMonitor server_monitor(context_, router_, "test router");
  auto dealer =
      std::move(make_dealer(context_, endpoint_, agent_keys_, generate_key_pair()->public_key, options_)).value();
  SocketMonitor monitor(context_, dealer, "test to " + endpoint_, endpoint_);
  ASSERT_TRUE(sees(monitor, SocketMonitor::Event::kRefused));
  EXPECT_FALSE(monitor.refusal().empty());
  EXPECT_TRUE(sees(server_monitor, SocketMonitor::Event::kRefused));
  EXPECT_EQ(zap_.refused_count(), 0u);
}

TEST_F(Sockets, AKeyIsAdmittedOnceItsLineIsThere) {
  const KeyPair late = generate_key_pair().value();
  auto dealer = std::move(make_dealer(context_, endpoint_, late, server_keys_.public_key, options_)).value();
  SocketMonitor monitor(context_, dealer, "test to " + endpoint_, endpoint_);
  ASSERT_TRUE(sees(monitor, SocketMonitor::Event::kRefused));
  admit(line_of("h1", agent_keys_) + line_of("h2", late));
  ASSERT_TRUE(sees(monitor, SocketMonitor::Event::kUp));
  EXPECT_TRUE(monitor.refusal().empty());
}

TEST_F(Sockets, AWithdrawnKeyIsRefusedOnAConnectionThatStands) {
  auto dealer = std::move(make_dealer(context_, endpoint_, agent_keys_, server_keys_.public_key, options_)).value();
  ASSERT_TRUE(eventually([&] { return send(dealer, "hello").has_value(); }));
  ASSERT_TRUE(receive_within_deadline(router_));
  admit("");
  ASSERT_TRUE(eventually([&] { return authorized_->size() == 0; }));  // the handler looks every second
  ASSERT_TRUE(send(dealer, "still here?"));
  std::optional<ErrorCode> refused;
  ASSERT_TRUE(eventually([&] {
    const auto received = receive_from_agent(router_, *authorized_);
    if (!received) refused = received.error().code;
    return refused.has_value();
  }));
  EXPECT_EQ(refused, ErrorCode::kPermissionDenied);
}

TEST_F(Sockets, AnEndpointInUseIsAnError) {
  EXPECT_EQ(make_router(context_, endpoint_, server_keys_, options_).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(make_router(context_, "nonsense", server_keys_, options_).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(make_dealer(context_, endpoint_, agent_keys_, "short", options_).error().code, ErrorCode::kInvalidArgument);
}

// libzmq ends the process when a peer is to be given a number that another has announced as its name.
TEST_F(Sockets, ThePeersOfTwoProcessesHaveNumbersThatNobodyKnows) {
  std::set<std::string> first_ids;
  for (int process = 0; process < 2; ++process) {
    std::srand(1);  // as it is in each new process
    zmq::socket_t router = make_router(context_, "tcp://127.0.0.1:*", server_keys_, options_).value();
    auto dealer = make_dealer(context_, bound_endpoint(router), agent_keys_, server_keys_.public_key, options_).value();
    ASSERT_TRUE(eventually([&] { return send(dealer, "hello").has_value(); }));
    const auto got = receive_within_deadline(router);
    ASSERT_TRUE(got);
    first_ids.insert(got->routing_id);
  }
  EXPECT_EQ(first_ids.size(), 2u);
}

TEST_F(Sockets, NobodyTakesAnothersPlaceByItsName) {
  auto victim = make_dealer(context_, endpoint_, agent_keys_, server_keys_.public_key, options_).value();
  ASSERT_TRUE(eventually([&] { return send(victim, "hello").has_value(); }));
  const auto got = receive_within_deadline(router_);
  ASSERT_TRUE(got);
  const KeyPair hostile_keys = generate_key_pair().value();
  admit(line_of("h1", agent_keys_) + line_of("h2", hostile_keys));
  auto hostile = make_dealer(context_, hostile_keys, server_keys_.public_key, options_).value();
  hostile.set(zmq::sockopt::routing_id, got->routing_id);
  SocketMonitor monitor(context_, hostile, "test to " + endpoint_, endpoint_);
  ASSERT_TRUE(sees(monitor, SocketMonitor::Event::kUp));
  zmq::message_t part;
  const std::string word = "for the first";
  ASSERT_TRUE(router_.send(zmq::buffer(got->routing_id), zmq::send_flags::sndmore));
  ASSERT_TRUE(router_.send(zmq::buffer(word), zmq::send_flags::none));
  ASSERT_TRUE(eventually([&] { return victim.recv(part, zmq::recv_flags::dontwait).has_value(); }));
  EXPECT_EQ(part.to_string(), word);
  EXPECT_FALSE(hostile.recv(part, zmq::recv_flags::dontwait));
}

TEST(Wakeup, AQueueWakesAPoll) {
  Wakeup wakeup;
  Queue<int> queue(4, WhenFull::kRefuse);
  queue.on_push([&] { wakeup.notify(); });
  zmq::pollitem_t item{nullptr, wakeup.fd(), ZMQ_POLLIN, 0};
  EXPECT_EQ(zmq::poll(&item, 1, 0ms), 0);
  std::thread producer([&] { queue.push(5); });
  EXPECT_EQ(zmq::poll(&item, 1, 10s), 1);
  producer.join();
  wakeup.drain();
  EXPECT_EQ(queue.try_pop(), 5);
  EXPECT_EQ(zmq::poll(&item, 1, 0ms), 0);
}

TEST_F(Sockets, AKeyThatOpensConnectionAfterConnectionIsStopped) {
  std::vector<zmq::socket_t> dealers;
  for (int i = 0; i < 50; ++i) {
    dealers.push_back(make_dealer(context_, endpoint_, agent_keys_, server_keys_.public_key, options_).value());
  }
  ASSERT_TRUE(eventually([&] { return zap_.surplus_count() > 10; }));
  std::size_t connected = 0;
  for (zmq::socket_t& one : dealers) connected += send(one, "hello") ? 1 : 0;
  EXPECT_GT(connected, 0u);
  EXPECT_LE(connected, kConnectionsPerKeyMax);
  EXPECT_EQ(zap_.refused_count(), 0u) << "its key is good";
  dealers.clear();
  auto dealer = make_dealer(context_, endpoint_, agent_keys_, server_keys_.public_key, options_).value();
  ASSERT_TRUE(eventually([&] { return send(dealer, "hello").has_value(); })) << "once the others are gone it is let in";
  EXPECT_TRUE(receive_within_deadline(router_));
}

}  // namespace
}  // namespace proteus::wire
