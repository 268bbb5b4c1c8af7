#include "controller/ingest/receiver.h"

#include <pthread.h>

#include "common/log.h"

namespace proteus::ingest {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kIdleWait = 1s;  // the monitor wants to be looked at
/// Messages taken from the socket before answers are sent.
constexpr int kMessagesPerRound = 256;

/// Memory of a message that waits.
std::size_t memory_of(const wire::FromPeer& message) {
  constexpr std::size_t kOverhead = 128;  // libzmq's and the allocator's
  return sizeof message + message.body.size() + kOverhead;
}

}  // namespace

Result<std::unique_ptr<Receiver>> Receiver::start(zmq::context_t& context, ReceiverOptions options,
                                                  const wire::AuthorizedKeys& authorized) {
  auto router = wire::make_router(context, options.endpoint, options.keys, options.socket);
  if (!router) return with_context(router.error(), "telemetry");
  return std::unique_ptr<Receiver>(new Receiver(context, std::move(options), std::move(*router), authorized));
}

Receiver::Receiver(zmq::context_t& context, ReceiverOptions options, zmq::socket_t router,
                   const wire::AuthorizedKeys& authorized)
    : options_(std::move(options)),
      authorized_(authorized),
      router_(std::move(router)),
      monitor_(context, router_, "telemetry on " + options_.endpoint),
      endpoint_(wire::bound_endpoint(router_)),
      thread_([this] { run(); }) {}

Receiver::~Receiver() {
  stopping_ = true;
  wakeup_.notify();
  thread_.join();
}

void Receiver::run() {
  pthread_setname_np(pthread_self(), "receive");
  while (!stopping_) {
    std::vector<zmq::pollitem_t> items = {{router_.handle(), 0, ZMQ_POLLIN, 0},
                                          {monitor_.socket().handle(), 0, ZMQ_POLLIN, 0},
                                          {nullptr, wakeup_.fd(), ZMQ_POLLIN, 0}};
    wire::poll(items, kIdleWait);
    wakeup_.drain();
    while (monitor_.next()) {
    }
    receive_waiting();
    send_waiting();
  }
  send_waiting();
}

void Receiver::receive_waiting() {
  for (int i = 0; i < kMessagesPerRound; ++i) {
    auto message = wire::receive_from_agent(router_, authorized_);
    if (message && !*message) return;
    if (message) {
      keep(std::move(**message));
      continue;
    }
    if (refusals_.is_due(message.error().message)) log::warning("telemetry refused: {}", message.error().message);
    std::lock_guard lock(mutex_);
    ++counts_.refused;
  }
}

void Receiver::keep(wire::FromPeer message) {
  const std::size_t bytes = memory_of(message);
  bool has_room = true;
  {
    std::lock_guard lock(mutex_);
    Waiting& of_host = of_host_[message.user];
    const std::size_t share = options_.waiting.bytes_max / 2 / of_host_.size();
    const bool is_full = bytes_ + bytes > options_.waiting.bytes_max && of_host.bytes + bytes > share;
    if (is_full || of_host.bytes + bytes > options_.waiting.host_bytes_max ||
        of_host.messages >= options_.waiting.host_messages_max) {
      ++counts_.dropped;
      counts_.dropped_bytes += message.body.size();
      dropped_[message.user] = message.routing_id;
      has_room = false;
    } else {
      bytes_ += bytes;
      of_host.bytes += bytes;
      ++of_host.messages;
      messages_.push_back(std::move(message));
    }
  }
  if (has_room) return ready_.notify_one();
  if (refusals_.is_due(message.user.value)) {
    log::warning("telemetry of {} comes faster than the store takes it: what finds no room is left to its agent",
                 message.user.value);
  }
}

std::optional<wire::FromPeer> Receiver::next() {
  std::lock_guard lock(mutex_);
  if (messages_.empty()) return std::nullopt;
  std::optional<wire::FromPeer> message(std::move(messages_.front()));
  messages_.pop_front();
  const std::size_t bytes = memory_of(*message);
  Waiting& of_host = of_host_[message->user];
  bytes_ -= bytes;
  of_host.bytes -= bytes;
  --of_host.messages;
  return message;
}

std::vector<std::pair<HostId, std::string>> Receiver::take_dropped() {
  std::vector<std::pair<HostId, std::string>> taken;
  std::lock_guard lock(mutex_);
  if (dropped_.empty() || bytes_ > options_.waiting.bytes_max / 2) return taken;
  std::erase_if(dropped_, [&](const auto& dropped) {
    const bool is_empty = of_host_[dropped.first].messages == 0;
    if (is_empty) taken.push_back(dropped);
    return is_empty;
  });
  return taken;
}

void Receiver::wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  ready_.wait_for(lock, timeout, [this] { return interrupted_ || !messages_.empty(); });
  interrupted_ = false;
}

void Receiver::interrupt() {
  {
    std::lock_guard lock(mutex_);
    interrupted_ = true;
  }
  ready_.notify_one();
}

void Receiver::answer(std::string routing_id, std::string bytes) {
  bool is_first = false;
  {
    std::lock_guard lock(mutex_);
    is_first = answers_.empty();
    answers_.emplace_back(std::move(routing_id), std::move(bytes));
  }
  if (is_first) wakeup_.notify();
}

void Receiver::send_waiting() {
  std::vector<std::pair<std::string, std::string>> answers;
  {
    std::lock_guard lock(mutex_);
    answers.swap(answers_);
  }
  for (const auto& [routing_id, bytes] : answers) {
    // An agent that is gone or slow begins its stream anew and is answered then.
    if (auto sent = wire::send_to(router_, routing_id, bytes); !sent) {
      log::debug("acknowledgement not sent: {}", sent.error().message);
    }
  }
}

Receiver::Counts Receiver::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace proteus::ingest
