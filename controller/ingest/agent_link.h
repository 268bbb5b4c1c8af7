#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>
#include <zmq.hpp>

#include "common/clock.h"
#include "common/command.h"
#include "common/queue.h"
#include "common/result.h"
#include "common/token_bucket.h"
#include "common/wire/command_codec.h"
#include "common/wire/curve.h"
#include "common/wire/log_interval.h"
#include "common/wire/socket.h"
#include "common/wire/wakeup.h"
#include "controller/store/journal.h"

namespace proteus::ingest {

/// What the agents' side of the command sockets says: an agent can be commanded from now on, or not any more; or an
/// agent's word on a command. An update may come more than once.
struct AgentEvent {
  Timestamp received;  ///< controller's clock
  std::variant<store::AgentPresence, Update> what;
  std::shared_ptr<void> held = {};  ///< while it is there, an update counts as waiting (AgentLinkOptions)
};

/// Where commands leave the controller; a fake stands here in tests and simulation.
/// Thread: any.
class CommandLink {
 public:
  virtual ~CommandLink() = default;
  /// Takes a command for its host. False: too many are waiting, nothing was taken. True is no promise: if the agent is
  /// away when its turn comes, it is dropped and logged, and its silence is found by the sender's own deadline.
  virtual bool send(Command command) = 0;
  /// The update is journalled: the agent need not repeat it. (Unacknowledged ones come again after a reconnect.)
  virtual void acknowledge(const Update& update) = 0;
};

struct AgentLinkOptions {
  std::string endpoint = "tcp://*:7402";
  wire::KeyPair keys;
  std::string controller;  ///< our id
  Term term = 0;
  std::chrono::milliseconds hello_interval = wire::kHelloInterval;  ///< three missed: the agent is lost
  /// Updates of one host that wait to be taken in; more are dropped, and come again.
  std::size_t host_updates_max = 1024;
  /// Each change is journalled. Of one host so many may follow each other, and one more in each interval; a host that
  /// changes its mind more often is not commanded until it has been calm for a while.
  int changes_max = 32;
  std::chrono::milliseconds change_interval{4000};
  /// Messages of one host: so many at once, and so many in a second from then on; more are dropped before anything is
  /// made of them. An agent says hello once in five seconds, and a word or more on each command.
  int host_messages_max = 4096;
  int host_messages_per_s = 512;
  wire::SocketOptions socket{.message_bytes_max = wire::kCommandMessageBytesMax};
};

/// How one agent stands; for people.
struct AgentStatus {
  HostId host;
  bool commandable = false;
  std::string reason;  ///< why not
  Timestamp last_hello;
  std::string version;
  std::uint64_t boot_id = 0;
};

struct AgentLinkStatus {
  std::vector<AgentStatus> agents;
  std::uint64_t commands_sent = 0;
  std::uint64_t commands_undeliverable = 0;
  std::uint64_t updates = 0;
  std::uint64_t refused = 0;            ///< undecodable, or of a host that the key does not prove
  std::uint64_t updates_dropped = 0;    ///< too many of their host, or of all, were waiting; agents repeat them
  std::uint64_t messages_dropped = 0;   ///< too many of their host
  std::uint64_t changes_held_back = 0;  ///< of whether a host can be commanded: too many
};

/// The controller's end of the command sockets, for as long as it leads: answers each Hello with Welcome, sends
/// commands, passes updates on. An agent is commandable if its Hello was heard within three intervals and says that it
/// follows us, and it has seen no newer term; and if no other says that it is the same host, as where a host was made
/// from another's disk, key and all: nobody knows then which of them a command would reach. Only changes are told, and
/// of one host only so many. Thread: its own, `command`; the rest of the interface from any.
class AgentLink final : public CommandLink {
 public:
  /// Binds the socket and starts the thread. Everything passed by reference outlives the object; the context has a
  /// ZapHandler with the same keys; `events` refuses when full and is written by nobody else.
  /// Errors: kInvalidArgument (endpoint, key), kUnavailable (address in use).
  static Result<std::unique_ptr<AgentLink>> start(zmq::context_t& context, AgentLinkOptions options,
                                                  const wire::AuthorizedKeys& authorized, const Clock& clock,
                                                  Queue<AgentEvent>& events);
  ~AgentLink() override;
  AgentLink(const AgentLink&) = delete;
  AgentLink& operator=(const AgentLink&) = delete;

  const std::string& endpoint() const { return endpoint_; }  ///< as bound
  AgentLinkStatus status() const;
  /// What was not taken of hosts that say too much: messages and updates.
  std::uint64_t dropped_count() const;
  bool send(Command command) override;
  void acknowledge(const Update& update) override;

 private:
  struct Acknowledgement {
    HostId host;
    wire::UpdateAck ack;
  };
  using Outgoing = std::variant<Command, Acknowledgement>;
  struct Agent {
    std::string routing_id;
    std::chrono::steady_clock::time_point heard;
    AgentStatus status;
    bool told = false;                                             // whether its state was ever told
    std::optional<TokenBucket> changes;                            // that may be told
    std::uint64_t boot_before{};                                   // the agent's before this one
    std::optional<std::chrono::steady_clock::time_point> doubled;  // when both were last heard
  };

  AgentLink(zmq::context_t& context, AgentLinkOptions options, zmq::socket_t router,
            const wire::AuthorizedKeys& authorized, const Clock& clock, Queue<AgentEvent>& events);
  void run();
  void receive_waiting();
  bool may_speak(const HostId& host);
  Status take(const wire::FromPeer& message);
  void take_hello(const wire::FromPeer& message, const wire::Hello& hello);
  bool is_doubled(const Agent& agent) const;
  void send_waiting();
  void find_lost();
  void set_state(Agent& agent, bool commandable, const std::string& reason);
  bool may_change(Agent& agent) const;
  bool has_room();
  bool tell(AgentEvent event);
  void tell(Update update);
  void deliver();

  const AgentLinkOptions options_;
  const wire::AuthorizedKeys& authorized_;
  const Clock& clock_;
  Queue<AgentEvent>& events_;
  zmq::socket_t router_;
  wire::SocketMonitor monitor_;
  const std::string endpoint_;
  wire::Wakeup wakeup_;
  Queue<Outgoing> outgoing_{4096, WhenFull::kRefuse};
  std::atomic<bool> stopping_ = false;

  // Thread command.
  std::deque<AgentEvent> undelivered_;
  std::map<HostId, TokenBucket> messages_of_;                                 // that are taken
  std::map<HostId, std::shared_ptr<std::atomic<std::size_t>>> updates_held_;  // shared with the events: the last may
                                                                              // go after this object
  wire::LogInterval refusals_{std::chrono::seconds(30)};

  mutable std::mutex mutex_;  // guards all below; written by thread command only
  std::map<HostId, Agent> agents_;
  AgentLinkStatus counters_;

  std::thread thread_;
};

}  // namespace proteus::ingest
