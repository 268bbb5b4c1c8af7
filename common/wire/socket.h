#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "common/ids.h"
#include "common/result.h"
#include "common/wire/curve.h"
#include "common/wire/log_interval.h"

/// ZeroMQ sockets as Proteus uses them: every limit set on purpose, CURVE on all, one part per message.
/// A socket belongs to the thread that made it.
namespace proteus::wire {

/// The largest catalog has 65,536 entities of 100 bytes and 1,048,576 series of 8, with 1 MiB of VMs' labels; the
/// largest frame 1,048,576 values of 10 bytes at most and a mask.
constexpr std::int64_t kTelemetryMessageBytesMax = 16 << 20;
/// Texts of an update and of a command have 8 KiB at most.
constexpr std::int64_t kCommandMessageBytesMax = 32 << 10;

/// What was received waits in libzmq without limit, so that whoever has a socket empties it at all times, and keeps
/// what waits within limits itself. With a limit libzmq 4.3.4 stops reading, and ends the process ("Assertion failed:
/// !_io_error", stream_engine_base.cpp) if the connection is reset then and a heartbeat is due, or was received.
struct SocketOptions {
  int send_high_water_mark = 256;                              ///< messages per peer
  std::int64_t message_bytes_max = kTelemetryMessageBytesMax;  ///< a peer that sends more is disconnected
  std::chrono::milliseconds linger{0};
  /// Both ends of a connection ask each other, which wakes two threads each time. Whether a host can be worked with is
  /// told by what it says (acknowledgements, greetings), sooner than by this.
  std::chrono::milliseconds heartbeat_interval{5000};
  std::chrono::milliseconds heartbeat_timeout{15000};  ///< a peer silent for so long is disconnected
  std::chrono::milliseconds handshake_timeout{5000};
  std::chrono::milliseconds reconnect_min{100};
  std::chrono::milliseconds reconnect_max{2000};
};

/// Lets the process hold one descriptor per agent: raises the soft limit of open files to the hard one.
/// Returns: the limit now in force.
std::uint64_t raise_file_limit();

/// A ROUTER bound to `endpoint` ("tcp://*:7401", port * for any free one), as CURVE server in our ZAP domain, with
/// mandatory routing. A name that a peer gives itself takes no other's place. The context must have a ZapHandler.
/// Sending to a peer that is gone says kNotFound, to a slow one kUnavailable. Errors: kInvalidArgument (endpoint, key),
/// kUnavailable (address in use).
Result<zmq::socket_t> make_router(zmq::context_t& context, const std::string& endpoint, const KeyPair& keys,
                                  const SocketOptions& options);

/// "tcp://HOST:PORT"; HOST may be a name, an address, "[::1]" or, to listen, "*"; PORT is 1 … 65535.
bool valid_endpoint(std::string_view text);
/// Its PORT; nullopt if it is no valid endpoint.
std::optional<std::uint16_t> port_of(std::string_view endpoint);

/// A DEALER that connects to `endpoint` and keeps doing so, as CURVE client that pins the server's key. Messages are
/// accepted only while the connection stands (ZMQ_IMMEDIATE), and what was queued when it breaks is discarded: after a
/// reconnect the stream begins anew. No routing id is set, so that no peer can take over another's.
/// Errors: kInvalidArgument (endpoint, key).
Result<zmq::socket_t> make_dealer(zmq::context_t& context, const std::string& endpoint, const KeyPair& keys,
                                  const std::string& server_key, const SocketOptions& options);
/// The same, not connected yet: its SocketMonitor connects it, and so misses nothing. Errors: kInvalidArgument (key).
Result<zmq::socket_t> make_dealer(zmq::context_t& context, const KeyPair& keys, const std::string& server_key,
                                  const SocketOptions& options);

/// Waits until one of `items` is ready, a signal came, or `timeout` has passed.
void poll(std::vector<zmq::pollitem_t>& items, std::chrono::milliseconds timeout);

/// The address a socket is bound to, with the port that the kernel chose.
std::string bound_endpoint(zmq::socket_t& socket);

/// What a ROUTER received, and from whom by proof of key.
struct FromPeer {
  std::string routing_id;
  HostId user;  ///< host of the connection's key
  zmq::message_t body;
  std::string_view bytes() const { return body.to_string_view(); }
};

/// The next message waiting at a ROUTER, or nullopt if there is none; never blocks.
/// Errors: kPermissionDenied (no user id, or `keys` does not admit the connection's key any more), kCorrupt (more than
/// one part). The message is then consumed; calling again is right.
Result<std::optional<FromPeer>> receive_from_agent(zmq::socket_t& router, const AuthorizedKeys& keys);
/// Errors: kUnavailable (the peer's queue is full), kNotFound (no such peer any more).
Status send_to(zmq::socket_t& router, const std::string& routing_id, std::string_view bytes);

/// The next message waiting at a DEALER, or nullopt; never blocks. Errors: kCorrupt (more than one part).
Result<std::optional<zmq::message_t>> receive(zmq::socket_t& dealer);
/// Errors: kUnavailable (not connected, or the queue is full).
Status send(zmq::socket_t& dealer, std::string_view bytes);

/// The link check: what a message says of its host must be what the key proves.
/// Errors: kPermissionDenied.
Status check_sender(const HostId& user, const HostId& named);

/// Says when connections of a socket come, go and are refused, which ZeroMQ otherwise keeps to itself. Where a DEALER
/// has had none for ten seconds, and each minute from then on, that is logged as warning. A refusal is logged at most
/// every 30 s per reason: as error at a DEALER, with endpoint and reason; as warning at a ROUTER (a key that is not
/// authorized is logged by ZapHandler, which knows it). libzmq gives a connection up for good when its key is refused;
/// for a DEALER the monitor begins it anew after the socket's longest reconnect interval, so that an agent is let in
/// once its key is authorized. For a DEALER it also begins the connection anew when it is made, since events before
/// that are lost. Thread: that of the socket, which polls socket() beside it and calls next() until it is empty, at
/// least every second; libzmq's I/O thread stands still when 1,000 events wait. Declare it after the socket, so that it
/// goes first.
class SocketMonitor {
 public:
  enum class Event { kUp, kDown, kRefused };

