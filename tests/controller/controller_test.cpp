// The controller on a store of its own, fed by a host that exists in memory: threads, journal and restart are real.

#include "controller/controller.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "common/wire/telemetry_codec.h"
#include "controller/replay/replayer.h"
#include "tests/controller/store/temporary_directory.h"
#include "tests/fakes/fake_telemetry.h"

namespace proteus::controller {
namespace {

using fakes::FakeHost;
using fakes::FakeVm;
using std::chrono::seconds;

/// Moved by the test's thread, read by all.
class SharedClock final : public Clock {
 public:
  Timestamp now() const override { return from_unix_ns(now_ns_.load()); }
  void advance(Nanoseconds by) { now_ns_ += by.count(); }

 private:
  std::atomic<std::int64_t> now_ns_ = 1'700'000'000'000'000'000;
};

class NoLink final : public ingest::CommandLink {
 public:
  bool send(Command) override { return true; }
  void acknowledge(const Update&) override {}
};

/// Ends the controller's thread whatever becomes of the test.
class Running {
 public:
  Running(Controller& controller, Queues& queues, const Controller::Surroundings& surroundings)
      : queues_(queues), thread_([&controller, surroundings] { controller.run(surroundings); }) {}
  ~Running() {
    queues_.requests.close();
    thread_.join();
  }

 private:
  Queues& queues_;
  std::thread thread_;
};

class ControllerTest : public testing::Test {
 protected:
  static std::string uuid_of(int vm) { return "00000000-0000-4000-8000-00000000000" + std::to_string(vm); }
  void SetUp() override {
    auto opened = store::Store::open({.directory = directory_ / "store"});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
    for (int i = 0; i < 3; ++i) {
      FakeVm vm;
      vm.name = "web" + std::to_string(i);
      vm.uuid = uuid_of(i);
      vm.quota_us = 40000;
      host_.vms.push_back(vm);
    }
  }

  ControllerOptions options() const {
    ControllerOptions options;
    options.id = "test";
    options.policy_toml = "automation = \"automatic\"\n";
    options.pipeline.view.forecast.step = seconds(1);
    options.pipeline.view.forecast.horizon_steps = 10;
    options.pipeline.view.forecast.season = seconds(30);
    options.pipeline.view.forecast_workers = 2;
    options.pipeline.executor.controller = "test";
    return options;
  }

  /// A second of load, through the store as ingest does it, and the cycle that follows it.
  Status pass_second(Controller& controller, Queues& queues) {
    clock_.advance(seconds(1));
    ++second_;
    std::vector<std::pair<double, double>> demand;
    for (std::size_t i = 0; i < host_.vms.size(); ++i) {
      demand.emplace_back(0.2 + 0.003 * second_ + 0.05 * std::sin(second_ * 0.7 + static_cast<double>(i)), 0.0);
    }
    host_.pass(1, demand);
    std::vector<std::string> messages;
    encoder_.encode(host_.sample(clock_.now()), messages);
    const std::uint64_t before = controller.snapshot()->cycle;
    for (std::string& bytes : messages) {
      store::RawMessage message;
      message.received = clock_.now();
      message.host = HostId("h1");
      auto upstream = wire::decode_upstream(bytes);
      if (!upstream) return upstream.error();
      if (const auto* frame = std::get_if<wire::EncodedFrame>(&*upstream)) {
        message.boot_id = frame->boot_id;
        message.sequence = frame->sequence;
        message.catalog_version = frame->catalog_version;
        message.base_sequence = frame->base_sequence;
      } else {
        message.boot_id = std::get<Catalog>(*upstream).boot_id;
        message.catalog_version = std::get<Catalog>(*upstream).version;
      }
      message.bytes = std::move(bytes);
      std::vector<store::RawMessage> one{message};
      if (Status stored = store_->append(one); !stored) return stored;
      auto sample = reader_.read(message.host, one[0].bytes);
      if (!sample) return sample.error();
      if (*sample) queues.samples.push({one[0].lsn, one[0].received, message.host, std::move(**sample)});
    }
    if (!cycle_after(controller, before)) return Error{ErrorCode::kDeadlineExceeded, "no cycle"};
    return {};
  }

  /// Waits for a cycle after that one. False: it does not come.
  static bool cycle_after(const Controller& controller, std::uint64_t before) {
    const auto give_up = std::chrono::steady_clock::now() + seconds(60);
    while (controller.snapshot()->cycle == before) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::yield();
    }
    return true;
  }

