#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <zmq.hpp>

#include "common/wire/curve.h"
#include "common/wire/log_interval.h"
#include "common/wire/peer_connections.h"
#include "common/wire/wakeup.h"

namespace proteus::wire {

/// The domain that every server socket of ours names and that is enforced.
constexpr const char* kZapDomain = "proteus";
/// An agent has two at a controller, and for a while those that broke without a word.
constexpr std::size_t kConnectionsPerKeyMax = 16;

/// Answers libzmq's question whether a CURVE key may connect (ZeroMQ RFC 27), for every server socket of its context.
/// An admitted key's connection gets its host's name as user id, and the key itself as message property "X-Key", so
/// that a key withdrawn later is refused on connections that stand (see receive_from_agent in socket.h). A refused key
/// is logged once a minute, and counted; so is an admitted one that has too many connections already, which its libzmq
/// tries again by itself. The file of keys is looked at every second. Without a handler libzmq admits
/// every key: make it before the first server socket of the context. Thread: its own, `zap`; refused_count() from any.
class ZapHandler {
 public:
  /// `context` and `keys` outlive the handler. ports: those of the server sockets, where a key's connections are
  /// counted; none named: all of the process. Throws zmq::error_t if the context has a handler already: a broken
  /// invariant of the program.
  ZapHandler(zmq::context_t& context, AuthorizedKeys& keys, std::set<std::uint16_t> ports = {},
             std::size_t connections_per_key_max = kConnectionsPerKeyMax);
  ~ZapHandler();
  ZapHandler(const ZapHandler&) = delete;
  ZapHandler& operator=(const ZapHandler&) = delete;

  std::uint64_t refused_count() const { return refused_count_; }
  /// Connections of admitted keys that had too many already.
  std::uint64_t surplus_count() const { return surplus_count_; }

 private:
  void run();
  void answer();
  bool has_room(const HostId& host, const std::string& key, const std::string& address);

  AuthorizedKeys& keys_;
  zmq::socket_t socket_;
  Wakeup wakeup_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> refused_count_ = 0;
  std::atomic<std::uint64_t> surplus_count_ = 0;
  LogInterval refused_keys_{std::chrono::minutes(1)};  // thread zap
  LogInterval unread_{std::chrono::minutes(1)};        // likewise; why the list is not read
  PeerConnections connections_;                        // likewise
  std::thread thread_;
};

}  // namespace proteus::wire
