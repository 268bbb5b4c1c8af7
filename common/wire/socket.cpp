#include "common/wire/socket.h"

#include <sys/random.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "common/log.h"
#include "common/wire/zap_handler.h"

namespace proteus::wire {
namespace {

constexpr std::chrono::seconds kDownUnnoticed{10};
constexpr std::chrono::seconds kComplaintInterval{60};

Error from_zmq(int number, const std::string& context) {
  ErrorCode code = ErrorCode::kInternal;
  if (number == EAGAIN || number == EADDRINUSE || number == EADDRNOTAVAIL) code = ErrorCode::kUnavailable;
  if (number == EHOSTUNREACH) code = ErrorCode::kNotFound;
  if (number == EINVAL || number == EPROTONOSUPPORT || number == ENODEV) code = ErrorCode::kInvalidArgument;
  if (number == EACCES) code = ErrorCode::kPermissionDenied;
  return Error{code, fmt::format("{}: {}", context, zmq_strerror(number))};
}

void apply(zmq::socket_t& socket, const SocketOptions& options) {
  const auto ms = [](std::chrono::milliseconds d) { return static_cast<int>(d.count()); };
  socket.set(zmq::sockopt::sndhwm, options.send_high_water_mark);
  socket.set(zmq::sockopt::rcvhwm, 0);  // see SocketOptions
  socket.set(zmq::sockopt::maxmsgsize, options.message_bytes_max);
  socket.set(zmq::sockopt::linger, ms(options.linger));
  socket.set(zmq::sockopt::heartbeat_ivl, ms(options.heartbeat_interval));
  socket.set(zmq::sockopt::heartbeat_timeout, ms(options.heartbeat_timeout));
  socket.set(zmq::sockopt::heartbeat_ttl, ms(options.heartbeat_timeout));
  socket.set(zmq::sockopt::handshake_ivl, ms(options.handshake_timeout));
  socket.set(zmq::sockopt::reconnect_ivl, ms(options.reconnect_min));
  socket.set(zmq::sockopt::reconnect_ivl_max, ms(options.reconnect_max));
  socket.set(zmq::sockopt::ipv6, true);
}

/// Takes the rest of a message that should have ended, so that the next receive starts at a message's beginning.
void discard_rest(zmq::socket_t& socket, zmq::message_t& part) {
  while (part.more()) {
    if (!socket.recv(part, zmq::recv_flags::dontwait)) return;
  }
}

std::string property_of(const zmq::message_t& message, const char* name) {
  // zmq_msg_gets through the C interface: the C++ one throws where a property is absent.
  const char* value = zmq_msg_gets(const_cast<zmq::message_t&>(message).handle(), name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

std::uint64_t raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit before = limit;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit = before;
  }
  return limit.rlim_cur;
}

bool valid_endpoint(std::string_view text) {
  return port_of(text).has_value();
}

std::optional<std::uint16_t> port_of(std::string_view endpoint) {
  constexpr std::string_view kScheme = "tcp://";
  if (!endpoint.starts_with(kScheme)) return std::nullopt;
  endpoint.remove_prefix(kScheme.size());
  const std::size_t colon = endpoint.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view digits = endpoint.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || rest != digits.data() + digits.size() || port == 0) return std::nullopt;
  return port;
}

namespace {

/// libzmq 4.3 numbers the peers of a ROUTER from rand() on, which it does not seed, and ends the process when a peer
/// has announced the next number as its own name. Nobody is to guess it.
void seed_routing_ids() {
  unsigned seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) == sizeof seed) std::srand(seed);
}

}  // namespace

Result<zmq::socket_t> make_router(zmq::context_t& context, const std::string& endpoint, const KeyPair& keys,
                                  const SocketOptions& options) {
  try {
    seed_routing_ids();
    zmq::socket_t socket(context, zmq::socket_type::router);
    apply(socket, options);
    socket.set(zmq::sockopt::router_mandatory, true);
    socket.set(zmq::sockopt::zap_domain, kZapDomain);
    // Without it a missing ZAP handler would admit every key. libzmq 4.3 knows the option and hides its name and the
    // C++ wrapper among the drafts.
    constexpr int kZapEnforceDomain = 93;
    const int enforce = 1;
    if (zmq_setsockopt(socket.handle(), kZapEnforceDomain, &enforce, sizeof enforce) != 0) throw zmq::error_t();
    socket.set(zmq::sockopt::curve_server, true);
    socket.set(zmq::sockopt::curve_secretkey, keys.secret_key);
    socket.bind(endpoint);
    return socket;
  } catch (const zmq::error_t& e) {
    return from_zmq(e.num(), fmt::format("listen on {}", endpoint));
  }
}

