#pragma once

#include <pthread.h>

#include <csignal>

namespace proteus {

/// Blocks the signals that end a service (SIGINT, SIGTERM) in this thread and in every one that it begins; main takes
/// them with sigwait() or sigtimedwait(). SIGPIPE is ignored: writing to who has gone is an error like others.
/// Returns: the blocked ones. Call before any thread begins.
inline sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

}  // namespace proteus
