#include "agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <optional>

#include "agent/state_directory.h"
#include "common/wire/zap_handler.h"
#include "tests/common/wire/eventually.h"
#include "tests/fakes/fake_hypervisor.h"
#include "tests/temporary_directory.h"

namespace proteus {
namespace {

using testing::HasSubstr;
using enum CommandState;

const VmId kWeb{"3add6c6e-17bc-5c17-b139-7cd723a5152c"};

/// Counts what is asked of it and measures nothing.
class CountingCollector final : public Collector {
 public:
  CountingCollector()
      : catalog_(std::make_shared<Catalog>(
            Catalog{HostId("h1"), 7, 1, {Entity{EntityKind::kHost, kNoParent, "h1", "", {}}}, {}})) {}
  Sample tick(Timestamp now) override {
    Sample sample{catalog_, {}};
    sample.frame.boot_id = 7;
    sample.frame.catalog_version = 1;
    sample.frame.sequence = ++ticks_count;
    sample.frame.time = now;
    return sample;
  }
  void refresh(const VmId&) override { ++refreshes_count; }
  void look() override { ++looks_count; }
  int looks_due() override { return 4; }
  std::atomic<std::uint64_t> ticks_count = 0;
  std::atomic<int> refreshes_count = 0;
  std::atomic<std::uint64_t> looks_count = 0;

 private:
  std::shared_ptr<const Catalog> catalog_;
};

/// The command side of a controller, on a real socket.
class OneController {
 public:
  OneController(zmq::context_t& context, const wire::KeyPair& keys, const wire::AuthorizedKeys& admitted,
                std::string id)
      : admitted_(admitted), id_(std::move(id)) {
    auto socket = wire::make_router(context, "tcp://127.0.0.1:*", keys, {});
    EXPECT_TRUE(socket) << socket.error().message;
    socket_ = std::move(*socket);
  }
  std::string endpoint() { return wire::bound_endpoint(socket_); }

  /// Takes what came; answers each Hello with Welcome and each update with an acknowledgement if `acknowledges`.
  void serve() {
    for (;;) {
      auto message = wire::receive_from_agent(socket_, admitted_);
      ASSERT_TRUE(message) << message.error().message;
      if (!*message) return;
      peer_ = (*message)->routing_id;
      auto decoded = wire::decode_from_agent((*message)->bytes());
      ASSERT_TRUE(decoded) << decoded.error().message;
      if (const auto* hello = std::get_if<wire::Hello>(&*decoded)) {
        hellos.push_back(*hello);
        if (welcomes) send(wire::encode(wire::Welcome{id_, term, SystemClock().now()}));
      } else {
        const auto& update = std::get<Update>(*decoded);
        updates.push_back(update);
        if (acknowledges) send(wire::encode(wire::UpdateAck{update.command, update.state}));
      }
    }
  }
  Command command(std::uint64_t id, Operation operation) const {
    Command made;
    made.id = id;
    made.action = 100 + id;
    made.term = term;
    made.controller = id_;
    made.host = HostId("h1");
    made.vm = kWeb;
    made.issued = SystemClock().now();
    made.deadline = made.issued + std::chrono::minutes(1);
    made.operation = std::move(operation);
    return made;
  }
  void send(const std::string& bytes) { EXPECT_TRUE(wire::send_to(socket_, peer_, bytes)); }
  bool hears(std::uint64_t id, CommandState state) {
    return eventually([&] {
      serve();
      for (const Update& update : updates) {
        if (update.command == id && update.state == state) return true;
      }
      return false;
    });
  }
  bool greeted_by(const std::string& leader) {
    return eventually([&] {
      serve();
      return !hellos.empty() && hellos.back().leader == leader;
    });
  }

  std::vector<wire::Hello> hellos;
  std::vector<Update> updates;
  Term term = 3;
  bool welcomes = true;
  bool acknowledges = true;

 private:
  const wire::AuthorizedKeys& admitted_;
  const std::string id_;
  zmq::socket_t socket_;
  std::string peer_;
};

class AgentTest : public testing::Test {
 protected:
  void SetUp() override {
    agent_keys_ = *wire::generate_key_pair();
    controller_keys_ = *wire::generate_key_pair();
    ASSERT_TRUE(wire::write_public_key(directory_.path() + "/agents", {"h1", agent_keys_.public_key}));
    admitted_ = std::move(*wire::AuthorizedKeys::load(directory_.path() + "/agents"));
    zap_.emplace(context_, *admitted_);
    controller_.emplace(context_, controller_keys_, *admitted_, "c1");
    hypervisor_.define(kWeb, fakes::FakeHypervisor::running_domain("web", 2, 512 * kMiB));
    config_.host = HostId("h1");
    config_.state_directory = directory_.path() + "/state";
    config_.tick = std::chrono::milliseconds(100);
    // Nobody listens for telemetry here.
    config_.controllers = {{"tcp://127.0.0.1:1", controller_->endpoint(), controller_keys_.public_key}};
  }
  void start() {
    state_ = *StateDirectory::hold(config_.state_directory);
    queues_.emplace();
    agent_.emplace(
        config_, 7, agent_keys_,
        AgentSurroundings{context_, clock_, collector_, hypervisor_, []() -> Result<std::int64_t> { return kGiB; }},
        *queues_);
    const Status started = agent_->start();
    ASSERT_TRUE(started) << started.error().message;
  }
  void stop() {
    agent_.reset();
    queues_.reset();
    state_.reset();
  }

