#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace proteus {

/// Asks every millisecond until `holds`, or until 30 seconds have passed (sanitizers are slow). For what another thread
/// or a socket does; the pause leaves them the processor.
inline bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace proteus