  /// A run of so many seconds that pushes a signal in each, and stores its forecasts at the end.
  void run(int count, const std::function<void(Controller&)>& at_the_end) {
    Queues queues;
    auto policy = ham::parse_policy(options().policy_toml, "policy");
    ASSERT_TRUE(policy);
    auto controller = Controller::create(options(), std::move(*policy), *store_, clock_, queues);
    ASSERT_TRUE(controller) << controller.error().message;
    NoLink link;
    const std::uint64_t before = (*controller)->snapshot()->cycle;
    {
      const Running running(**controller, queues,
                            {link, [] { return ingest::IngestStatus(); }, [] { return std::uint64_t{0}; }});
      ASSERT_TRUE(cycle_after(**controller, before)) << "one runs at once, without telemetry";
      for (int i = 0; i < count; ++i) {
        const Status passed = pass_second(**controller, queues);
        ASSERT_TRUE(passed) << passed.error().message << " in second " << second_;
        const Status pushed =
            (*controller)->push({"orders", {}, seconds(5), {{clock_.now(), 1.0 + i % 7}}}, "web1", "shop");
        ASSERT_TRUE(pushed) << pushed.error().message;
      }
      at_the_end(**controller);
    }
    ASSERT_TRUE((*controller)->save_forecasts(clock_.now(), true));
  }

  TemporaryDirectory directory_;
  std::unique_ptr<store::Store> store_;
  SharedClock clock_;
  FakeHost host_{"h1", 4, 8 * kGiB};
  wire::FrameEncoder encoder_;
  wire::TelemetryReader reader_;
  int second_ = 0;
};

TEST_F(ControllerTest, ForecastsSurviveARestartAndAllOfItIsReplayedByteForByte) {
  std::size_t seen = 0;
  run(60, [&](Controller& controller) {
    const auto outlook = controller.outlook("web1", forecast::Resource::kCpu);
    ASSERT_TRUE(outlook) << outlook.error().message;
    EXPECT_EQ(outlook->vm, VmId(uuid_of(1)));
    EXPECT_EQ(outlook->report.forecast.steps.size(), 10u);
    seen = outlook->report.history.values.size();
    EXPECT_GE(seen, 55u);
    EXPECT_EQ(controller.outlook("nobody", forecast::Resource::kCpu).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(controller.accuracy("")->size(), 6u) << "CPU and memory of three VMs";
    const auto one = controller.accuracy("web1");
    ASSERT_TRUE(one);
    ASSERT_EQ(one->size(), 2u);
    EXPECT_EQ((*one)[0].vm_name, "web1");
    EXPECT_EQ(controller.accuracy("nobody").error().code, ErrorCode::kNotFound);
    EXPECT_EQ(controller.push({"orders", {}, {}, {{clock_.now(), 1}}}, "nobody", "x").error().code,
              ErrorCode::kNotFound);
  });
  // What telemetry the store has lost by then, the forecasts remember.
  run(15, [&](Controller& controller) {
    const auto outlook = controller.outlook("web1", forecast::Resource::kCpu);
    ASSERT_TRUE(outlook);
    EXPECT_GE(outlook->report.history.values.size(), seen + 10);
  });

  replay::Replayer replayer({});
  int restored = 0;
  store::Store::Visitor visitor;
  visitor.raw = [&](const store::RawMessage& message) { return replayer.on_raw(message).has_value(); };
  visitor.journal = [&](const store::JournalEntry& entry) {
    restored += std::holds_alternative<store::ForecastState>(entry.payload) ? 1 : 0;
    return replayer.on_journal(entry).has_value();
  };
  ASSERT_TRUE(store_->scan_lsn(0, std::numeric_limits<std::uint64_t>::max(), visitor));
  replayer.finish();
  EXPECT_EQ(restored, 1);
  EXPECT_GE(replayer.cycles(), 75u);
  EXPECT_GT(replayer.decisions(), 0u);
  for (const replay::Difference& difference : replayer.differences()) {
    ADD_FAILURE() << "recorded " << difference.recorded << "\nreplayed " << difference.replayed;
  }
}

TEST_F(ControllerTest, DamagedForecastsBeginAnew) {
  run(40, [](Controller&) {});
  std::string key;
  ASSERT_TRUE(store_->visit_models("series/", [&](const std::string& found, const std::string&) {
    key = found;
    return false;
  }));
  ASSERT_TRUE(store_->put_models({{key, "nonsense"}}));
  run(2, [](Controller& controller) {
    const auto outlook = controller.outlook("web1", forecast::Resource::kCpu);
    ASSERT_TRUE(outlook);
    EXPECT_GE(outlook->report.history.values.size(), 38u) << "from stored telemetry";
  });
}

}  // namespace
}  // namespace proteus::controller
