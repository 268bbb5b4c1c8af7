#include "controller/ingest/agent_link.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "common/log.h"

namespace proteus::ingest {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kIdleWait = 250ms;
constexpr std::chrono::milliseconds kDeliveryWait = 5ms;
/// Events that wait for room in the queue. Agents repeat updates that are not acknowledged.
constexpr std::size_t kUndeliveredMax = 65'536;
/// Messages taken from the socket before commands are sent: an agent that never pauses must not hold them up.
constexpr int kMessagesPerRound = 256;

}  // namespace

Result<std::unique_ptr<AgentLink>> AgentLink::start(zmq::context_t& context, AgentLinkOptions options,
                                                    const wire::AuthorizedKeys& authorized, const Clock& clock,
                                                    Queue<AgentEvent>& events) {
  auto router = wire::make_router(context, options.endpoint, options.keys, options.socket);
  if (!router) return with_context(router.error(), "commands");
  return std::unique_ptr<AgentLink>(
      new AgentLink(context, std::move(options), std::move(*router), authorized, clock, events));
}

AgentLink::AgentLink(zmq::context_t& context, AgentLinkOptions options, zmq::socket_t router,
                     const wire::AuthorizedKeys& authorized, const Clock& clock, Queue<AgentEvent>& events)
    : options_(std::move(options)),
      authorized_(authorized),
      clock_(clock),
      events_(events),
      router_(std::move(router)),
      monitor_(context, router_, "commands on " + options_.endpoint),
      endpoint_(wire::bound_endpoint(router_)) {
  outgoing_.on_push([this] { wakeup_.notify(); });
  thread_ = std::thread([this] { run(); });
}

AgentLink::~AgentLink() {
  stopping_ = true;
  wakeup_.notify();
  thread_.join();
}

bool AgentLink::send(Command command) {
  return outgoing_.push(std::move(command));
}

void AgentLink::acknowledge(const Update& update) {
  // Refused when full: the agent then repeats its word after the next reconnect.
  outgoing_.push(Acknowledgement{update.host, {update.command, update.state}});
}

AgentLinkStatus AgentLink::status() const {
  std::lock_guard lock(mutex_);
  AgentLinkStatus status = counters_;
  for (const auto& [host, agent] : agents_) status.agents.push_back(agent.status);
  return status;
}

std::uint64_t AgentLink::dropped_count() const {
  std::lock_guard lock(mutex_);
  return counters_.messages_dropped + counters_.updates_dropped;
}

void AgentLink::run() {
  pthread_setname_np(pthread_self(), "command");
  while (!stopping_) {
    std::vector<zmq::pollitem_t> items = {{router_.handle(), 0, ZMQ_POLLIN, 0},
                                          {monitor_.socket().handle(), 0, ZMQ_POLLIN, 0},
                                          {nullptr, wakeup_.fd(), ZMQ_POLLIN, 0}};
    wire::poll(items, undelivered_.empty() ? std::min(kIdleWait, options_.hello_interval) : kDeliveryWait);
    wakeup_.drain();
    while (monitor_.next()) {
    }
    receive_waiting();
    send_waiting();
    find_lost();
    deliver();
  }
  send_waiting();
}

void AgentLink::receive_waiting() {
  for (int i = 0; i < kMessagesPerRound; ++i) {
    auto message = wire::receive_from_agent(router_, authorized_);
    if (message && !*message) return;
    if (message && !may_speak((*message)->user)) continue;
    const Status taken = message ? take(**message) : Status(message.error());
    if (taken) continue;
    const std::string from = message ? (*message)->user.value : "a peer";
    if (refusals_.is_due(from + std::to_string(static_cast<int>(taken.error().code)))) {
      log::warning("message of {} refused: {}", from, taken.error().message);
    }
    std::lock_guard lock(mutex_);
    ++counters_.refused;
  }
}

bool AgentLink::may_speak(const HostId& host) {
  auto known = messages_of_.find(host);
  if (known == messages_of_.end()) {
    known = messages_of_.emplace(host, TokenBucket(options_.host_messages_max, options_.host_messages_per_s)).first;
  }
  if (known->second.take(1, std::chrono::steady_clock::now())) return true;
  if (refusals_.is_due("messages of " + host.value)) {
    log::warning("{} says more than any agent has to say: some of it is not listened to", host.value);
  }
  std::lock_guard lock(mutex_);
  ++counters_.messages_dropped;
  return false;
}

Status AgentLink::take(const wire::FromPeer& message) {
  auto decoded = wire::decode_from_agent(message.bytes());
  if (!decoded) return decoded.error();
  if (const auto* hello = std::get_if<wire::Hello>(&*decoded)) {
    if (auto checked = wire::check_sender(message.user, hello->host); !checked) return checked;
    take_hello(message, *hello);
    return {};
  }
  auto& update = std::get<Update>(*decoded);
  if (auto checked = wire::check_sender(message.user, update.host); !checked) return checked;
  std::lock_guard lock(mutex_);
  ++counters_.updates;
  tell(std::move(update));
  return {};
}

