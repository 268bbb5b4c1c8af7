#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace proteus::wire {

/// Connections of this process by their peer's address, as libzmq names it to a ZAP handler.
std::map<std::string, std::size_t> count_connections();

/// Limits how many connections a key has at a time. libzmq tells of each handshake, and of no connection whose it is:
/// so those with the addresses that a key was admitted from are counted, once a second at most, and what was admitted
/// since is added. From an address a key has no more of them than it was admitted with, and, where other keys were
/// admitted too, no more than its part. While others hold an address' connections open without a key, those that a key
/// had there and has no more count as if they were there: from where many do, a key that comes anew again and again may
/// be refused until they go. Thread: owned by one.
class PeerConnections {
 public:
  using Count = std::function<std::map<std::string, std::size_t>()>;
  explicit PeerConnections(std::size_t per_key_max, Count count = count_connections)
      : per_key_max_(per_key_max), count_(std::move(count)) {}

  /// One more connection with this key, from this address. False: it has too many; nothing is counted.
  bool admit(const std::string& key, const std::string& address, std::chrono::steady_clock::time_point now);

 private:
  struct Address {
    std::size_t connections = 0;
    std::map<std::string, std::size_t> admitted;  // by key, while there are connections

    double of(const std::string& key) const;
  };
  void count(const std::string& asking);

  std::size_t per_key_max_;
  Count count_;
  std::optional<std::chrono::steady_clock::time_point> counted_at_;
  std::map<std::string, Address> addresses_;
};

}  // namespace proteus::wire
