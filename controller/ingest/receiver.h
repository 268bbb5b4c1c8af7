#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "common/result.h"
#include "common/wire/curve.h"
#include "common/wire/log_interval.h"
#include "common/wire/socket.h"
#include "common/wire/wakeup.h"

namespace proteus::ingest {

/// Of what was received and not taken yet; beyond it messages are dropped, and their agents send them again.
struct WaitingLimits {
  /// A thousand agents that deliver what they have kept send 256 frames of some 2 KB each before any is acknowledged.
  /// Beyond it each host has a share of half as much again, so that none is kept out by those that have more.
  std::size_t bytes_max = 1u << 30;
  /// Of one host, so that it cannot take the room of all others. An agent sends 256 frames or 8 MiB ahead of what is
  /// acknowledged; the largest message has 16 MiB.
  std::size_t host_bytes_max = 32u << 20;
  std::size_t host_messages_max = 1024;
};

struct ReceiverOptions {
  std::string endpoint;
  wire::KeyPair keys;
  WaitingLimits waiting;
  wire::SocketOptions socket;
};

/// The telemetry socket, emptied at all times, however long whoever takes the messages is busy with a disk: libzmq
/// must not be left with what it received (SocketOptions says why), so that what waits has its limits here.
/// Thread: its own, `receive`; next(), take_dropped() and wait() from one, the rest from any.
class Receiver {
 public:
  /// Binds the socket and starts the thread. `authorized` and the context outlive the object; the context has a
  /// ZapHandler with the same keys. Errors: kInvalidArgument (endpoint, key), kUnavailable (address in use).
  static Result<std::unique_ptr<Receiver>> start(zmq::context_t& context, ReceiverOptions options,
                                                 const wire::AuthorizedKeys& authorized);
  /// Sends what answer() was given before, as far as it leaves at once.
  ~Receiver();
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  const std::string& endpoint() const { return endpoint_; }  ///< as bound

  /// The oldest message that waits, or nullopt.
  std::optional<wire::FromPeer> next();
  /// Hosts of which messages were dropped, each once, with where answers go: as soon as nothing of theirs waits any
  /// more and there is room.
  std::vector<std::pair<HostId, std::string>> take_dropped();
  /// Until a message waits, interrupt() was called since the last wait, or `timeout` has passed.
  void wait(std::chrono::milliseconds timeout);
  void interrupt();

  /// To the peer that messages with this routing id came from, if it is still there and takes it.
  void answer(std::string routing_id, std::string bytes);

  struct Counts {
    std::uint64_t dropped = 0;        ///< messages that found no room
    std::uint64_t dropped_bytes = 0;  ///< theirs
    std::uint64_t refused = 0;        ///< messages of several parts, or of keys that are not authorized any more
  };
  Counts counts() const;

 private:
  struct Waiting {
    std::size_t messages = 0;
    std::size_t bytes = 0;
  };

  Receiver(zmq::context_t& context, ReceiverOptions options, zmq::socket_t router,
           const wire::AuthorizedKeys& authorized);
  void run();
  void receive_waiting();
  void keep(wire::FromPeer message);
  void send_waiting();

  const ReceiverOptions options_;
  const wire::AuthorizedKeys& authorized_;
  zmq::socket_t router_;
  wire::SocketMonitor monitor_;
  const std::string endpoint_;
  wire::Wakeup wakeup_;
  std::atomic<bool> stopping_ = false;
  wire::LogInterval refusals_{std::chrono::seconds(30)};  // thread receive

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable ready_;
  bool interrupted_ = false;
  std::deque<wire::FromPeer> messages_;
  std::size_t bytes_ = 0;  // of them
  std::map<HostId, Waiting> of_host_;
  std::map<HostId, std::string> dropped_;                     // routing id
  std::vector<std::pair<std::string, std::string>> answers_;  // routing id, bytes
  Counts counts_;

  std::thread thread_;
};

}  // namespace proteus::ingest
