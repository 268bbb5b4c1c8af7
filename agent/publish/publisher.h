#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "agent/publish/backlog.h"
#include "common/ids.h"
#include "common/queue.h"
#include "common/result.h"
#include "common/telemetry.h"
#include "common/wire/curve.h"
#include "common/wire/socket.h"
#include "common/wire/wakeup.h"

namespace proteus::publish {

struct ControllerEndpoint {
  std::string endpoint;    ///< "tcp://c1:7401"
  std::string public_key;  ///< pinned, Z85
};

struct PublisherOptions {
  HostId host;
  wire::KeyPair keys;
  std::vector<ControllerEndpoint> controllers;   ///< each gets all telemetry
  std::string spool_directory;                   ///< one directory per controller is made in it
  std::uint64_t spool_bytes_max = 256ULL << 20;  ///< per controller
  BacklogOptions backlog;
  /// No word from a connected controller for so long: everything unacknowledged is sent again; doubles up to a minute
  /// while nothing new is acknowledged.
  std::chrono::milliseconds resend_after{5000};
  /// At most so much is sent ahead of the acknowledgements.
  std::size_t window_frames = 256;
  std::size_t window_bytes = 8 << 20;
  /// How long stop() waits for acknowledgements before it leaves the rest in the spool.
  std::chrono::milliseconds farewell{300};
  wire::SocketOptions socket;
};

/// How the publisher stands with one controller.
struct LinkStatus {
  std::string endpoint;
  bool connected = false;
  std::string refusal;            ///< why the last handshake failed, or that it takes nothing; else empty
  std::uint64_t frames_sent = 0;  ///< repeats included
  std::uint64_t streams_begun = 0;
  std::size_t frames_held = 0;  ///< unacknowledged
  std::uint64_t spool_bytes = 0;
  std::uint64_t frames_dropped = 0;
};

class Link;

/// Sends every sample to every controller, at least once, in order, until it is acknowledged.
/// Reads the queue of samples (the collector closes it); frames that a former process left in the spool go first.
/// Thread: its own, `publish`; status() and dropped_frames() from any. The queue's on_push belongs to the publisher.
class Publisher {
 public:
  /// `context` and `samples` outlive the publisher.
  Publisher(zmq::context_t& context, PublisherOptions options, Queue<Sample>& samples);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  /// Opens spools and sockets, then starts the thread. Once.
  /// Errors: kInvalidArgument (endpoint, key), kUnavailable (spool in use), kPermissionDenied.
  Status start();
  /// Takes what the queue still holds, waits for acknowledgements up to options.farewell, leaves the rest in the spool.
  void stop();

  /// Frames lost since the start, and at it: dropped by the queue, or by the spool of any controller (a frame that two
  /// spools dropped counts twice). KPI agent_dropped_frames_count.
  std::uint64_t dropped_frames() const { return dropped_frames_; }
  std::vector<LinkStatus> status() const;

 private:
  void run();
  void take_samples(SteadyTime now);
  bool fits_the_wire(const Sample& sample);
  void poll(std::chrono::milliseconds timeout, bool leaving);
  /// Errors: why not.
  Status fits_the_wire(const Catalog& catalog) const;
  void report();

  zmq::context_t& context_;
  const PublisherOptions options_;
  Queue<Sample>& samples_;
  wire::Wakeup wakeup_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> dropped_frames_ = 0;
  mutable std::mutex mutex_;  // guards status_
  std::vector<LinkStatus> status_;

  // Thread publish, once it runs.
  std::vector<std::unique_ptr<Link>> links_;
  std::shared_ptr<const Catalog> checked_catalog_;
  bool catalog_fits_ = false;
  bool time_fits_ = true;
  std::uint64_t misfits_ = 0;

  std::thread thread_;
};

}  // namespace proteus::publish
