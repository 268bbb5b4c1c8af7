#include "controller/api/connections.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/controller/api/certificate.h"
#include "tests/temporary_directory.h"

namespace proteus::api {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Both ends of a connection.
struct Pair {
  Pair() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0); }
  ~Pair() {
    for (const int end : ends) ::close(end);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  bool is_ended() const {
    char byte = 0;
    return ::recv(ends[1], &byte, 1, MSG_DONTWAIT) == 0;
  }

  std::array<int, 2> ends{-1, -1};
};

TEST(Connections, OneThatNoLongerShowsTheTokenMakesRoomForWhoWaits) {
  Connections connections;
  std::vector<std::unique_ptr<Pair>> pairs;
  std::vector<Connections::Number> numbers;
  for (std::size_t i = 0; i < kConnectionsMax; ++i) {
    pairs.push_back(std::make_unique<Pair>());
    connections.expect();
    numbers.push_back(connections.enter(pairs.back()->ends[0]));
    connections.trust(numbers.back(), true);
  }
  connections.expect();
  for (const auto& pair : pairs) EXPECT_FALSE(pair->is_ended());
  connections.trust(numbers[3], false);
  connections.trust(numbers[5], false);
  EXPECT_TRUE(pairs[3]->is_ended());
  EXPECT_FALSE(pairs[5]->is_ended()) << "one waits, one ends";
  for (const auto& number : numbers) connections.leave(number);
}

TEST(Connections, AllEndWhenTheServerStops) {
  Connections connections;
  const Pair stranger;
  const Pair person;
  const Pair late;
  connections.expect();
  const auto first = connections.enter(stranger.ends[0]);
  connections.expect();
  const auto second = connections.enter(person.ends[0]);
  connections.trust(second, true);
  std::thread stopping([&] { connections.stop(300ms); });
  while (!stranger.is_ended()) std::this_thread::yield();
  EXPECT_FALSE(person.is_ended()) << "it has some time for its answer";
  stopping.join();
  EXPECT_TRUE(person.is_ended());
  connections.expect();
  const auto third = connections.enter(late.ends[0]);
  EXPECT_TRUE(late.is_ended());
  for (const auto& number : {first, second, third}) connections.leave(number);
  const auto begun = Clock::now();
  connections.stop(10s);
  EXPECT_LT(Clock::now() - begun, 5s) << "there is nobody to wait for";
}

TEST(Turns, AreNotWaitedForWhenTheServerStops) {
  Turns turns(1, 1, std::chrono::hours(1));
  const std::shared_ptr<void> turn = turns.take();
  std::thread waiting([&] { EXPECT_EQ(turns.take(), nullptr); });
  turns.stop();
  waiting.join();
  EXPECT_EQ(turns.take(), nullptr);
}

/// Somebody's end of a TCP connection, and of a TLS connection on it if he likes.
class Visitor {
 public:
  explicit Visitor(int port, int receive_buffer = 0) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~Visitor() { ::close(socket_); }
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  void say_in_the_open(std::string_view bytes) { ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  bool agree() {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), socket_);
    return SSL_connect(ssl_.get()) == 1;
  }
  void say(std::string_view bytes) {
    EXPECT_EQ(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())), static_cast<int>(bytes.size()));
  }
  /// All that comes until the server ends the connection.
  std::string hear() {
    std::string heard;
    std::array<char, 65536> piece;
    for (int n = 0; (n = SSL_read(ssl_.get(), piece.data(), piece.size())) > 0;) {
      heard.append(piece.data(), static_cast<std::size_t>(n));
    }
    return heard;
  }
  /// False: there is no more.
  bool read_a_little() {
    std::array<char, 16384> piece;
    const int n = SSL_read(ssl_.get(), piece.data(), piece.size());
    bytes_read_ += static_cast<std::size_t>(std::max(n, 0));
    return n > 0;
  }
  std::size_t bytes_read() const { return bytes_read_; }
  /// Whether the server has ended the connection.
  bool hears_the_end() {
    std::array<char, 4096> piece;
    for (;;) {
      const ssize_t n = ::recv(socket_, piece.data(), piece.size(), 0);
      if (n <= 0) return n == 0 || errno == ECONNRESET;
    }
  }

 private:
  int socket_ = -1;
  std::size_t bytes_read_ = 0;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};
};