  TemporaryDirectory directory_;
  SystemClock clock_;
  zmq::context_t context_;
  wire::KeyPair agent_keys_;
  wire::KeyPair controller_keys_;
  std::unique_ptr<wire::AuthorizedKeys> admitted_;
  std::optional<wire::ZapHandler> zap_;
  std::optional<OneController> controller_;
  fakes::FakeHypervisor hypervisor_{"qemu+tcp://h1/system"};
  CountingCollector collector_;
  AgentConfig config_;
  std::unique_ptr<StateDirectory> state_;
  std::optional<AgentQueues> queues_;
  std::optional<Agent> agent_;
};

TEST_F(AgentTest, FollowsAControllerAndDoesWhatItSays) {
  start();
  ASSERT_TRUE(controller_->greeted_by(""));
  EXPECT_EQ(controller_->hellos.front().boot_id, 7U);
  EXPECT_EQ(controller_->hellos.front().version, PROTEUS_VERSION);
  controller_->send(wire::encode(controller_->command(1, SetVcpus{3})));
  ASSERT_TRUE(controller_->hears(1, kAccepted));
  ASSERT_TRUE(controller_->hears(1, kSucceeded));
  EXPECT_EQ(hypervisor_.find(kWeb)->seen.vcpus, 3);
  EXPECT_TRUE(eventually([&] { return collector_.refreshes_count == 1; })) << "the collector looks at once";
  EXPECT_TRUE(eventually([&] { return agent_->command_status().leader == "c1"; }));
  EXPECT_TRUE(eventually([&] { return collector_.ticks_count >= 3; }));
  EXPECT_TRUE(eventually([&] { return collector_.looks_count >= 6; })) << "three between two ticks";
  ASSERT_TRUE(controller_->greeted_by("c1"));
  EXPECT_EQ(controller_->hellos.back().term, 3U);
}

TEST_F(AgentTest, AnEndThatNobodyHeardIsToldByTheNextRun) {
  start();
  ASSERT_TRUE(controller_->greeted_by(""));
  controller_->acknowledges = false;
  controller_->send(wire::encode(controller_->command(1, SetVcpus{3})));
  ASSERT_TRUE(controller_->hears(1, kSucceeded));
  stop();
  controller_->serve();
  controller_->updates.clear();
  controller_->acknowledges = true;
  start();
  ASSERT_TRUE(controller_->hears(1, kSucceeded));
  controller_->updates.clear();
  controller_->send(wire::encode(controller_->command(1, SetVcpus{3})));
  ASSERT_TRUE(controller_->hears(1, kSucceeded));
  EXPECT_EQ(hypervisor_.orders_count(), 1);
}

TEST_F(AgentTest, AMigrationInProgressDoesNotDelayAStopOrAnInspection) {
  fakes::FakeHypervisor other("qemu+tcp://h2/system");
  hypervisor_.connect(other);
  hypervisor_.set_migration_step_bytes(1);
  start();
  ASSERT_TRUE(controller_->greeted_by(""));
  controller_->send(wire::encode(controller_->command(
      1, Migrate{.target = HostId("h2"), .target_libvirt_uri = "qemu+tcp://h2/system", .migrate_uri = ""})));
  ASSERT_TRUE(controller_->hears(1, kRunning));
  controller_->send(wire::encode(controller_->command(2, Inspect{})));
  ASSERT_TRUE(controller_->hears(2, kSucceeded));
  stop();
  start();
  hypervisor_.set_migration_step_bytes(kGiB);
  ASSERT_TRUE(controller_->hears(1, kSucceeded));
  EXPECT_TRUE(other.active(kWeb));
}

TEST_F(AgentTest, StopsThoughTheHypervisorHangsAndTheNextRunFindsOutWhatBecameOfTheCommand) {
  start();
  ASSERT_TRUE(controller_->greeted_by(""));
  hypervisor_.set_hangs(true);
  controller_->send(wire::encode(controller_->command(1, SetVcpus{3})));
  ASSERT_TRUE(eventually([&] { return hypervisor_.hung_count() == 1; }));
  auto stopped = std::async(std::launch::async, [this] { agent_->stop(std::chrono::milliseconds(1)); });
  EXPECT_EQ(stopped.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(hypervisor_.hung_count(), 1);
  hypervisor_.set_hangs(false);
  stopped.wait();
  stop();
  start();
  EXPECT_TRUE(eventually([&] {
    controller_->serve();
    return !controller_->updates.empty() && is_final(controller_->updates.back().state);
  }));
}

TEST_F(AgentTest, TwoControllersByMistakeTheSecondIsNotObeyed) {
  const auto second_keys = *wire::generate_key_pair();
  OneController second(context_, second_keys, *admitted_, "c2");
  config_.controllers.push_back({"tcp://127.0.0.1:2", second.endpoint(), second_keys.public_key});
  second.welcomes = false;
  start();
  ASSERT_TRUE(controller_->greeted_by("c1"));
  ASSERT_TRUE(second.greeted_by("c1"));
  second.term = 9;
  second.send(wire::encode(second.command(1, SetVcpus{4})));
  ASSERT_TRUE(second.hears(1, kRefused));
  EXPECT_THAT(second.updates.back().message, HasSubstr("follows controller 'c1'"));
  EXPECT_EQ(hypervisor_.orders_count(), 0);
}

TEST(StateDirectory, OneAgentPerState) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/state";
  auto first = StateDirectory::hold(path);
  ASSERT_TRUE(first) << first.error().message;
  const auto second = StateDirectory::hold(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_THAT(second.error().message, HasSubstr(path));
  first->reset();
  EXPECT_TRUE(StateDirectory::hold(path));
}

}  // namespace
}  // namespace proteus
