#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <thread>

namespace proteus {

/// A connection's way through the network, for a test that breaks it: whoever connects to port() on 127.0.0.1 is
/// connected with another port there, one after the other. Thread: its own.
class TcpRelay {
 public:
  explicit TcpRelay(std::uint16_t target) : target_(target), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no port for a relay");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~TcpRelay() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }
  TcpRelay(const TcpRelay&) = delete;
  TcpRelay& operator=(const TcpRelay&) = delete;

  std::uint16_t port() const { return port_; }
  /// Ends the connection with a reset (RST) at both ends, and takes no other.
  void reset() { resetting_ = true; }
  /// Bytes that came from who connected.
  std::uint64_t forwarded() const { return forwarded_; }

 private:
  static constexpr int kTickMs = 5;

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  void run() {
    while (!stopping_ && !resetting_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (::poll(&waiting, 1, kTickMs) != 1) continue;
      const int from = ::accept(listener_, nullptr, nullptr);
      if (from < 0) continue;
      const int to = ::socket(AF_INET, SOCK_STREAM, 0);
      const sockaddr_in address = loopback(target_);
      if (::connect(to, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) carry(from, to);
      for (const int end : {from, to}) {
        const linger at_once{1, 0};
        if (resetting_) ::setsockopt(end, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        ::close(end);
      }
    }
  }

  /// Until one of them ends, or the connection is to be reset.
  void carry(int from, int to) {
    std::array<char, 65536> buffer{};
    while (!stopping_ && !resetting_) {
      std::array<pollfd, 2> ends = {pollfd{from, POLLIN, 0}, pollfd{to, POLLIN, 0}};
      if (::poll(ends.data(), ends.size(), kTickMs) <= 0) continue;
      for (std::size_t i = 0; i < ends.size(); ++i) {
        if (ends[i].revents == 0) continue;
        const ssize_t size = ::recv(ends[i].fd, buffer.data(), buffer.size(), 0);
        if (size <= 0 || !send_all(ends[1 - i].fd, buffer.data(), static_cast<std::size_t>(size))) return;
        if (i == 0) forwarded_ += static_cast<std::uint64_t>(size);
      }
    }
  }

  bool send_all(int end, const char* bytes, std::size_t size) {
    while (size > 0 && !stopping_ && !resetting_) {
      pollfd room{end, POLLOUT, 0};
      if (::poll(&room, 1, kTickMs) != 1) continue;
      const ssize_t sent = ::send(end, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) return false;
      bytes += sent;
      size -= static_cast<std::size_t>(sent);
    }
    return true;
  }

  const std::uint16_t target_;
  const int listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> resetting_ = false;
  std::atomic<std::uint64_t> forwarded_ = 0;
  std::thread thread_;
};

}  // namespace proteus
