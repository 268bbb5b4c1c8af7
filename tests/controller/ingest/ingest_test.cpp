#include "controller/ingest/ingest.h"

#include <gtest/gtest.h>

#include <set>

#include "agent/publish/publisher.h"
#include "common/wire/catalog_check.h"
#include "tests/common/wire/eventually.h"
#include "tests/common/wire/telemetry_samples.h"
#include "tests/controller/ingest/loopback.h"
#include "tests/fakes/memory_store.h"

namespace proteus::ingest {
namespace {

using namespace std::chrono_literals;

/// A publisher and an ingest that talk over real sockets under CURVE.
class Telemetry : public ::testing::Test {
 protected:
  IngestOptions ingest_options() const {
    IngestOptions options;
    options.endpoint = endpoint_;
    options.keys = loopback_.server_keys;
    options.batch_window = 1ms;
    options.store_retry = 20ms;
    options.socket = loopback_.socket;
    return options;
  }
  void start_ingest() { start_ingest(ingest_options(), ingested_); }
  void start_ingest(const IngestOptions& options, Queue<Ingested>& to) {
    // libzmq gives a port back some time after its socket was closed.
    ASSERT_TRUE(eventually([&] {
      auto started = Ingest::start(loopback_.context, options, *loopback_.authorized, store_, clock_, to);
      if (started) ingest_ = std::move(*started);
      return started.has_value();
    }));
    endpoint_ = ingest_->endpoint();  // the next one takes the same port
  }
  void start_publisher() { start_publisher(loopback_.agent_keys); }
  void start_publisher(const wire::KeyPair& keys, const std::string& host = "h1") {
    publish::PublisherOptions options;
    options.host = HostId(host);
    options.keys = keys;
    options.controllers = {{endpoint_, loopback_.server_keys.public_key}};
    options.spool_directory = loopback_.directory.path() + "/spool";
    options.backlog.spool_after = 50ms;
    options.resend_after = 200ms;
    options.socket = loopback_.socket;
    samples_ = std::make_unique<Queue<Sample>>(10'000, WhenFull::kDropOldest);
    publisher_ = std::make_unique<publish::Publisher>(loopback_.context, options, *samples_);
    ASSERT_TRUE(publisher_->start());
  }
  void produce(std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t sequence = from; sequence <= to; ++sequence) {
      sent_[{catalog_->boot_id, sequence}] = make_sample(catalog_, sequence, random_);
      samples_->push(sent_[{catalog_->boot_id, sequence}]);
    }
  }
  bool all_acknowledged() {
    return eventually([&] {
      const auto status = publisher_->status();
      return !status.empty() && store_.frame_count() >= sent_.size() && status[0].frames_held == 0 &&
             samples_->size() == 0;
    });
  }
  /// The pipeline takes what is held for it, until it has had so many samples.
  bool takes(Queue<Ingested>& held, std::size_t count) {
    return eventually([&] {
      while (auto item = held.try_pop()) {
        item->held.reset();
        ingested_.push(std::move(*item));
      }
      return ingested_.size() == count;
    });
  }
  /// Every frame that was produced is stored once, in order, decodes to what was sent, and reached the pipeline.
  void expect_complete() {
    wire::TelemetryReader reader;
    std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
    for (const auto& message : store_.raw()) {
      const auto sample = reader.read(message.host, message.bytes);
      ASSERT_TRUE(sample) << sample.error().message;
      if (!*sample) continue;
      const std::pair key{message.boot_id, message.sequence};
      EXPECT_TRUE(seen.insert(key).second) << "frame " << message.sequence << " is stored twice";
      ASSERT_TRUE(sent_.contains(key));
      EXPECT_EQ((*sample)->frame, sent_[key].frame);
    }
    EXPECT_EQ(seen.size(), sent_.size());
    std::size_t delivered = 0;
    std::uint64_t last_lsn = 0;
    while (const auto item = ingested_.try_pop()) {
      EXPECT_GT(item->lsn, last_lsn);
      last_lsn = item->lsn;
      EXPECT_EQ(item->host, HostId("h1"));
      const std::pair key{item->sample.frame.boot_id, item->sample.frame.sequence};
      EXPECT_EQ(item->sample.frame, sent_[key].frame);
      ++delivered;
    }
    EXPECT_EQ(delivered, sent_.size());
  }

