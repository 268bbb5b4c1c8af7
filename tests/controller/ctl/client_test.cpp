#include "controller/ctl/client.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "controller/api/json_view.h"
#include "controller/ctl/top.h"
#include "tests/temporary_directory.h"

namespace proteus::ctl {
namespace {

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(options_.token_file) << "0123456789abcdef0123456789abcdef\n";
    port_ = http_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { http_.listen_after_bind(); });
    while (!http_.is_running()) std::this_thread::yield();
    options_.url = "http://127.0.0.1:" + std::to_string(port_);
  }
  void TearDown() override {
    http_.stop();
    thread_.join();
  }
  Client client() {
    auto made = Client::create(options_);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }

  TemporaryDirectory directory_;
  ClientOptions options_{.url = "", .token_file = directory_ / "token", .ca_file = ""};
  httplib::Server http_;
  int port_ = 0;
  std::thread thread_;
};

TEST_F(ClientTest, ADownloadKnowsWhetherThereIsAValueInIt) {
  http_.Get("/some", [](const httplib::Request&, httplib::Response& out) { out.set_content("1", "text/csv"); });
  http_.Get("/none", [](const httplib::Request&, httplib::Response& out) {
    out.set_header(api::kNothingMeasuredHeader, "yes");
    out.set_content("head", "text/csv");
  });
  Client asking = client();
  const auto some = asking.download("/some", directory_ / "file");
  ASSERT_TRUE(some) << some.error().message;
  EXPECT_FALSE(some->nothing_measured);
  const auto none = asking.download("/none", directory_ / "file");
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_TRUE(none->nothing_measured);
  EXPECT_EQ(none->bytes, 4);
}

TEST_F(ClientTest, ADownloadTellsHowFarItIs) {
  http_.Get("/sized", [](const httplib::Request&, httplib::Response& out) { out.set_content("12345", "text/csv"); });
  http_.Get("/endless", [](const httplib::Request&, httplib::Response& out) {
    out.set_chunked_content_provider("text/csv", [](std::size_t, httplib::DataSink& sink) {
      sink.write("1234", 4);
      sink.done();
      return true;
    });
  });
  std::pair<std::uint64_t, std::uint64_t> far;
  const auto note = [&](std::uint64_t bytes, std::uint64_t of) { far = {bytes, of}; };
  Client asking = client();
  ASSERT_TRUE(asking.download("/sized", directory_ / "file", 0666, note));
  EXPECT_EQ(far, std::pair(std::uint64_t{5}, std::uint64_t{5}));
  ASSERT_TRUE(asking.download("/endless", directory_ / "file", 0666, note));
  EXPECT_EQ(far, std::pair(std::uint64_t{4}, std::uint64_t{0}));
}

// "cannot reach the controller", which means that trying again may help.
TEST_F(ClientTest, AnAnswerThatBreaksOffIsSaidToBeThat) {
  http_.Get("/damaged", [](const httplib::Request&, httplib::Response& out) {
    out.set_chunked_content_provider("application/octet-stream", [](std::size_t, httplib::DataSink& sink) {
      sink.write("[1, ", 4);
      return false;
    });
  });
  Client asking = client();
  const auto got = asking.get("/damaged");
  const auto downloaded = asking.download("/damaged", directory_ / "file");
  ASSERT_FALSE(got);
  ASSERT_FALSE(downloaded);
  for (const Error& error : {got.error(), downloaded.error()}) {
    EXPECT_EQ(error.code, ErrorCode::kInternal);
    EXPECT_EQ(error.message,
              "the answer broke off after 4 bytes; the controller's log says why, unless it was started anew");
  }
  EXPECT_FALSE(std::filesystem::exists(directory_ / "file"));
}

TEST_F(ClientTest, AnAnswerThatBreaksOffAsTheControllerEndsMayBeAskedForAgain) {
  http_.Get("/ending", [&](const httplib::Request&, httplib::Response& out) {
    out.set_chunked_content_provider("application/octet-stream", [&](std::size_t, httplib::DataSink& sink) {
      sink.write("[1, ", 4);
      http_.stop();
      return false;
    });
  });
  const auto got = client().get("/ending");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ErrorCode::kUnavailable);
}