Result<zmq::socket_t> make_dealer(zmq::context_t& context, const KeyPair& keys, const std::string& server_key,
                                  const SocketOptions& options) {
  try {
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    apply(socket, options);
    socket.set(zmq::sockopt::immediate, true);
    socket.set(zmq::sockopt::curve_serverkey, server_key);
    socket.set(zmq::sockopt::curve_publickey, keys.public_key);
    socket.set(zmq::sockopt::curve_secretkey, keys.secret_key);
    return socket;
  } catch (const zmq::error_t& e) {
    return from_zmq(e.num(), "make a socket with these keys");
  }
}

Result<zmq::socket_t> make_dealer(zmq::context_t& context, const std::string& endpoint, const KeyPair& keys,
                                  const std::string& server_key, const SocketOptions& options) {
  auto socket = make_dealer(context, keys, server_key, options);
  if (!socket) return socket;
  try {
    socket->connect(endpoint);
    return socket;
  } catch (const zmq::error_t& e) {
    return from_zmq(e.num(), fmt::format("connect to {}", endpoint));
  }
}

void poll(std::vector<zmq::pollitem_t>& items, std::chrono::milliseconds timeout) {
  try {
    zmq::poll(items, timeout);
  } catch (const zmq::error_t& e) {
    if (e.num() != EINTR) throw;
    for (zmq::pollitem_t& item : items) item.revents = 0;
  }
}

std::string bound_endpoint(zmq::socket_t& socket) {
  return socket.get(zmq::sockopt::last_endpoint);
}

Result<std::optional<FromPeer>> receive_from_agent(zmq::socket_t& router, const AuthorizedKeys& keys) {
  try {
    zmq::message_t routing_id;
    if (!router.recv(routing_id, zmq::recv_flags::dontwait)) return std::optional<FromPeer>();
    FromPeer message;
    message.routing_id = routing_id.to_string();
    if (!routing_id.more() || !router.recv(message.body, zmq::recv_flags::dontwait)) {
      return Error{ErrorCode::kCorrupt, "message without a body"};
    }
    const HostId user(property_of(message.body, "User-Id"));
    const std::string key = property_of(message.body, "X-Key");
    if (message.body.more()) {
      discard_rest(router, message.body);
      return Error{ErrorCode::kCorrupt, fmt::format("message of several parts from {}", user.value)};
    }
    if (user.empty()) return Error{ErrorCode::kPermissionDenied, "message from a connection without a user id"};
    if (keys.host_of(key) != user) {
      return Error{ErrorCode::kPermissionDenied, fmt::format("the key of {} is not authorized any more", user.value)};
    }
    message.user = user;
    return std::optional<FromPeer>(std::move(message));
  } catch (const zmq::error_t& e) {
    return from_zmq(e.num(), "receive");
  }
}

Status send_to(zmq::socket_t& router, const std::string& routing_id, std::string_view bytes) {
  try {
    if (!router.send(zmq::buffer(routing_id), zmq::send_flags::sndmore | zmq::send_flags::dontwait) ||
        !router.send(zmq::buffer(bytes), zmq::send_flags::dontwait)) {
      return from_zmq(EAGAIN, "send");
    }
    return {};
  } catch (const zmq::error_t& e) {
    return from_zmq(e.num(), "send");
  }
}

Result<std::optional<zmq::message_t>> receive(zmq::socket_t& dealer) {
  try {
    zmq::message_t body;
    if (!dealer.recv(body, zmq::recv_flags::dontwait)) return std::optional<zmq::message_t>();
    if (body.more()) {
      discard_rest(dealer, body);
      return Error{ErrorCode::kCorrupt, "message of several parts"};
    }
    return std::optional<zmq::message_t>(std::move(body));
  } catch (const zmq::error_t& e) {
    return from_zmq(e.num(), "receive");
  }
}

Status send(zmq::socket_t& dealer, std::string_view bytes) {
  try {
    if (!dealer.send(zmq::buffer(bytes), zmq::send_flags::dontwait)) return from_zmq(EAGAIN, "send");
    return {};
  } catch (const zmq::error_t& e) {
    return from_zmq(e.num(), "send");
  }
}

Status check_sender(const HostId& user, const HostId& named) {
  if (user == named) return {};
  return Error{ErrorCode::kPermissionDenied,
               fmt::format("the key is that of host '{}', the message speaks for '{}'", user.value, named.value)};
}