  /// name: what the log calls the connection, for example "telemetry to tcp://c1:7401".
  /// endpoint: what a DEALER is to connect to, which begins here, anew if it was connected before; not used for a
  /// ROUTER.
  SocketMonitor(zmq::context_t& context, zmq::socket_t& socket, std::string name, std::string endpoint = {});
  ~SocketMonitor();
  SocketMonitor(const SocketMonitor&) = delete;
  SocketMonitor& operator=(const SocketMonitor&) = delete;

  zmq::socket_ref socket() { return events_; }
  std::optional<Event> next();
  std::uint64_t refused_count() const { return refused_count_; }
  /// Why the last handshake failed; empty once one succeeded.
  const std::string& refusal() const { return refusal_; }

 private:
  void refused(const std::string& reason, bool log_here, const std::string& peer);
  void begin_anew_later();
  void begin_anew_if_due();
  void begin_anew();
  void note_down();
  void complain_if_due();

  zmq::socket_t& monitored_;
  const std::string name_;
  const std::string endpoint_;
  const bool is_client_;
  zmq::socket_t events_;
  std::uint64_t refused_count_ = 0;
  std::string refusal_;
  std::chrono::steady_clock::time_point refused_at_{};
  LogInterval reasons_{std::chrono::seconds(30)};
  std::optional<std::chrono::steady_clock::time_point> begin_anew_at_;
  std::optional<std::chrono::steady_clock::time_point> down_since_;  // of a DEALER; nullopt: it is up
  std::chrono::steady_clock::time_point complain_at_{};
};

}  // namespace proteus::wire
