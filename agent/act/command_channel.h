#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "agent/act/executor.h"
#include "common/clock.h"
#include "common/queue.h"
#include "common/result.h"
#include "common/wire/command_codec.h"
#include "common/wire/curve.h"
#include "common/wire/socket.h"
#include "common/wire/wakeup.h"

namespace proteus::act {

struct CommandEndpoint {
  std::string endpoint;    ///< "tcp://c1:7402"
  std::string public_key;  ///< pinned, Z85
};

struct CommandChannelOptions {
  std::uint64_t boot_id = 0;
  wire::KeyPair keys;
  std::vector<CommandEndpoint> controllers;
  std::string version;
  std::chrono::milliseconds hello_interval = wire::kHelloInterval;
  std::chrono::milliseconds tick_interval{200};  ///< how late a repeat may be
  wire::SocketOptions socket;
};

/// What the channel knows, for those who ask from outside.
struct CommandStatus {
  std::string leader;
  Term term = 0;
  std::size_t open_count = 0;  ///< commands begun and not ended
};

/// Speaks schemas/command.capnp with every configured controller and lets the executor decide.
/// Thread: its own, `command`; status() from any. The on_push of `job_updates` belongs to the channel.
class CommandChannel {
 public:
  /// All references outlive the channel.
  CommandChannel(zmq::context_t& context, CommandChannelOptions options, const Clock& clock, Lanes lanes,
                 Queue<Update>& job_updates);
  ~CommandChannel();
  CommandChannel(const CommandChannel&) = delete;
  CommandChannel& operator=(const CommandChannel&) = delete;

  /// Opens state and sockets, hands what an earlier run left unfinished to the lanes, then starts the thread. Once.
  /// memory_available_bytes is called from the thread.
  /// Errors: kInvalidArgument (endpoint, key), kUnavailable, kCorrupt (state directory).
  Status start(ExecutorOptions options, std::function<Result<std::int64_t>()> memory_available_bytes);
  /// Takes the job updates that are there, tells the controllers, and ends. Stop the workers first.
  void stop();

  CommandStatus status() const;

 private:
  struct Link;

  void run();
  void poll();
  void service(std::size_t peer, Moment now);
  void receive(std::size_t peer, std::string_view bytes, Moment now);
  void greet(std::size_t peer, Moment now);
  void take_job_updates(Moment now);
  Moment moment() const;

  zmq::context_t& context_;
  const CommandChannelOptions options_;
  const Clock& clock_;
  const Lanes lanes_;
  Queue<Update>& job_updates_;
  wire::Wakeup wakeup_;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;  // guards status_
  CommandStatus status_;

  // Thread command, once it runs.
  HostId host_;
  Nanoseconds lease_{};
  std::vector<std::unique_ptr<Link>> links_;
  std::unique_ptr<Executor> executor_;

  std::thread thread_;
};

}  // namespace proteus::act
