#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace proteus {

/// Asks again and again until `holds`, or until ten seconds have passed. For what another thread or a socket does.
inline bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace proteus
