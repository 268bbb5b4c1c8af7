#include "controller/api/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace proteus::api {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How soon a server that stops is noticed by who waits for a request.
constexpr milliseconds kLookInterval{100};

bool wait_for(int socket, short what, Clock::time_point until) {
  pollfd item{socket, what, 0};
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    if (left <= milliseconds(0)) return false;
    const int ready = ::poll(&item, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

void tell_address(int socket, int (*of)(int, sockaddr*, socklen_t*), std::string& ip, int& port) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (of(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    bytes = &v4->sin_addr;
    port = ntohs(v4->sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    bytes = &v6->sin6_addr;
    port = ntohs(v6->sin6_port);
  }
  if (bytes != nullptr && inet_ntop(address.ss_family, bytes, text.data(), text.size()) != nullptr) ip = text.data();
}

/// A connection's bytes, within the limits. Does not own the socket. Thread: owned by one.
class GuardedStream final : public httplib::Stream {
 public:
  GuardedStream(int socket, SSL* ssl, const Patience& patience) : socket_(socket), ssl_(ssl), patience_(patience) {
    ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
    begin_request();
  }
  void begin_request() {
    bytes_left_ = kRequestBytesMax;
    read_until_ = Clock::now() + kRequestTimeMax;
    waited_ = {};
    taken_by_peer_ = 0;
  }
  bool is_open() const {
    pollfd item{socket_, POLLRDHUP, 0};
    return ::poll(&item, 1, 0) == 0;
  }
  /// An answer was not taken: what is left of it is not to be kept for later.
  bool gave_up() const { return gave_up_; }
  bool handshake() {
    for (;;) {
      const int done = SSL_accept(ssl_);
      if (done == 1) return true;
      if (!wait_for_ssl(done, read_until_)) return false;
    }
  }
  /// A byte of a request is there, or the connection's end.
  bool has_bytes(milliseconds wait) const {
    if (taken_ < buffered_ || (ssl_ != nullptr && SSL_pending(ssl_) > 0)) return true;
    return wait_for(socket_, POLLIN, Clock::now() + wait);
  }

  bool is_readable() const override { return has_bytes(std::max(milliseconds(0), left())); }
  bool is_writable() const override { return wait_for(socket_, POLLOUT, Clock::now() + patience_.nothing); }
  ssize_t read(char* to, std::size_t size) override {
    if (taken_ == buffered_) {
      const ssize_t more = receive();
      if (more <= 0) return more;
      taken_ = 0;
      buffered_ = static_cast<std::size_t>(more);
    }
    size = std::min({size, buffered_ - taken_, bytes_left_});
    if (size == 0) return -1;
    std::memcpy(to, buffer_.data() + taken_, size);
    taken_ += size;
    bytes_left_ -= size;
    return static_cast<ssize_t>(size);
  }
  ssize_t write(const char* from, std::size_t size) override {
    const auto begun = Clock::now();
    for (;;) {
      const ssize_t sent = send_some(from, size);
      if (sent >= 0) {
        note_taken(static_cast<std::size_t>(sent));
        return sent;
      }
      const short awaited = what_is_awaited(static_cast<int>(sent));
      gave_up_ = awaited == 0 || !wait_for_peer(awaited, begun + patience_.nothing);
      if (gave_up_) return -1;
    }
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    tell_address(socket_, ::getpeername, ip, port);
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    tell_address(socket_, ::getsockname, ip, port);
  }
  socket_t socket() const override { return socket_; }

 private:
  milliseconds left() const { return std::chrono::ceil<milliseconds>(read_until_ - Clock::now()); }
  ssize_t send_some(const char* from, std::size_t size) {
    if (ssl_ != nullptr) {
      const int sent = SSL_write(ssl_, from, static_cast<int>(std::min<std::size_t>(size, 1u << 30)));
      return sent > 0 ? sent : std::min(sent, -1);
    }
    return ::send(socket_, from, size, MSG_NOSIGNAL);
  }
  /// After send_some() said so.
  short what_is_awaited(int sent) const {
    if (ssl_ != nullptr) return awaited_by_ssl(sent);
    return errno == EAGAIN || errno == EINTR ? POLLOUT : short{0};
  }
  bool wait_for_peer(short awaited, Clock::time_point until) {
    const auto begun = Clock::now();
    const bool ready = wait_for(socket_, awaited, std::min(until, begun + patience_.little - waited_));
    waited_ += Clock::now() - begun;
    return ready;
  }
  void note_taken(std::size_t bytes) {
    taken_by_peer_ += bytes;
    if (taken_by_peer_ < patience_.little_bytes) return;
    taken_by_peer_ = 0;
    waited_ = {};
  }
  /// 0: nothing helps.
  short awaited_by_ssl(int result) const {
    const int error = SSL_get_error(ssl_, result);
    return error == SSL_ERROR_WANT_READ ? POLLIN : error == SSL_ERROR_WANT_WRITE ? POLLOUT : short{0};
  }
  bool wait_for_ssl(int result, Clock::time_point until) const {
    const short awaited = awaited_by_ssl(result);
    return awaited != 0 && wait_for(socket_, awaited, until);
  }
  ssize_t receive() {
    for (;;) {
      if (Clock::now() >= read_until_) return -1;
      if (ssl_ != nullptr) {
        const int received = SSL_read(ssl_, buffer_.data(), static_cast<int>(buffer_.size()));
        if (received > 0) return received;
        if (!wait_for_ssl(received, read_until_)) return -1;
        continue;
      }
      const ssize_t received = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
      if (received >= 0) return received;
      if (errno == EINTR) continue;
      if (errno != EAGAIN || !wait_for(socket_, POLLIN, read_until_)) return -1;
    }
  }

  const int socket_;
  SSL* const ssl_;
  const Patience patience_;
  Clock::duration waited_{};  // for the peer to take something
  bool gave_up_ = false;
  std::size_t taken_by_peer_ = 0;  // in that time
  std::size_t bytes_left_ = 0;
  Clock::time_point read_until_;
  std::array<char, 4096> buffer_;
  std::size_t buffered_ = 0;
  std::size_t taken_ = 0;  // of what is buffered
};

/// Tells the connections of each that waits for a thread.
class ExpectingPool final : public httplib::TaskQueue {
 public:
  explicit ExpectingPool(Connections& connections) : connections_(connections), pool_(kConnectionsMax) {}
  void enqueue(std::function<void()> job) override {
    connections_.expect();
    pool_.enqueue(std::move(job));
  }
  void shutdown() override {
    connections_.stop(kStopTimeMax);  // else the pool waits for whoever says nothing, or reads slowly
    pool_.shutdown();
  }

 private:
  Connections& connections_;
  httplib::ThreadPool pool_;
};

template <typename Base>
class GuardedServer final : public Base {
 public:
  template <typename... Arguments>
  explicit GuardedServer(std::function<bool(const httplib::Request&)> has_token, Patience patience,
                         Arguments... arguments)
      : Base(arguments...), has_token_(std::move(has_token)), patience_(patience) {
    // By a number of its own: stop() may close the other at any time.
    this->set_socket_options([this](socket_t socket) {
      httplib::default_socket_options(socket);
      close_listening();
      listening_ = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
    });
    this->new_task_queue = [this] {
      ::listen(listening_, SOMAXCONN);  // httplib's queue of 5 makes others wait a second for their next attempt
      close_listening();
      return new ExpectingPool(connections_);
    };
  }
  ~GuardedServer() override { close_listening(); }
  GuardedServer(const GuardedServer&) = delete;
  GuardedServer& operator=(const GuardedServer&) = delete;

 private:
  void close_listening() {
    if (listening_ >= 0) ::close(std::exchange(listening_, -1));
  }
  bool process_and_close_socket(socket_t socket) override {
    const Connections::Number number = connections_.enter(socket);
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl(nullptr, SSL_free);
    bool opened = true;
    if constexpr (std::is_base_of_v<httplib::SSLServer, Base>) {
      ssl.reset(SSL_new(this->ssl_context()));
      opened = ssl != nullptr && SSL_set_fd(ssl.get(), socket) == 1;
      if (opened) SSL_set_mode(ssl.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    GuardedStream stream(socket, ssl.get(), patience_);
    if (opened && ssl != nullptr) opened = stream.handshake();
    if (opened) serve(stream, number);
    connections_.leave(number);
    if (stream.gave_up()) {
      const linger at_once{1, 0};  // else the kernel keeps what nobody takes, for minutes
      ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    } else {
      if (ssl != nullptr && opened) SSL_shutdown(ssl.get());
      ::shutdown(socket, SHUT_RDWR);
    }
    ::close(socket);
    return opened;
  }

  void serve(GuardedStream& stream, Connections::Number number) {
    for (std::size_t left = this->keep_alive_max_count_; left > 0; --left) {
      if (left < this->keep_alive_max_count_) {
        if (!has_next(stream)) return;
        stream.begin_request();
      }
      bool trusted = false;
      bool closed = false;
      const bool served = this->process_request(stream, left == 1, closed, [&](httplib::Request& request) {
        request.ranges.clear();  // each would be another copy of the answer
        request.progress = [&stream](std::uint64_t, std::uint64_t) { return stream.is_open(); };  // for is_wanted()
        trusted = has_token_(request);
        connections_.trust(number, trusted);
      });
      connections_.trust(number, false);
      if (!served || closed || !trusted) return;
    }
  }

  bool has_next(const GuardedStream& stream) const {
    for (auto until = Clock::now() + kIdleTimeMax; Clock::now() < until;) {
      if (this->svr_sock_ == INVALID_SOCKET) return false;
      if (stream.has_bytes(kLookInterval)) return true;
    }
    return false;
  }

  const std::function<bool(const httplib::Request&)> has_token_;
  const Patience patience_;
  int listening_ = -1;
  Connections connections_;
};

}  // namespace

void Connections::expect() {
  const std::lock_guard lock(mutex_);
  ++expected_;
  end_what_is_too_much();
}

Connections::Number Connections::enter(int socket) {
  const std::lock_guard lock(mutex_);
  --expected_;
  const Number number = places_.insert(places_.end(), {.socket = socket});
  end_what_is_too_much();  // what came in a burst had no place yet
  return number;
}

void Connections::leave(Number number) {
  const std::lock_guard lock(mutex_);
  if (number->ended) --ended_;
  places_.erase(number);
  if (places_.empty()) all_left_.notify_all();
}

void Connections::trust(Number number, bool trusted) {
  const std::lock_guard lock(mutex_);
  number->trusted = trusted;
  if (!trusted) end_what_is_too_much();  // when all were trusted there was none to end
}

void Connections::stop(milliseconds time_max) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  end_what_is_too_much();
  all_left_.wait_for(lock, time_max, [this] { return places_.empty(); });
  cutting_off_ = true;
  end_what_is_too_much();
}

bool Connections::is_too_much(const Place& place) const {
  if (place.ended) return false;
  if (stopping_) return !place.trusted || cutting_off_;
  return !place.trusted && expected_ + places_.size() - ended_ > kConnectionsMax;
}

/// Whoever serves them finds their end, and leaves.
void Connections::end_what_is_too_much() {
  for (Place& place : places_) {
    if (!is_too_much(place)) continue;
    place.ended = true;
    ++ended_;
    ::shutdown(place.socket, SHUT_RDWR);
  }
}

std::shared_ptr<void> Turns::take() {
  std::unique_lock lock(mutex_);
  if (taken_ >= at_once_ && !stopping_) {
    if (waiting_ >= waiting_max_) return nullptr;
    ++waiting_;
    const bool is_over = free_.wait_for(lock, wait_max_, [this] { return taken_ < at_once_ || stopping_; });
    --waiting_;
    if (!is_over) return nullptr;
  }
  if (stopping_) return nullptr;
  ++taken_;
  return {this, [](Turns* turns) {
            {
              const std::lock_guard held(turns->mutex_);
              --turns->taken_;
            }
            turns->free_.notify_one();
          }};
}

void Turns::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  free_.notify_all();
}

std::unique_ptr<httplib::Server> make_guarded_server(const std::string& certificate, const std::string& key,
                                                     std::function<bool(const httplib::Request&)> has_token,
                                                     Patience patience) {
  if (certificate.empty()) return std::make_unique<GuardedServer<httplib::Server>>(std::move(has_token), patience);
  return std::make_unique<GuardedServer<httplib::SSLServer>>(std::move(has_token), patience, certificate.c_str(),
                                                             key.c_str());
}

bool is_wanted(const httplib::Request& request) {
  return !request.progress || request.progress(0, 0);
}

}  // namespace proteus::api