class TlsServer : public testing::Test {
 protected:
  static constexpr std::size_t kLarge = 32u << 20;

  void SetUp() override {
    make_certificate(directory_ / "certificate.pem", directory_ / "key.pem");
    server_ = make_guarded_server(
        directory_ / "certificate.pem", directory_ / "key.pem",
        [](const httplib::Request& in) { return in.get_header_value("Authorization") == "Bearer token"; }, patience_);
    ASSERT_TRUE(server_->is_valid());
    server_->set_tcp_nodelay(true);
    server_->Get("/large", [](const httplib::Request&, httplib::Response& out) {
      out.set_chunked_content_provider("text/plain", [](std::size_t, httplib::DataSink& sink) {
        const std::string piece(100'000, 'p');
        for (std::size_t sent = 0; sent < kLarge; sent += piece.size()) {
          if (!sink.write(piece.data(), std::min(piece.size(), kLarge - sent))) return false;
        }
        sink.done();
        return true;
      });
    });
    server_->Get("/work", [this](const httplib::Request& in, httplib::Response&) {
      works_ = true;
      while (is_wanted(in) && !is_over_) std::this_thread::sleep_for(1ms);
      works_ = false;
    });
    server_->Post("/echo",
                  [](const httplib::Request& in, httplib::Response& out) { out.set_content(in.body, "text/plain"); });
    server_->Get("/", [](const httplib::Request&, httplib::Response& out) { out.set_content("yes", "text/plain"); });
    port_ = server_->bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    while (!server_->is_running()) std::this_thread::yield();
    client_ = std::make_unique<httplib::SSLClient>("127.0.0.1", port_);
    client_->enable_server_certificate_verification(false);
    client_->set_bearer_token_auth("token");
    client_->set_keep_alive(true);
    client_->set_read_timeout(5);
  }
  void TearDown() override {
    is_over_ = true;
    stop();
  }
  void stop() {
    if (!thread_.joinable()) return;
    server_->stop();
    thread_.join();
  }
  void expect_answer() {
    const auto answer = client_->Get("/");
    ASSERT_TRUE(answer) << httplib::to_string(answer.error());
    EXPECT_EQ(answer->body, "yes");
  }

  bool comes_true(const std::function<bool()>& what) const {
    const auto until = Clock::now() + 10s;
    while (!what() && Clock::now() < until) std::this_thread::sleep_for(1ms);
    return what();
  }

  Patience patience_;
  std::atomic<bool> works_ = false;
  std::atomic<bool> is_over_ = false;  // whatever the server thinks
  const std::string request_ = "GET / HTTP/1.1\r\nAuthorization: Bearer token\r\n\r\n";
  TemporaryDirectory directory_;
  std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::thread thread_;
  std::unique_ptr<httplib::SSLClient> client_;
};

TEST_F(TlsServer, AnswersOneAfterTheOther) {
  for (int i = 0; i < 12; ++i) expect_answer();  // more than one connection's
  const std::string body(60'000, 'b');
  const auto echo = client_->Post("/echo", body, "text/plain");
  ASSERT_TRUE(echo);
  EXPECT_EQ(echo->body, body);
  const auto chunked = client_->Post(
      "/echo",
      [&](std::size_t, httplib::DataSink& sink) {
        sink.write(body.data(), body.size());
        sink.done();
        return true;
      },
      "text/plain");
  ASSERT_TRUE(chunked);
  EXPECT_EQ(chunked->body, body);
  const auto large = client_->Get("/large");
  ASSERT_TRUE(large);
  EXPECT_EQ(large->body.size(), kLarge);
}

TEST_F(TlsServer, AnswersRequestsThatComeTogether) {
  Visitor person(port_);
  ASSERT_TRUE(person.agree());
  person.say(request_ + request_ + "GET / HTTP/1.1\r\nAuthorization: Bearer token\r\nConnection: close\r\n\r\n");
  const std::string heard = person.hear();
  std::size_t answers = 0;
  for (std::size_t at = 0; (at = heard.find("HTTP/1.1 200", at)) != std::string::npos; ++at) ++answers;
  EXPECT_EQ(answers, 3U) << heard;
}

TEST_F(TlsServer, AnswersWhoReadsSlowly) {
  Visitor person(port_, 4096);
  ASSERT_TRUE(person.agree());
  person.say("GET /large HTTP/1.1\r\nAuthorization: Bearer token\r\nConnection: close\r\n\r\n");
  std::this_thread::sleep_for(1s);  // the reader's own pace
  const std::string heard = person.hear();
  EXPECT_GT(heard.size(), kLarge);
  EXPECT_TRUE(heard.ends_with("\r\n0\r\n\r\n"));
}

TEST_F(TlsServer, AnswersWhileStrangersHoldConnections) {
  std::vector<std::unique_ptr<Visitor>> strangers;
  for (int i = 0; i < 200; ++i) {
    strangers.push_back(std::make_unique<Visitor>(port_));
    if (i % 4 == 1) strangers.back()->say_in_the_open(std::string("\x16\x03\x01\x01\x00\x01", 6));  // begins to agree
    if (i % 4 == 2) strangers.back()->say_in_the_open("GET / HTTP/1.1\r\n\r\n");
    if (i >= 180) {
      EXPECT_TRUE(strangers.back()->agree() || i % 4 == 1 || i % 4 == 2);
    }
  }
  expect_answer();
  EXPECT_TRUE(strangers.front()->hears_the_end());
}

TEST_F(TlsServer, StopsWhileStrangersHoldConnections) {
  Visitor silent(port_);
  Visitor agreed(port_);
  ASSERT_TRUE(agreed.agree());
  agreed.say("GET / HTTP/1.1\r\nX: ");
  expect_answer();  // and its connection stays
  const auto begun = Clock::now();
  stop();
  EXPECT_LT(Clock::now() - begun, kRequestTimeMax / 2);
  EXPECT_TRUE(silent.hears_the_end());
}

TEST_F(TlsServer, StopsWhileSomebodyReadsSlowly) {
  Visitor person(port_, 4096);
  ASSERT_TRUE(person.agree());
  person.say("GET /large HTTP/1.1\r\nAuthorization: Bearer token\r\n\r\n");
  std::atomic<bool> is_over = false;
  std::thread reading([&] {
    while (!is_over) {
      static_cast<void>(person.read_a_little());
      std::this_thread::sleep_for(10ms);  // the reader's own pace
    }
  });
  std::this_thread::sleep_for(200ms);
  const auto begun = Clock::now();
  stop();
  EXPECT_LT(Clock::now() - begun, kStopTimeMax + 3s);
  is_over = true;
  reading.join();
}

TEST_F(TlsServer, WorkEndsWithWhoeverWaitsForIt) {
  auto person = std::make_unique<Visitor>(port_);
  ASSERT_TRUE(person->agree());
  person->say("GET /work HTTP/1.1\r\nAuthorization: Bearer token\r\n\r\n");
  ASSERT_TRUE(comes_true([&] { return works_.load(); }));
  person.reset();
  EXPECT_TRUE(comes_true([&] { return !works_; }));
}

TEST_F(TlsServer, WorkEndsWithTheServer) {
  Visitor person(port_);
  ASSERT_TRUE(person.agree());
  person.say("GET /work HTTP/1.1\r\nAuthorization: Bearer token\r\n\r\n");
  ASSERT_TRUE(comes_true([&] { return works_.load(); }));
  const auto begun = Clock::now();
  std::thread late([&] {
    static_cast<void>(comes_true([&] { return !works_; }));
    is_over_ = true;
  });
  stop();
  EXPECT_LT(Clock::now() - begun, kStopTimeMax + 3s);
  late.join();
}

class ImpatientServer : public TlsServer {
 protected:
  ImpatientServer() { patience_ = {.nothing = 5s, .little = 200ms, .little_bytes = 8u << 20}; }
};

TEST_F(ImpatientServer, GivesUpWhoTakesLittle) {
  Visitor person(port_, 4096);
  ASSERT_TRUE(person.agree());
  person.say("GET /large HTTP/1.1\r\nAuthorization: Bearer token\r\nConnection: close\r\n\r\n");
  const auto until = Clock::now() + 20s;
  while (person.read_a_little() && Clock::now() < until) std::this_thread::sleep_for(5ms);  // the reader's own pace
  EXPECT_LT(person.bytes_read(), kLarge);
  EXPECT_LT(Clock::now(), until);
}

}  // namespace
}  // namespace proteus::api