void AgentLink::take_hello(const wire::FromPeer& message, const wire::Hello& hello) {
  const Timestamp now = clock_.now();
  {
    std::lock_guard lock(mutex_);
    Agent& agent = agents_[hello.host];
    agent.routing_id = message.routing_id;  // of its newest connection
    agent.heard = std::chrono::steady_clock::now();
    agent.status.host = hello.host;
    agent.status.last_hello = now;
    agent.status.version = hello.version;
    if (agent.status.boot_id != hello.boot_id) {
      // one that has restarted does not speak again as it was before
      if (agent.boot_before == hello.boot_id) agent.doubled = agent.heard;
      agent.boot_before = std::exchange(agent.status.boot_id, hello.boot_id);
    }
    if (is_doubled(agent)) {
      set_state(agent, false, "two agents say that they are this host, with the same key");
    } else if (hello.term > options_.term) {
      set_state(agent, false, fmt::format("has seen term {}, ours is {}", hello.term, options_.term));
    } else if (hello.leader == options_.controller) {
      set_state(agent, true, "");
    } else {
      set_state(agent, false,
                hello.leader.empty() ? "follows no controller yet" : "follows controller " + hello.leader);
    }
  }
  const wire::Welcome welcome{options_.controller, options_.term, now};
  if (auto sent = wire::send_to(router_, message.routing_id, wire::encode(welcome)); !sent) {
    log::debug("welcome to {} not sent: {}", hello.host.value, sent.error().message);
  }
}

bool AgentLink::is_doubled(const Agent& agent) const {
  return agent.doubled && agent.heard - *agent.doubled < 3 * options_.hello_interval;
}

void AgentLink::send_waiting() {
  while (const auto outgoing = outgoing_.try_pop()) {
    const auto* command = std::get_if<Command>(&*outgoing);
    const HostId& host = command != nullptr ? command->host : std::get<Acknowledgement>(*outgoing).host;
    std::string routing_id;
    {
      std::lock_guard lock(mutex_);
      const auto agent = agents_.find(host);
      const bool known = agent != agents_.end() && (command == nullptr || !is_doubled(agent->second));
      if (known) routing_id = agent->second.routing_id;
    }
    const std::string bytes =
        command != nullptr ? wire::encode(*command) : wire::encode(std::get<Acknowledgement>(*outgoing).ack);
    const Status sent =
        routing_id.empty()
            ? Status(Error{ErrorCode::kNotFound, "no word from its agent yet, or two agents say that they are it"})
            : wire::send_to(router_, routing_id, bytes);
    if (command == nullptr) continue;
    if (!sent) log::warning("command {} for {} not sent: {}", command->id, host.value, sent.error().message);
    std::lock_guard lock(mutex_);
    ++(sent ? counters_.commands_sent : counters_.commands_undeliverable);
  }
}

void AgentLink::find_lost() {
  const auto now = std::chrono::steady_clock::now();
  std::lock_guard lock(mutex_);
  for (auto& [host, agent] : agents_) {
    if (now - agent.heard < 3 * options_.hello_interval) continue;
    set_state(agent, false, fmt::format("no word for {} ms", (3 * options_.hello_interval).count()));
  }
}

void AgentLink::set_state(Agent& agent, bool commandable, const std::string& reason) {
  if (agent.told && agent.status.commandable == commandable && agent.status.reason == reason) return;
  if (!has_room()) return;  // the next occasion tells
  // That it takes no commands any more is told in any case.
  const bool is_end = agent.status.commandable && !commandable;
  if (agent.told && !is_end && !may_change(agent)) {
    ++counters_.changes_held_back;
    if (refusals_.is_due("changes of " + agent.status.host.value)) {
      log::warning("{} changes too often whom it follows: it is not commanded until it has been calm for a while",
                   agent.status.host.value);
    }
    return;
  }
  agent.told = true;
  agent.status.commandable = commandable;
  agent.status.reason = reason;
  tell({clock_.now(), store::AgentPresence{agent.status.host, commandable, reason}});
}

bool AgentLink::may_change(Agent& agent) const {
  if (!agent.changes) {
    agent.changes.emplace(options_.changes_max, 1 / std::chrono::duration<double>(options_.change_interval).count());
  }
  return agent.changes->take(1, std::chrono::steady_clock::now());
}

bool AgentLink::has_room() {
  if (undelivered_.size() < kUndeliveredMax) return true;
  if (refusals_.is_due("full")) log::error("the controller does not keep up: words of agents are dropped");
  return false;
}

/// False: there is no room.
bool AgentLink::tell(AgentEvent event) {
  if (!has_room()) return false;
  undelivered_.push_back(std::move(event));
  return true;
}

void AgentLink::tell(Update update) {
  const HostId host = update.host;
  auto& held_by_host = updates_held_[host];
  if (held_by_host == nullptr) held_by_host = std::make_shared<std::atomic<std::size_t>>(0);
  const auto held = held_by_host;
  if (*held >= options_.host_updates_max) {
    ++counters_.updates_dropped;
    if (refusals_.is_due("updates of " + host.value)) {
      log::warning("{} says more of its commands than is taken in: {} of its words wait, others are dropped",
                   host.value, held->load());
    }
    return;
  }
  ++*held;
  AgentEvent event{clock_.now(), std::move(update), {nullptr, [held](void*) { --*held; }}};
  if (!tell(std::move(event))) ++counters_.updates_dropped;
}

void AgentLink::deliver() {
  while (!undelivered_.empty() && (events_.size() < events_.capacity() || events_.closed())) {
    events_.push(std::move(undelivered_.front()));
    undelivered_.pop_front();
  }
}

}  // namespace proteus::ingest