TEST_F(ClientTest, ARefusalIsToldAsTheControllerSaysIt) {
  http_.Get("/refused", [](const httplib::Request&, httplib::Response& out) {
    out.status = 404;
    out.set_content(R"({"error": {"message": "no such VM"}})", "application/json");
  });
  http_.Get("/text", [](const httplib::Request&, httplib::Response& out) { out.set_content("hello", "text/plain"); });
  Client asking = client();
  const auto refused = asking.get("/refused");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(refused.error().message, "no such VM");
  const auto text = asking.get("/text");
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, ErrorCode::kCorrupt);
}

TEST_F(ClientTest, AFileThatIsNoTokenIsRefused) {
  for (const std::string& text : {std::string(), std::string("two words\n"), std::string(1 << 16, 'a')}) {
    std::ofstream(options_.token_file) << text;
    const auto made = Client::create(options_);
    ASSERT_FALSE(made) << text.substr(0, 20);
    EXPECT_EQ(made.error().code, ErrorCode::kPermissionDenied);
  }
  options_.token_file = "/dev/zero";
  EXPECT_FALSE(Client::create(options_));
}

TEST_F(ClientTest, WhatThereIsNoRoomForIsNotBegun) {
  http_.Get("/large", [](const httplib::Request&, httplib::Response& out) {
    out.set_content_provider(std::size_t{1} << 60, "text/csv", [](std::size_t, std::size_t, httplib::DataSink& sink) {
      return sink.write("x", 1) && false;
    });
  });
  const auto large = client().download("/large", directory_ / "file");
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::kFailedPrecondition) << "the controller can be reached";
  EXPECT_EQ(large.error().message.find("no room for " + (directory_ / "file") + ": it has 1099511627776 MiB, and "), 0u)
      << large.error().message;
  using Files = std::filesystem::directory_iterator;
  EXPECT_EQ(std::distance(Files(directory_.path()), Files()), 1) << "the token";
}

// Five times a minute, in which no key was looked at.
TEST_F(ClientTest, TopDoesNotWaitLongForAControllerThatHangs) {
  std::promise<void> over;
  const std::shared_future<void> until = over.get_future().share();
  std::atomic<int> asked = 0;
  http_.Get("/v1/.*", [&](const httplib::Request&, httplib::Response&) {
    ++asked;
    until.wait();
  });
  const auto begun = std::chrono::steady_clock::now();
  Client asking = client();
  const Status looked = top(asking, 1, 1);
  const auto took = std::chrono::steady_clock::now() - begun;
  over.set_value();
  ASSERT_FALSE(looked);
  EXPECT_EQ(looked.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(asked, 1);
  EXPECT_LT(took, std::chrono::seconds(20));
}

TEST_F(ClientTest, APersonsNameNeedNotBeUtf8) {
  std::string body;
  http_.Post("/v1/pause", [&](const httplib::Request& in, httplib::Response& out) {
    body = in.body;
    out.set_content("{}", "application/json");
  });
  EXPECT_TRUE(client().post("/v1/pause", Json{{"by", "ann\xff"}})) << "a kill switch that ends by an exception";
  EXPECT_EQ(body, "{\"by\":\"ann\xef\xbf\xbd\"}");
}

TEST_F(ClientTest, AUrlMustNameAHost) {
  for (const char* url : {"http://", "http://:7480", "http://h1:99999", "http://h1:0", "http://h1:x",
                          "http://[::1]:", "ftp://h1", "http://h1/v1", "h1"}) {
    options_.url = url;
    const auto made = Client::create(options_);
    const bool good = std::string(url) == "http://[::1]:";  // as RFC 3986 allows it
    EXPECT_EQ(made.has_value(), good) << url;
    EXPECT_TRUE(made || made.error().code == ErrorCode::kInvalidArgument) << url;
  }
  options_.url = "https://h1";
  options_.ca_file = directory_ / "none";
  EXPECT_NE(Client::create(options_).error().message.find("cannot read the certificates in"), std::string::npos);
}

TEST_F(ClientTest, ANameThatDoesNotResolveIsSaidToBeThat) {
  // RFC 2606 keeps .invalid from ever being given to anybody.
  for (const char* url : {"http://no-such-host.invalid:7480", "http://no-such-host.invalid"}) {
    options_.url = url;
    const auto answer = client().get("/v1/status");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(answer.error().message.find("the name 'no-such-host.invalid' does not resolve"), std::string::npos)
        << answer.error().message;
  }
  options_.url = "http://127.0.0.1:1";
  EXPECT_NE(client().get("/v1/status").error().message.find("nobody answers there"), std::string::npos);
}

}  // namespace
}  // namespace proteus::ctl
