// What counts as a connection of a key, with real sockets.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/wire/peer_connections.h"
#include "common/wire/socket.h"
#include "common/wire/zap_handler.h"
#include "tests/common/wire/eventually.h"
#include "tests/temporary_directory.h"

namespace proteus::wire {
namespace {

using namespace std::chrono_literals;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int operator*() const { return number_; }

 private:
  int number_;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Descriptor listen_anywhere() {
  Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(0);
  EXPECT_EQ(::bind(*listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(*listener, 64), 0);
  return listener;
}

std::uint16_t port_of(const Descriptor& socket) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  EXPECT_EQ(::getsockname(*socket, reinterpret_cast<sockaddr*>(&address), &length), 0);
  return ntohs(address.sin_port);
}

/// Says these bytes, and stays.
Descriptor connect_and_say(std::uint16_t port, const std::string& bytes) {
  Descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  EXPECT_EQ(::connect(*client, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::send(*client, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  return client;
}

/// ZMTP's greeting of a CURVE client, and most of a command that does not end.
std::string endless_handshake() {
  std::string bytes("\xff\0\0\0\0\0\0\0\x01\x7f\x03\0CURVE", 17);
  bytes.resize(64);
  bytes += std::string("\x06\0\0\0\0\0\0\x10\0", 9);
  return bytes + std::string(2000, 'x');
}

class ConnectionsOfAKey : public testing::Test {
 protected:
  ConnectionsOfAKey() { std::ofstream(keys_path_) << "h1 " << agent_keys_.public_key << "\n"; }
  zmq::socket_t connected() {
    auto dealer = make_dealer(context_, endpoint_, agent_keys_, server_keys_.public_key, agent_options_).value();
    EXPECT_TRUE(eventually([&] { return send(dealer, "hello").has_value(); }));
    return dealer;
  }

  TemporaryDirectory directory_;
  const std::string keys_path_ = directory_.path() + "/authorized";
  const KeyPair server_keys_ = generate_key_pair().value();
  const KeyPair agent_keys_ = generate_key_pair().value();
  // A connection too many is told nothing, and tried again after its handshake's timeout.
  const SocketOptions agent_options_{.handshake_timeout = 200ms, .reconnect_min = 10ms, .reconnect_max = 20ms};
  const SocketOptions server_options_{.handshake_timeout = 60s};  // silent ones stay for as long as the test
  const std::uint16_t port_ = port_of(listen_anywhere());         // and free again
  const std::string endpoint_ = "tcp://127.0.0.1:" + std::to_string(port_);
  zmq::context_t context_;
};

TEST_F(ConnectionsOfAKey, IdleAndForeignOnesOfItsAddressTakeNoneOfItsPlaces) {
  const auto authorized = AuthorizedKeys::load(keys_path_).value();
  ZapHandler zap(context_, *authorized, {port_});
  zmq::socket_t router = make_router(context_, endpoint_, server_keys_, server_options_).value();
  const Descriptor elsewhere = listen_anywhere();
  std::vector<Descriptor> foreign;
  for (std::size_t i = 0; i < kConnectionsPerKeyMax; ++i) {
    foreign.push_back(connect_and_say(port_, ""));
    foreign.push_back(connect_and_say(port_, endless_handshake()));
    foreign.push_back(connect_and_say(port_of(elsewhere), std::string(1000, 'x')));
    foreign.emplace_back(::accept4(*elsewhere, nullptr, nullptr, SOCK_CLOEXEC));
    const std::string answer(1000, 'y');
    ASSERT_EQ(::send(*foreign.back(), answer.data(), answer.size(), MSG_NOSIGNAL), 1000);
  }
  for (std::size_t i = 0; i < 2 * kConnectionsPerKeyMax + 2; ++i) {
    const zmq::socket_t agent = connected();
    ASSERT_FALSE(HasFailure()) << "refused at its connection " << i;
  }
}

TEST_F(ConnectionsOfAKey, AdmittedOnesAreCountedAtTheirPortOnly) {
  const auto authorized = AuthorizedKeys::load(keys_path_).value();
  ZapHandler zap(context_, *authorized, {port_});
  zmq::socket_t router = make_router(context_, endpoint_, server_keys_, server_options_).value();
  std::vector<zmq::socket_t> agents;
  for (int i = 0; i < 3; ++i) agents.push_back(connected());
  std::size_t count = 0;
  for (const auto& [address, connections] : count_connections({port_})) count += connections;
  EXPECT_EQ(count, 3u);
  EXPECT_TRUE(count_connections({static_cast<std::uint16_t>(port_ ^ 1)}).empty());
  agents.clear();
  EXPECT_TRUE(eventually([&] { return count_connections({port_}).empty(); }));
}

TEST_F(ConnectionsOfAKey, ItHasNoMoreThanItMay) {
  const auto authorized = AuthorizedKeys::load(keys_path_).value();
  ZapHandler zap(context_, *authorized, {port_}, 3);
  zmq::socket_t router = make_router(context_, endpoint_, server_keys_, server_options_).value();
  std::vector<zmq::socket_t> agents;
  for (int i = 0; i < 3; ++i) agents.push_back(connected());
  agents.push_back(make_dealer(context_, endpoint_, agent_keys_, server_keys_.public_key, agent_options_).value());
  // Longer than between two counts, so that it is refused because of what stands, too.
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(eventually([&] {
    EXPECT_FALSE(send(agents.back(), "hello"));
    return std::chrono::steady_clock::now() - begun > 2500ms;
  }));
  EXPECT_GT(zap.surplus_count(), 3u);
  agents.erase(agents.begin());
  EXPECT_TRUE(eventually([&] { return send(agents.back(), "hello").has_value(); }));
}

}  // namespace
}  // namespace proteus::wire
