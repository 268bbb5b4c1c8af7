#include "common/wire/peer_connections.h"

#include <dirent.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string_view>

namespace proteus::wire {
namespace {

constexpr std::chrono::seconds kCountInterval{1};

/// Empty if it is no connected socket.
std::string peer_address(int descriptor) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  auto* const peer = reinterpret_cast<sockaddr*>(&address);
  if (::getpeername(descriptor, peer, &length) != 0) return {};
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return {};
  std::array<char, NI_MAXHOST> text{};
  if (::getnameinfo(peer, length, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) return {};
  return text.data();
}

}  // namespace

std::map<std::string, std::size_t> count_connections() {
  std::map<std::string, std::size_t> counts;
  const std::unique_ptr<DIR, int (*)(DIR*)> descriptors(::opendir("/proc/self/fd"), ::closedir);
  if (descriptors == nullptr) return counts;
  while (const dirent* entry = ::readdir(descriptors.get())) {
    const std::string_view name(entry->d_name);
    int descriptor = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), descriptor).ec != std::errc()) continue;
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

/// asking: the address of the connection that is asked about, which is there already.
void PeerConnections::count(const std::string& asking) {
  const std::map<std::string, std::size_t> counts = count_();
  std::erase_if(addresses_, [&](const auto& known) { return !counts.contains(known.first); });
  for (auto& [known, address] : addresses_) {
    address.connections = counts.at(known) - (known == asking ? 1 : 0);
    for (auto& [key, admitted] : address.admitted) admitted = std::min(admitted, address.connections);
  }
}

bool PeerConnections::admit(const std::string& key, const std::string& address,
                            std::chrono::steady_clock::time_point now) {
  if (!counted_at_ || now - *counted_at_ >= kCountInterval) {
    counted_at_ = now;
    count(address);
  }
  double of_key = 0;
  for (const auto& [known, one] : addresses_) of_key += one.of(key);
  if (of_key + 1 > static_cast<double>(per_key_max_)) return false;
  Address& from = addresses_[address];
  ++from.connections;
  ++from.admitted[key];
  return true;
}

}  // namespace proteus::wire
