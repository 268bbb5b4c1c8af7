#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "common/clock.h"
#include "common/queue.h"
#include "common/result.h"
#include "common/telemetry.h"
#include "common/token_bucket.h"
#include "common/wire/curve.h"
#include "common/wire/log_interval.h"
#include "common/wire/socket.h"
#include "controller/ingest/intake.h"
#include "controller/ingest/receiver.h"
#include "controller/store/store.h"

namespace proteus::ingest {

/// A frame that is durable in the store, for the pipeline.
struct Ingested {
  std::uint64_t lsn = 0;
  Timestamp received;  ///< controller's clock
  HostId host;
  Sample sample;
  std::size_t catalog_bytes = 0;    ///< memory of its catalog, if it is the first of its host with this one
  std::shared_ptr<void> held = {};  ///< while it is there, the sample counts as waiting (IngestOptions::held_bytes_max)
};

/// Bytes of an Ingested with this sample, its catalog aside, which others share: Ingested::catalog_bytes.
std::size_t memory_of(const Sample& sample);

struct IngestOptions {
  std::string endpoint = "tcp://*:7401";
  wire::KeyPair keys;
  std::chrono::milliseconds batch_window{20};  ///< from a batch's first message to its write
  std::size_t batch_messages_max = 1024;
  std::size_t batch_bytes_max = 16 << 20;
  std::chrono::milliseconds store_retry{1000};
  WaitingLimits waiting;
  /// Samples that wait because the pipeline's queue is full; above it telemetry is left to the agents' spools.
  std::size_t undelivered_max = 4096;
  /// Likewise, memory of samples that no pipeline has taken yet: one is up to seventy times what was sent.
  std::size_t held_bytes_max = 512u << 20;
  /// Of one host, so that it cannot take the room of all others.
  std::size_t host_held_bytes_max = 128u << 20;
  std::size_t host_held_samples_max = 16'384;
  /// Of one host, received: as much at once, and so much in a second from then on; more is left to its agent. What
  /// decoding takes goes with it. No agent that delivers what it has kept is as fast for long.
  std::size_t host_burst_bytes = 128u << 20;
  std::size_t host_bytes_per_s = 32u << 20;
  /// Of one host, stored: as much at once, and as much again in each day; more is left to its agent. A value takes a
  /// byte at least, so that this bounds how many of them there are, too.
  std::int64_t host_stored_bytes_per_day = std::int64_t{128} << 30;
  wire::SocketOptions socket;
};

struct IngestStatus {
  std::uint64_t messages = 0;    ///< received
  std::uint64_t bytes = 0;       ///< received
  std::uint64_t frames = 0;      ///< made durable
  std::uint64_t catalogs = 0;    ///< made durable
  std::uint64_t repeats = 0;     ///< passed over
  std::uint64_t wanted = 0;      ///< not taken because something before them is missing; asked for again
  std::uint64_t refused = 0;     ///< undecodable, or of a host that the key does not prove
  std::uint64_t discarded = 0;   ///< not taken: store, pipeline or host had no room; agents send them again
  std::uint64_t over_limit = 0;  ///< refused, or left to their agent: more than is taken of one host in a day
  std::string over_limit_last;   ///< which host, and of what; empty: none
  std::uint64_t batches = 0;
  std::uint64_t store_errors = 0;
  std::uint64_t undelivered = 0;  ///< durable, waiting for room in the pipeline's queue
  std::string store_error;        ///< why nothing is stored right now; empty if all is well
};

/// Receives telemetry, makes it durable, acknowledges it and passes the samples on, in the order of their lsn.
/// While the store takes nothing (disk full), nothing is acknowledged and agents keep their frames; it is tried again
/// by itself. While the pipeline's queue is full, likewise: samples are never dropped between store and pipeline, so
/// that replay sees what the pipeline saw. Thread: its own, `ingest`; the rest of the interface from any.
class Ingest {
 public:
  /// Binds the socket and starts the threads. Everything passed by reference outlives the object; the context has a
  /// ZapHandler with the same keys; `samples` refuses when full and is written by nobody else.
  /// Errors: kInvalidArgument (endpoint, key), kUnavailable (address in use).
  static Result<std::unique_ptr<Ingest>> start(zmq::context_t& context, IngestOptions options,
                                               const wire::AuthorizedKeys& authorized, store::Store& store,
                                               const Clock& clock, Queue<Ingested>& samples);
  /// Stores and acknowledges what was taken, then ends.
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  const std::string& endpoint() const { return receiver_->endpoint(); }  ///< as bound
  IngestStatus status() const;

 private:
  Ingest(std::unique_ptr<Receiver> receiver, IngestOptions options, store::Store& store, const Clock& clock,
         Queue<Ingested>& samples);
  void run();
  std::chrono::milliseconds time_to_wait() const;
  void take_waiting();
  void note_unheard(const HostId& host, const std::string& link);
  void ask_unheard();
  bool batch_is_large() const;
  void take(const wire::FromPeer& message);
  void store_batch();
  void deliver();
  void refuse(const HostId& host, const Error& error);
  void note_over_limit(const HostId& host, const std::string& why);
  void report(const Intake::Outcome& outcome);

  const IngestOptions options_;
  store::Store& store_;
  const Clock& clock_;
  Queue<Ingested>& samples_;
  const std::unique_ptr<Receiver> receiver_;
  std::atomic<bool> stopping_ = false;

  // Thread ingest.
  Intake intake_;
  std::chrono::steady_clock::time_point batch_began_{};
  std::size_t batch_bytes_ = 0;
  std::size_t batch_held_bytes_ = 0;  // memory of its samples
  std::chrono::steady_clock::time_point retry_at_{};
  bool store_failed_ = false;
  struct Unheard {
    std::string link;
    std::chrono::steady_clock::time_point since;
  };
  std::map<HostId, Unheard> unheard_;  // of which something was left to the agent
  wire::LogInterval refusals_{std::chrono::seconds(30)};

  mutable std::mutex mutex_;  // guards all below
  IngestStatus status_;
  std::deque<Ingested> undelivered_;

  /// Samples that no pipeline has taken, of all hosts or one. Shared with them: the last may go after this object.
  struct Held {
    std::atomic<std::size_t> bytes = 0;
    std::atomic<std::size_t> samples = 0;
  };
  struct HostHeld {
    std::shared_ptr<Held> held;
    std::weak_ptr<const Catalog> catalog;  // of its last sample
    TokenBucket bytes;                     // received
    TokenBucket stored_bytes;
  };
  HostHeld& held_of(const HostId& host);
  static std::shared_ptr<void> hold(std::shared_ptr<Held> all, std::shared_ptr<Held> of_host, std::size_t bytes);
  const std::shared_ptr<Held> held_ = std::make_shared<Held>();
  std::map<HostId, HostHeld> held_by_host_;  // thread ingest
  struct Taken {
    std::size_t catalog_bytes = 0;
    std::shared_ptr<void> held;
  };
  std::vector<Taken> batch_;  // likewise; beside each of the batch's samples

  std::thread thread_;
};

}  // namespace proteus::ingest
