#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "common/token_bucket.h"

namespace proteus::wire {

/// Connections of this process at these local ports (none named: at any) that were admitted as CURVE server, by their
/// peer's address as libzmq names it to a ZAP handler. One that has not shown a key is none of them, however long it
/// stands and whatever it sends.
std::map<std::string, std::size_t> count_connections(const std::set<std::uint16_t>& ports);

/// Limits how many connections a key has at a time. libzmq tells of each handshake, and of no connection whose it is:
/// so the admitted ones with the addresses that a key was admitted from are counted, once a second at most, and what
/// was admitted since is added. From an address a key has no more of them than it was admitted with, and, where other
/// keys were admitted too, no more than its part. One whose handshake is just ending when they are counted is missed
/// until the next time: for a second a key can have twice as many. Nor is a key admitted more often than
/// kAdmissionsAtOnce times at once and once a second from then on. Thread: owned by one.
class PeerConnections {
 public:
  static constexpr double kAdmissionsAtOnce = 64;
  using Count = std::function<std::map<std::string, std::size_t>()>;
  /// count: admitted connections by address; not the one that is asked about.
  PeerConnections(std::size_t per_key_max, Count count) : per_key_max_(per_key_max), count_(std::move(count)) {}

  /// One more connection with this key, from this address. False: it has too many, or had too many of late; nothing is
  /// counted.
  bool admit(const std::string& key, const std::string& address, std::chrono::steady_clock::time_point now);

 private:
  struct Address {
    std::size_t connections = 0;
    std::map<std::string, std::size_t> admitted;  // by key, while there are connections
    std::map<std::string, std::size_t> admitted_since_count;

    double of(const std::string& key) const;
  };
  void count();

  std::size_t per_key_max_;
  std::map<std::string, TokenBucket> admissions_;  // by key
  Count count_;
  std::optional<std::chrono::steady_clock::time_point> counted_at_;
  std::map<std::string, Address> addresses_;
};

}  // namespace proteus::wire
