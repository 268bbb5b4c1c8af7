#include "common/wire/zap_handler.h"

#include <pthread.h>

#include <array>
#include <utility>
#include <vector>

#include "common/log.h"
#include "common/wire/socket.h"

namespace proteus::wire {
namespace {

using namespace std::chrono_literals;

constexpr auto kReloadInterval = 1s;

/// One property as in ZMTP's READY: length and name, length and value.
std::string property(std::string_view name, std::string_view value) {
  std::string bytes;
  bytes += static_cast<char>(name.size());
  bytes += name;
  const auto length = static_cast<std::uint32_t>(value.size());
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(length >> shift & 0xff);
  bytes += value;
  return bytes;
}

}  // namespace

ZapHandler::ZapHandler(zmq::context_t& context, AuthorizedKeys& keys, std::set<std::uint16_t> ports,
                       std::size_t connections_per_key_max)
    : keys_(keys),
      socket_(context, zmq::socket_type::rep),
      connections_(connections_per_key_max, [ports = std::move(ports)] { return count_connections(ports); }) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.bind("inproc://zeromq.zap.01");
  thread_ = std::thread([this] { run(); });
}

ZapHandler::~ZapHandler() {
  stopping_ = true;
  wakeup_.notify();
  thread_.join();
}

void ZapHandler::run() {
  pthread_setname_np(pthread_self(), "zap");
  auto next_reload = std::chrono::steady_clock::now() + kReloadInterval;
  while (!stopping_) {
    std::vector<zmq::pollitem_t> items = {{socket_.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, wakeup_.fd(), ZMQ_POLLIN, 0}};
    poll(items, kReloadInterval);
    if ((items[1].revents & ZMQ_POLLIN) != 0) wakeup_.drain();
    const auto now = std::chrono::steady_clock::now();
    if (now >= next_reload || (items[0].revents & ZMQ_POLLIN) != 0) {
      next_reload = now + kReloadInterval;
      if (auto reloaded = keys_.reload_if_changed(); !reloaded) {
        const Error& error = reloaded.error();
        if (error.code == ErrorCode::kInvalidArgument || unread_.is_due(error.message)) {
          log::error("authorized keys not read again: {}", error.message);
        }
      } else if (*reloaded) {
        log::info("authorized keys read again: {} keys", keys_.size());
      }
    }
    if ((items[0].revents & ZMQ_POLLIN) != 0) answer();
  }
}

void ZapHandler::answer() {
  // version, request id, domain, address, identity, mechanism, then the credentials: for CURVE the key's 32 bytes
  std::vector<std::string> request;
  for (bool more = true; more;) {
    zmq::message_t part;
    if (!socket_.recv(part, zmq::recv_flags::dontwait)) return;
    more = part.more();
    if (request.size() < 8) request.push_back(part.to_string());
  }
  std::optional<HostId> host;
  std::string key;
  const bool is_curve = request.size() == 7 && request[0] == "1.0" && request[5] == "CURVE" && request[6].size() == 32;
  if (is_curve) {
    std::array<char, kKeyTextLength + 1> text{};
    zmq_z85_encode(text.data(), reinterpret_cast<const std::uint8_t*>(request[6].data()), request[6].size());
    key = text.data();
    if (request[2] == kZapDomain) host = keys_.host_of(key);
  }
  if (!host) {
    ++refused_count_;
    if (refused_keys_.is_due(key)) {
      log::warning("refused key {} from {}: not among the authorized keys ({} refusals so far)",
                   key.empty() ? "none" : key, request.size() > 3 ? request[3] : "unknown address",
                   refused_count_.load());
    }
  }
  // 400 is the refusal of which libzmq tells the client; at 300 the client hears nothing, and tries again.
  const bool has_room = !host || this->has_room(*host, key, request[3]);
  const bool admitted = host && has_room;
  const std::array<std::string, 6> reply = {"1.0",
                                            request.size() > 1 ? request[1] : "",
                                            admitted   ? "200"
                                            : has_room ? "400"
                                                       : "300",
                                            admitted   ? "OK"
                                            : has_room ? "key is not authorized"
                                                       : "too many connections",
                                            admitted ? host->value : "",
                                            admitted ? property("X-Key", key) : ""};
  for (std::size_t i = 0; i < reply.size(); ++i) {
    socket_.send(zmq::buffer(reply[i]), i + 1 < reply.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
}

bool ZapHandler::has_room(const HostId& host, const std::string& key, const std::string& address) {
  if (connections_.admit(key, address, std::chrono::steady_clock::now())) return true;
  ++surplus_count_;
  if (refused_keys_.is_due("surplus of " + key)) {
    log::warning("refused one more connection of {} from {}: it has or had too many ({} refusals so far)", host.value,
                 address, surplus_count_.load());
  }
  return false;
}

}  // namespace proteus::wire
