#include "agent/publish/link.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <random>
#include <string>

#include "common/wire/curve.h"
#include "common/wire/zap_handler.h"
#include "tests/common/wire/eventually.h"
#include "tests/common/wire/telemetry_samples.h"
#include "tests/temporary_directory.h"

namespace proteus::publish {
namespace {

using namespace std::chrono_literals;

/// A link and the socket of its controller, whose part the test plays.
class LinkTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string keys_path_ = directory_.path() + "/authorized";
  const wire::KeyPair server_keys_ = wire::generate_key_pair().value();
  const wire::KeyPair agent_keys_ = wire::generate_key_pair().value();
  std::unique_ptr<wire::AuthorizedKeys> authorized_ = [this] {
    std::ofstream(keys_path_) << "h1 " << agent_keys_.public_key << "\n";
    return std::move(wire::AuthorizedKeys::load(keys_path_)).value();
  }();
  const PublisherOptions options_ = [] {
    PublisherOptions options;
    options.host = HostId("h1");
    options.socket.reconnect_min = 10ms;
    options.socket.reconnect_max = 20ms;
    return options;
  }();
  zmq::context_t context_;
  wire::ZapHandler zap_{context_, *authorized_};
  zmq::socket_t router_ = wire::make_router(context_, "tcp://127.0.0.1:*", server_keys_, options_.socket).value();
  const std::string endpoint_ = wire::bound_endpoint(router_);
  SteadyTime now_{1h};
  Link link_{context_, wire::make_dealer(context_, agent_keys_, server_keys_.public_key, options_.socket).value(),
             std::move(Spool::open({directory_.path() + "/spool", 1 << 20, options_.host})).value(), options_,
             endpoint_};
};

TEST_F(LinkTest, WhyAControllerMayTakeNothingOfThisHostIsNamedInTheLog) {
  std::mt19937_64 random(5);
  link_.push(std::make_shared<const Sample>(make_sample(make_catalog("h1", 1, 1, 1), 1, random)), now_);
  std::string peer;
  ASSERT_TRUE(eventually([&] {
    link_.service(now_);
    auto received = wire::receive_from_agent(router_, *authorized_);
    if (received && *received) peer = (*received)->routing_id;
    return !peer.empty();
  }));
  for (int i = 0; i < 4; ++i) {
    const std::string ack = wire::encode(wire::Ack{1, 0, wire::Ack::Want::kKeyframe});
    ASSERT_TRUE(wire::send_to(router_, peer, ack));
  }
  testing::internal::CaptureStdout();
  const bool is_named = eventually([&] {
    link_.service(now_);
    return !link_.status().refusal.empty();
  });
  const std::string log = testing::internal::GetCapturedStdout();
  EXPECT_TRUE(is_named);
  EXPECT_NE(log.find("as that of 'h1'"), std::string::npos) << log;
  EXPECT_NE(log.find("clock keep jumping"), std::string::npos) << log;
  EXPECT_NE(log.find("another agent send under that name"), std::string::npos) << log;
}

}  // namespace
}  // namespace proteus::publish
