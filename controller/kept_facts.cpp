#include "controller/kept_facts.h"

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <optional>

namespace proteus::controller {

Result<std::uint64_t> take_number(store::Store& store, const char* key, std::uint64_t step) {
  const Result<std::optional<std::string>> text = store.get_meta(key);
  if (!text) return text.error();
  std::uint64_t value = 0;
  if (*text) {
    try {
      value = std::stoull(**text);
    } catch (const std::exception&) {
      return Error{ErrorCode::kCorrupt, fmt::format("the store's '{}' is not a number", key)};
    }
  }
  if (Status written = store.put_meta(key, std::to_string(value + step)); !written) return written.error();
  return value + 1;
}

std::string join_hosts(const std::vector<HostId>& hosts) {
  std::string text;
  for (const HostId& host : hosts) text += host.value + "\n";
  return text;
}

std::vector<HostId> split_hosts(const std::string& text) {
  std::vector<HostId> hosts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) hosts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return hosts;
}

}  // namespace proteus::controller