SocketMonitor::SocketMonitor(zmq::context_t& context, zmq::socket_t& socket, std::string name, std::string endpoint)
    : monitored_(socket),
      name_(std::move(name)),
      endpoint_(std::move(endpoint)),
      is_client_(socket.get(zmq::sockopt::type) == ZMQ_DEALER),
      events_(context, zmq::socket_type::pair) {
  static std::atomic<std::uint64_t> count = 0;
  const std::string address = fmt::format("inproc://socket-monitor-{}", ++count);
  constexpr int kEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                          ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                          ZMQ_EVENT_DISCONNECTED;
  if (zmq_socket_monitor(monitored_.handle(), address.c_str(), kEvents) != 0) throw zmq::error_t();
  events_.set(zmq::sockopt::linger, 0);
  events_.connect(address);
  // What happened to a connection before anybody listened is not told again.
  if (is_client_) {
    note_down();
    begin_anew();
  }
}

SocketMonitor::~SocketMonitor() {
  zmq_socket_monitor(monitored_.handle(), nullptr, 0);
}

std::optional<SocketMonitor::Event> SocketMonitor::next() {
  begin_anew_if_due();
  complain_if_due();
  for (;;) {
    zmq::message_t head;
    zmq::message_t address;
    if (!events_.recv(head, zmq::recv_flags::dontwait) || !events_.recv(address, zmq::recv_flags::dontwait)) {
      return std::nullopt;
    }
    std::uint16_t event = 0;
    std::uint32_t value = 0;
    if (head.size() != sizeof event + sizeof value) continue;
    std::memcpy(&event, head.data(), sizeof event);
    std::memcpy(&value, static_cast<const char*>(head.data()) + sizeof event, sizeof value);
    const std::string peer = address.to_string();
    switch (event) {
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        if (is_client_) {
          refusal_.clear();
          reasons_.reset();
          begin_anew_at_.reset();
          down_since_.reset();
        }
        return Event::kUp;
      case ZMQ_EVENT_DISCONNECTED:
        if (is_client_ && !down_since_) note_down();
        return Event::kDown;
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        refused(fmt::format("our key was refused (status {}): it is not among the authorized keys there", value),
                is_client_, peer);
        begin_anew_later();
        return Event::kRefused;
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        begin_anew_later();
        refused(value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC
                    ? std::string(is_client_ ? "the server's key is not the one we pin"
                                             : "a peer expects another key than ours")
                    : fmt::format("protocol error {:#x}", value),
                true, peer);
        return Event::kRefused;
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        refused(is_client_ ? "the peer closed the connection during the handshake: it is too busy to answer in time, "
                             "or its key is not the one we pin"
                           : "the connection broke during the handshake",
                true, peer);
        return Event::kRefused;
      default: break;
    }
  }
}

void SocketMonitor::note_down() {
  down_since_ = std::chrono::steady_clock::now();
  complain_at_ = *down_since_ + kDownUnnoticed;
}

/// libzmq does not tell a name without an address from a host that does not answer. A refusal was logged as it came.
void SocketMonitor::complain_if_due() {
  const auto now = std::chrono::steady_clock::now();
  if (!down_since_ || now < complain_at_ || now - refused_at_ < kComplaintInterval) return;
  complain_at_ = now + kComplaintInterval;
  log::warning("{}: no connection for {} s: nobody answers there, or the name has no address", name_,
               std::chrono::duration_cast<std::chrono::seconds>(now - *down_since_).count());
}

void SocketMonitor::begin_anew_later() {
  if (!is_client_) return;
  begin_anew_at_ =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(monitored_.get(zmq::sockopt::reconnect_ivl_max));
}

void SocketMonitor::begin_anew_if_due() {
  if (!begin_anew_at_ || std::chrono::steady_clock::now() < *begin_anew_at_) return;
  begin_anew();
}

void SocketMonitor::begin_anew() {
  begin_anew_at_.reset();
  // The endpoint may be gone from the socket already, and it was good enough to connect to before.
  zmq_disconnect(monitored_.handle(), endpoint_.c_str());
  if (zmq_connect(monitored_.handle(), endpoint_.c_str()) != 0) {
    log::error("{}: cannot connect: {}", name_, zmq_strerror(zmq_errno()));
    begin_anew_later();
  }
}

void SocketMonitor::refused(const std::string& reason, bool log_here, const std::string& peer) {
  ++refused_count_;
  refusal_ = reason;
  refused_at_ = std::chrono::steady_clock::now();
  if (!log_here || !reasons_.is_due(reason)) return;
  if (is_client_) {
    log::error("{}: {} ({} failed handshakes)", name_, reason, refused_count_);
  } else {
    log::warning("{}: {} ({}, {} failed handshakes)", name_, reason, peer, refused_count_);
  }
}

}  // namespace proteus::wire
