#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/wire/telemetry_codec.h"
#include "controller/controller.h"
#include "controller/replay/replayer.h"
#include "tests/fakes/fake_telemetry.h"
#include "tests/fakes/full_journal.h"
#include "tests/temporary_directory.h"

// A controller on a store of its own, fed by a host that exists in memory: threads, journal and restart are real.
namespace proteus::controller {

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

/// Takes commands, which the test's thread then carries out, or leaves.
class HeldLink final : public ingest::CommandLink {
 public:
  bool send(Command command) override {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
    return true;
  }
  void acknowledge(const Update&) override { ++acknowledged_count_; }
  std::size_t acknowledged_count() const { return acknowledged_count_; }
  std::vector<Command> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(commands_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Command> commands_;
  std::atomic<std::size_t> acknowledged_count_ = 0;
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
    store_ = std::make_unique<fakes::FullJournal>(std::move(*opened));
    for (int i = 0; i < 3; ++i) {
      FakeVm vm;
      vm.name = "web" + std::to_string(i);
      vm.uuid = uuid_of(i);
      vm.quota_us = 40000;
      host_.vms.push_back(vm);
    }
  }

  virtual ControllerOptions options() const {
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
    clock_.advance(seconds(sends_ ? 1 : 2));  // without telemetry cycles are further apart
    ++second_;
    if (obeys_) obey(queues);
    if (on_second_) on_second_(queues);
    const std::uint64_t before = controller.snapshot()->cycle;
    if (sends_) {
      if (Status sent = send_load(queues); !sent) return sent;
    }
    if (!cycle_after(controller, before)) return Error{ErrorCode::kDeadlineExceeded, "no cycle"};
    return {};
  }

  /// A second of load, without the cycle.
  Status send_load(Queues& queues) {
    std::vector<std::pair<double, double>> demand;
    for (std::size_t i = 0; i < host_.vms.size(); ++i) {
      demand.emplace_back(0.2 + 0.003 * second_ + 0.05 * std::sin(second_ * 0.7 + static_cast<double>(i)), 0.0);
    }
    return send(host_, *encoder_, demand, queues);
  }

  /// A second of a host.
  Status send(FakeHost& host, wire::FrameEncoder& encoder, const std::vector<std::pair<double, double>>& demand,
              Queues& queues) {
    host.pass(1, demand);
    std::vector<std::string> messages;
    const Sample made = host.sample(clock_.now());
    encoder.encode(made, messages);
    for (std::string& bytes : messages) {
      store::RawMessage message;
      message.received = clock_.now();
      message.host = made.catalog->host;
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
    return {};
  }

  /// Does what has been commanded, as an agent does, and says so.
  void obey(Queues& queues) {
    for (const Command& command : link_.take()) {
      const auto vm =
          std::find_if(host_.vms.begin(), host_.vms.end(), [&](const FakeVm& v) { return v.uuid == command.vm.value; });
      ASSERT_NE(vm, host_.vms.end());
      if (const auto* quota = std::get_if<SetCpuQuota>(&command.operation)) vm->quota_us = quota->quota_us;
      Update update{command.id, command.action, command.term, command.host, command.vm, {}, clock_.now(), "", {}, {}};
      update.state = CommandState::kSucceeded;
      if (std::holds_alternative<Inspect>(command.operation)) {
        update.observed = DomainObservation{true, true, 1, vm->quota_us, 100000, 1024, vm->memory_bytes};
      }
      for (int i = 0; i < words_; ++i) ASSERT_TRUE(queues.events.push({clock_.now(), update}));
    }
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
    run_until(
        count, [](Controller&) { return false; }, at_the_end);
  }
  /// The same, which ends sooner once `enough` says so.
  void run_until(int count, const std::function<bool(Controller&)>& enough,
                 const std::function<void(Controller&)>& at_the_end) {
    Queues queues;
    auto policy = ham::parse_policy(options().policy_toml, "policy");
    ASSERT_TRUE(policy);
    auto controller = Controller::create(options(), std::move(*policy), *store_, clock_, queues);
    ASSERT_TRUE(controller) << controller.error().message;
    if (obeys_) {
      ASSERT_TRUE(queues.events.push({clock_.now(), store::AgentPresence{HostId("h1"), true, ""}}));
    }
    const std::uint64_t before = (*controller)->snapshot()->cycle;
    {
      const Running running(**controller, queues,
                            {link_, [] { return ingest::IngestStatus(); }, [] { return std::uint64_t{0}; }});
      ASSERT_TRUE(cycle_after(**controller, before)) << "one runs at once, without telemetry";
      for (int i = 0; i < count && !enough(**controller); ++i) {
        const Status passed = pass_second(**controller, queues);
        ASSERT_TRUE(passed) << passed.error().message << " in second " << second_;
        if (!pushes_) continue;
        const Status pushed =
            (*controller)->push({"orders", {}, seconds(5), {{clock_.now(), 1.0 + i % 7}}}, "web1", "shop");
        ASSERT_TRUE(pushed) << pushed.error().message;
      }
      at_the_end(**controller);
    }
    ASSERT_TRUE((*controller)->save_forecasts(clock_.now(), true));
  }

  /// Everything that was taken in and put out so far, decided again.
  void expect_replayed_byte_for_byte(std::size_t cycles_min) {
    replay::Replayer replayer({});
    store::Store::Visitor visitor;
    visitor.raw = [&](const store::RawMessage& message) { return replayer.on_raw(message).has_value(); };
    visitor.journal = [&](const store::JournalEntry& entry) { return replayer.on_journal(entry).has_value(); };
    ASSERT_TRUE(store_->scan_lsn(0, std::numeric_limits<std::uint64_t>::max(), visitor));
    replayer.finish();
    EXPECT_GE(replayer.cycles(), cycles_min);
    EXPECT_GT(replayer.decisions(), 0u);
    for (const replay::Difference& difference : replayer.differences()) {
      ADD_FAILURE() << "recorded " << difference.recorded << "\nreplayed " << difference.replayed;
    }
  }
  template <typename Payload>
  std::vector<Payload> journalled() {
    std::vector<Payload> found;
    store::Store::Visitor visitor;
    visitor.raw = [](const store::RawMessage&) { return true; };
    visitor.journal = [&](const store::JournalEntry& entry) {
      if (const auto* payload = std::get_if<Payload>(&entry.payload)) found.push_back(*payload);
      return true;
    };
    EXPECT_TRUE(store_->scan_lsn(0, std::numeric_limits<std::uint64_t>::max(), visitor));
    return found;
  }
  static double evidence_s(const Controller& controller) {
    return controller.snapshot()->state->hosts.at(0).fingerprint.evidence_s;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<fakes::FullJournal> store_;
  SharedClock clock_;
  FakeHost host_{"h1", 4, 8 * kGiB};
  std::optional<wire::FrameEncoder> encoder_{std::in_place};
  wire::TelemetryReader reader_;
  HeldLink link_;
  bool obeys_ = false;
  int words_ = 1;                           // each is said so often
  bool pushes_ = true;                      // signals
  bool sends_ = true;                       // telemetry
  std::function<void(Queues&)> on_second_;  // before the host's own telemetry
  int second_ = 0;
};

}  // namespace proteus::controller