  Loopback loopback_;
  MemoryStore store_;
  SystemClock clock_;
  std::string endpoint_ = "tcp://127.0.0.1:*";
  std::mt19937_64 random_{17};
  std::shared_ptr<const Catalog> catalog_ = make_catalog("h1", 100, 1, 2);
  std::map<std::pair<std::uint64_t, std::uint64_t>, Sample> sent_;
  Queue<Ingested> ingested_{100'000, WhenFull::kRefuse};
  Queue<Ingested> narrow_{8, WhenFull::kRefuse};
  Queue<Ingested> wide_{100'000, WhenFull::kRefuse};
  std::unique_ptr<Queue<Sample>> samples_;
  std::unique_ptr<Ingest> ingest_;
  std::unique_ptr<publish::Publisher> publisher_;
};

TEST_F(Telemetry, EverythingArrivesOnce) {
  start_ingest();
  start_publisher();
  produce(1, 100);
  catalog_ = make_catalog("h1", 100, 2, 3);
  produce(101, 400);
  ASSERT_TRUE(all_acknowledged());
  expect_complete();
  const IngestStatus status = ingest_->status();
  EXPECT_EQ(status.frames, 400u);
  EXPECT_EQ(status.catalogs, 2u);
  EXPECT_EQ(status.refused, 0u);
  EXPECT_EQ(publisher_->dropped_frames(), 0u);
}

TEST_F(Telemetry, ARestartedControllerLosesNothing) {
  start_ingest();
  start_publisher();
  std::uint64_t next = 1;
  for (int round = 0; round < 5; ++round) {
    produce(next, next + 29);
    next += 30;
    ASSERT_TRUE(eventually([&] { return store_.frame_count() > next / 2; }));
    ingest_.reset();
    produce(next, next + 19);
    next += 20;
    start_ingest();
  }
  ASSERT_TRUE(all_acknowledged());
  expect_complete();
}

TEST_F(Telemetry, TheSpoolBridgesAnAbsentControllerAndADeadAgent) {
  start_ingest();
  ingest_.reset();  // its port is known, nobody listens
  start_publisher();
  produce(1, 50);
  ASSERT_TRUE(eventually([&] {
    const auto status = publisher_->status();
    return status[0].frames_held == 50 && status[0].spool_bytes > 1000;  // all but the last 50 ms
  }));
  publisher_->stop();
  publisher_.reset();

  catalog_ = make_catalog("h1", 200, 1, 1);  // the next boot of the agent
  start_publisher();
  produce(1, 10);
  start_ingest();
  ASSERT_TRUE(all_acknowledged());
  expect_complete();
}

TEST_F(Telemetry, AFullStoreAcknowledgesNothingAndRecovers) {
  start_ingest();
  start_publisher();
  produce(1, 10);
  ASSERT_TRUE(all_acknowledged());
  store_.set_full(true);
  produce(11, 60);
  ASSERT_TRUE(eventually([&] { return ingest_->status().store_errors >= 3; }));
  EXPECT_NE(ingest_->status().store_error.find("no space"), std::string::npos);
  EXPECT_EQ(store_.frame_count(), 10u);
  EXPECT_TRUE(eventually([&] { return publisher_->status()[0].frames_held == 50; })) << "once it has taken them all";
  // Frames that came meanwhile were discarded; the agent sends them again.
  ASSERT_TRUE(eventually([&] { return ingest_->status().discarded > 0 || ingest_->status().store_errors > 10; }));
  store_.set_full(false);
  ASSERT_TRUE(all_acknowledged());
  EXPECT_TRUE(ingest_->status().store_error.empty());
  expect_complete();
}

TEST_F(Telemetry, WhileTheStoreHangsOnlySoMuchWaitsAndNothingIsLost) {
  IngestOptions options = ingest_options();
  options.waiting.host_messages_max = 20;
  start_ingest(options, ingested_);
  start_publisher();
  produce(1, 10);
  ASSERT_TRUE(all_acknowledged());
  store_.set_hanging(true);
  produce(11, 110);
  ASSERT_TRUE(eventually([&] { return ingest_->status().discarded > 0; }));
  EXPECT_EQ(store_.frame_count(), 10u);
  store_.set_hanging(false);
  ASSERT_TRUE(all_acknowledged());
  expect_complete();
}

// An agent whose window is full says nothing more, for longer each time.
TEST_F(Telemetry, WhoWasNotListenedToIsAskedAsSoonAsThereIsRoom) {
  const wire::KeyPair other = wire::generate_key_pair().value();
  loopback_.admit("h1 " + loopback_.agent_keys.public_key + "\nh2 " + other.public_key + "\n");
  ASSERT_TRUE(loopback_.authorized->reload_if_changed());
  start_ingest();
  start_publisher();
  produce(1, 1);
  ASSERT_TRUE(all_acknowledged());
  store_.set_full(true);
  produce(2, 2);
  ASSERT_TRUE(eventually([&] { return !ingest_->status().store_error.empty(); }));
  zmq::socket_t silent =
      wire::make_dealer(loopback_.context, endpoint_, other, loopback_.server_keys.public_key, loopback_.socket)
          .value();
  ASSERT_TRUE(eventually([&] { return wire::send(silent, "whatever").has_value(); }));
  ASSERT_TRUE(eventually([&] { return ingest_->status().discarded > 0; }));
  const auto word = [&] { return wire::receive(silent).value(); };
  EXPECT_FALSE(word());
  store_.set_full(false);
  std::optional<zmq::message_t> got;
  ASSERT_TRUE(eventually([&] { return (got = word()).has_value(); }));
  EXPECT_EQ(wire::decode_ack(got->to_string_view()).value(), (wire::Ack{0, 0, wire::Ack::Want::kKeyframe}));
  ASSERT_TRUE(all_acknowledged());
  expect_complete();
}

TEST_F(Telemetry, FramesThatStayWhileLaterOnesAreAcknowledgedAreSentAgain) {
  zmq::socket_t router =
      wire::make_router(loopback_.context, endpoint_, loopback_.server_keys, loopback_.socket).value();
  endpoint_ = wire::bound_endpoint(router);
  start_publisher();
  produce(1, 3);
  catalog_ = make_catalog("h1", 200, 1, 2);
  std::uint64_t next = 1;
  int times = 0;  // that the first frame came
  auto due = std::chrono::steady_clock::now();
  const auto take = [&](const wire::FromPeer& message) {
    const auto decoded = wire::decode_upstream(message.bytes()).value();
    const auto* frame = std::get_if<wire::EncodedFrame>(&decoded);
    if (frame == nullptr) return;
    if (frame->boot_id == 100) {
      times += frame->sequence == 1;
    } else {
      const wire::Ack ack{frame->boot_id, frame->sequence, wire::Ack::Want::kNothing};
      EXPECT_TRUE(wire::send_to(router, message.routing_id, wire::encode(ack)));
    }
  };
  ASSERT_TRUE(eventually([&] {
    if (std::chrono::steady_clock::now() >= due) {
      produce(next, next);
      ++next;
      due += 10ms;
    }
    for (;;) {
      const auto message = wire::receive_from_agent(router, *loopback_.authorized);
      if (!message || !*message) return times == 2 || next > 200;
      take(**message);
    }
  }));
  EXPECT_LE(next, 200u) << "only once the window was full";
}

TEST_F(Telemetry, AFullPipelineQueueLosesNothing) {
  IngestOptions options = ingest_options();
  options.undelivered_max = 16;
  start_ingest(options, narrow_);
  start_publisher();
  produce(1, 300);
  ASSERT_TRUE(eventually([&] { return ingest_->status().undelivered > 0; }));
  ASSERT_TRUE(takes(narrow_, 300));
  EXPECT_EQ(narrow_.dropped_count(), 0u);
  ASSERT_TRUE(all_acknowledged());
  expect_complete();
}

TEST_F(Telemetry, SamplesThatWaitHaveALimitInMemoryToo) {
  IngestOptions options = ingest_options();
  const std::size_t sample_bytes = 9 * catalog_->series.size();
  options.held_bytes_max = 20 * sample_bytes;
  start_ingest(options, wide_);
  start_publisher();
  produce(1, 300);
  ASSERT_TRUE(eventually([&] { return ingest_->status().discarded > 0; }));
  EXPECT_LE(wide_.size(), 21u);  // though it has room
  ASSERT_TRUE(takes(wide_, 300));
  ASSERT_TRUE(all_acknowledged());
  expect_complete();
}

TEST_F(Telemetry, OneHostDoesNotTakeTheRoomOfAllOthers) {
  IngestOptions options = ingest_options();
  options.host_held_bytes_max = 20 * 9 * catalog_->series.size();
  const wire::KeyPair others = wire::generate_key_pair().value();
  loopback_.admit("h1 " + loopback_.agent_keys.public_key + "\nh2 " + others.public_key + "\n");
  start_ingest(options, wide_);
  start_publisher();
  produce(1, 300);
  ASSERT_TRUE(eventually([&] { return ingest_->status().discarded > 0; }));
  const std::size_t of_h1 = wide_.size();
  EXPECT_LE(of_h1, 21u);
  // Another host has room.
  auto link =
      wire::make_dealer(loopback_.context, endpoint_, others, loopback_.server_keys.public_key, loopback_.socket);
  ASSERT_TRUE(link);
  std::vector<std::string> messages;
  wire::FrameEncoder encoder;
  const auto catalog = make_catalog("h2", 1, 1, 2);
  for (std::uint64_t sequence = 1; sequence <= 10; ++sequence) {
    encoder.encode(make_sample(catalog, sequence, random_), messages);
  }
  for (const std::string& message : messages) {
    ASSERT_TRUE(eventually([&] { return wire::send(*link, message).has_value(); }));
  }
  ASSERT_TRUE(eventually([&] { return wide_.size() >= of_h1 + 10; }));
  publisher_.reset();
}

TEST_F(Telemetry, CatalogsCountToWhatWaits) {
  IngestOptions options = ingest_options();
  options.host_held_bytes_max = 20 * wire::memory_of(*catalog_);
  start_ingest(options, wide_);
  start_publisher();
  for (std::uint64_t sequence = 1; sequence <= 200; ++sequence) {
    catalog_ = make_catalog("h1", 100, static_cast<std::uint32_t>(sequence), 2);
    produce(sequence, sequence);
  }
  ASSERT_TRUE(eventually([&] { return ingest_->status().discarded > 0; }));
  EXPECT_LE(wide_.size(), 21u);
  ASSERT_TRUE(takes(wide_, 200));
  ASSERT_TRUE(all_acknowledged());
  expect_complete();
}

TEST_F(Telemetry, AHostThatSendsFasterThanItMayLosesNothing) {
  IngestOptions options = ingest_options();
  options.host_burst_bytes = 100'000;
  options.host_bytes_per_s = 400'000;
  start_ingest(options, ingested_);
  start_publisher();
  produce(1, 400);
  ASSERT_TRUE(eventually([&] { return ingest_->status().discarded > 0; }));
  EXPECT_LT(ingest_->status().frames, 400u);
  ASSERT_TRUE(all_acknowledged());
  expect_complete();
}

TEST_F(Telemetry, AHostHasOnlySoMuchStoredInADay) {
  IngestOptions options = ingest_options();
  options.host_stored_bytes_per_day = 100'000;
  start_ingest(options, ingested_);
  start_publisher();
  produce(1, 2000);
  ASSERT_TRUE(eventually([&] { return ingest_->status().over_limit > 10; }));
  std::size_t stored = 0;
  std::size_t largest = 0;
  for (const store::RawMessage& message : store_.raw()) {
    stored += message.bytes.size();
    largest = std::max(largest, message.bytes.size());
  }
  EXPECT_GE(stored, 100'000u);
  EXPECT_LE(stored, 100'000u + 2 * largest) << "the one that ends it, and what comes in while the test lasts";
  EXPECT_GT(ingest_->status().discarded, 0u);
  EXPECT_NE(ingest_->status().over_limit_last.find("left to its agent"), std::string::npos);
  // What was left to it, it has kept.
  ingest_.reset();
  start_ingest();
  ASSERT_TRUE(all_acknowledged());
  expect_complete();
}

TEST_F(Telemetry, AWrongKeyIsRefusedAndSeen) {
  start_ingest();
  start_publisher(wire::generate_key_pair().value());
  produce(1, 5);
  ASSERT_TRUE(eventually([&] { return !publisher_->status()[0].refusal.empty(); }));
  EXPECT_FALSE(publisher_->status()[0].connected);
  EXPECT_GE(loopback_.zap.refused_count(), 1u);
  EXPECT_EQ(store_.frame_count(), 0u);
  EXPECT_EQ(ingest_->status().messages, 0u);
}

TEST_F(Telemetry, AnAgentDoesNotSpeakForAnotherHost) {
  start_ingest();
  auto dealer = std::move(*wire::make_dealer(loopback_.context, endpoint_, loopback_.agent_keys,
                                             loopback_.server_keys.public_key, loopback_.socket));
  const std::string forged = wire::encode(*make_catalog("h2", 1, 1, 1));
  ASSERT_TRUE(eventually([&] { return wire::send(dealer, forged).has_value(); }));
  ASSERT_TRUE(eventually([&] { return ingest_->status().refused == 1; }));
  EXPECT_TRUE(store_.raw().empty());
}

TEST_F(Telemetry, AnAgentWithTheNameOfAnotherKeyKnowsThatNothingIsTaken) {
  start_ingest();
  start_publisher(loopback_.agent_keys, "h2");
  catalog_ = make_catalog("h2", 10, 1, 1);
  produce(1, 3);
  EXPECT_TRUE(eventually([&] {
    const auto status = publisher_->status();
    return !status.empty() && status[0].refusal == "it takes nothing of this host";
  }));
  EXPECT_EQ(store_.frame_count(), 0u);
}

TEST_F(Telemetry, ACatalogThatCannotBeSentIsNamedByTheAgent) {
  start_ingest();
  start_publisher();
  auto wrong = std::make_shared<Catalog>(*make_catalog("h1", 100, 1, 1));
  wrong->entities[0].name = "h2";
  std::mt19937_64 random(1);
  samples_->push(make_sample(wrong, 1, random));
  ASSERT_TRUE(eventually([&] { return publisher_->dropped_frames() == 1; }));
  catalog_ = make_catalog("h1", 100, 2, 1);
  produce(2, 4);
  ASSERT_TRUE(all_acknowledged());
  expect_complete();
}

TEST_F(Telemetry, AFrameOfAClockThatIsWrongByCenturiesBlocksNothing) {
  start_ingest();
  start_publisher();
  produce(1, 2);
  std::mt19937_64 random(1);
  Sample wrong = make_sample(catalog_, 3, random);
  for (const std::int64_t year : {-1, 240}) {
    wrong.frame.time = Timestamp{} + year * std::chrono::hours(24 * 365);
    samples_->push(wrong);
    ++wrong.frame.sequence;
  }
  produce(5, 6);
  ASSERT_TRUE(all_acknowledged());
  EXPECT_EQ(publisher_->dropped_frames(), 2u);
  expect_complete();
}

TEST_F(Telemetry, EveryControllerGetsEverything) {
  start_ingest();
  MemoryStore other_store;
  Queue<Ingested> other_ingested(1000, WhenFull::kRefuse);
  const auto other_keys = wire::generate_key_pair().value();
  IngestOptions options = ingest_options();
  options.endpoint = "tcp://127.0.0.1:*";
  options.keys = other_keys;
  auto other =
      std::move(*Ingest::start(loopback_.context, options, *loopback_.authorized, other_store, clock_, other_ingested));
  publish::PublisherOptions publisher_options;
  publisher_options.host = HostId("h1");
  publisher_options.keys = loopback_.agent_keys;
  publisher_options.controllers = {{endpoint_, loopback_.server_keys.public_key},
                                   {other->endpoint(), other_keys.public_key}};
  publisher_options.spool_directory = loopback_.directory.path() + "/spool";
  publisher_options.socket = loopback_.socket;
  samples_ = std::make_unique<Queue<Sample>>(1000, WhenFull::kDropOldest);
  publisher_ = std::make_unique<publish::Publisher>(loopback_.context, publisher_options, *samples_);
  ASSERT_TRUE(publisher_->start());
  produce(1, 40);
  ASSERT_TRUE(all_acknowledged());
  EXPECT_TRUE(eventually([&] { return other_ingested.size() == 40; }));
  other.reset();
  expect_complete();
}

}  // namespace
}  // namespace proteus::ingest
