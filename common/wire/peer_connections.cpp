#include "common/wire/peer_connections.h"

#include <dirent.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <memory>
#include <string_view>

namespace proteus::wire {
namespace {

constexpr std::chrono::seconds kCountInterval{1};

/// The most that a CURVE server says to who shows no admitted key: ZMTP's greeting, the frames of a WELCOME and of an
/// ERROR with a status of three digits (ZeroMQ RFC 23, 26). With a READY, of 54 bytes at least, it is more.
constexpr std::uint64_t kBytesWithoutReady = 64 + (2 + 168) + (2 + 10);

/// Of a socket of IPv4 or IPv6; 0 for any other.
std::uint16_t local_port(int descriptor) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

/// Whether READY was written to it, be it sent or not. A kernel that does not tell: true.
bool is_admitted(int descriptor) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return false;
  if (length < offsetof(tcp_info, tcpi_bytes_retrans) + sizeof info.tcpi_bytes_retrans) return true;
  return info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes > kBytesWithoutReady;
}

/// Empty if it is no connected socket.
std::string peer_address(int descriptor) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  auto* const peer = reinterpret_cast<sockaddr*>(&address);
  if (::getpeername(descriptor, peer, &length) != 0) return {};
  std::array<char, NI_MAXHOST> text{};
  if (::getnameinfo(peer, length, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) return {};
  return text.data();
}

}  // namespace

std::map<std::string, std::size_t> count_connections(const std::set<std::uint16_t>& ports) {
  std::map<std::string, std::size_t> counts;
  const std::unique_ptr<DIR, int (*)(DIR*)> descriptors(::opendir("/proc/self/fd"), ::closedir);
  if (descriptors == nullptr) return counts;
  while (const dirent* entry = ::readdir(descriptors.get())) {
    const std::string_view name(entry->d_name);
    int descriptor = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), descriptor).ec != std::errc()) continue;
    const std::uint16_t port = local_port(descriptor);
    if (port == 0 || (!ports.empty() && !ports.contains(port)) || !is_admitted(descriptor)) continue;
    if (const std::string address = peer_address(descriptor); !address.empty()) ++counts[address];
  }
  return counts;
}

/// How many of its connections are the key's, at least if others have theirs.
double PeerConnections::Address::of(const std::string& key) const {
  const auto found = admitted.find(key);
  if (found == admitted.end()) return 0;
  const double part = static_cast<double>(connections) / static_cast<double>(admitted.size());
  return std::min(static_cast<double>(found->second), part);
}

void PeerConnections::count() {
  const std::map<std::string, std::size_t> counts = count_();
  std::erase_if(addresses_, [&](const auto& known) {
    return !counts.contains(known.first) && known.second.admitted_since_count.empty();
  });
  for (auto& [known, address] : addresses_) {
    const auto counted = counts.find(known);
    address.connections = counted == counts.end() ? 0 : counted->second;
    // What was just admitted may not show yet.
    for (auto& [key, admitted] : address.admitted)
      admitted = std::min(admitted, address.connections + address.admitted_since_count[key]);
    address.admitted_since_count.clear();
  }
}

bool PeerConnections::admit(const std::string& key, const std::string& address,
                            std::chrono::steady_clock::time_point now) {
  if (!counted_at_ || now - *counted_at_ >= kCountInterval) {
    counted_at_ = now;
    count();
  }
  double of_key = 0;
  for (const auto& [known, one] : addresses_) of_key += one.of(key);
  if (of_key + 1 > static_cast<double>(per_key_max_)) return false;
  if (!admissions_.try_emplace(key, kAdmissionsAtOnce, 1.0).first->second.take(1, now)) return false;
  Address& from = addresses_[address];
  ++from.connections;
  ++from.admitted[key];
  ++from.admitted_since_count[key];
  return true;
}

}  // namespace proteus::wire
