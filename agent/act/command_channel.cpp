#include "agent/act/command_channel.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/log.h"

namespace proteus::act {
namespace {

constexpr Nanoseconds kSkewTolerated = std::chrono::seconds(1);
/// While a controller is not connected: its monitor wants to be asked this often.
constexpr std::chrono::milliseconds kMonitorWait{1000};
/// How often the same complaint about a controller is logged.
constexpr Nanoseconds kComplaintInterval = std::chrono::minutes(1);

}  // namespace

/// One controller, as this thread sees it.
struct CommandChannel::Link {
  Link(zmq::context_t& context, zmq::socket_t opened, std::string to)
      : endpoint(std::move(to)),
        socket(std::move(opened)),
        monitor(context, socket, "commands from " + endpoint, endpoint) {}

  const std::string endpoint;
  zmq::socket_t socket;
  wire::SocketMonitor monitor;  // after the socket, so that it goes first
  bool connected = false;
  std::optional<Timestamp> greeted;     // steady
  std::optional<Timestamp> complained;  // steady
  std::string complaint;
};

CommandChannel::CommandChannel(zmq::context_t& context, CommandChannelOptions options, const Clock& clock, Lanes lanes,
                               Queue<Update>& job_updates)
    : context_(context), options_(std::move(options)), clock_(clock), lanes_(lanes), job_updates_(job_updates) {}

CommandChannel::~CommandChannel() {
  stop();
}

Moment CommandChannel::moment() const {
  const auto steady = std::chrono::steady_clock::now().time_since_epoch();
  return {clock_.now(), Timestamp{std::chrono::duration_cast<Nanoseconds>(steady)}};
}

Status CommandChannel::start(ExecutorOptions options, std::function<Result<std::int64_t>()> memory_available_bytes) {
  host_ = options.host;
  lease_ = options.lease;
  for (const CommandEndpoint& controller : options_.controllers) {
    auto socket = wire::make_dealer(context_, options_.keys, controller.public_key, options_.socket);
    if (!socket) return with_context(socket.error(), "command endpoint " + controller.endpoint);
    links_.push_back(std::make_unique<Link>(context_, std::move(*socket), controller.endpoint));
  }
  auto executor = Executor::create(
      std::move(options), lanes_, std::move(memory_available_bytes),
      [this](std::size_t peer, const Update& update) {
        // An update that cannot be sent now is repeated until it is acknowledged.
        if (auto sent = wire::send(links_[peer]->socket, wire::encode(update)); !sent) {
          log::debug("act: update on command {} waits: {}", update.command, sent.error().message);
        }
      },
      moment());
  if (!executor) return executor.error();
  executor_ = std::move(*executor);
  job_updates_.on_push([this] { wakeup_.notify(); });
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "command");
    run();
  });
  return {};
}

void CommandChannel::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wakeup_.notify();
  thread_.join();
}

CommandStatus CommandChannel::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void CommandChannel::run() {
  while (!stopping_) {
    poll();
    const Moment now = moment();
    take_job_updates(now);
    for (std::size_t peer = 0; peer < links_.size(); ++peer) service(peer, now);
    executor_->on_tick(now);
    const Leader::Followed& followed = executor_->leader().followed();
    const std::lock_guard lock(mutex_);
    status_ = {followed.controller, followed.term, executor_->open_count()};
  }
  take_job_updates(moment());
  links_.clear();
}

void CommandChannel::poll() {
  std::vector<zmq::pollitem_t> items;
  items.push_back({nullptr, wakeup_.fd(), ZMQ_POLLIN, 0});
  for (const auto& link : links_) {
    items.push_back({link->socket.handle(), 0, ZMQ_POLLIN, 0});
    items.push_back({link->monitor.socket().handle(), 0, ZMQ_POLLIN, 0});
  }
  std::chrono::milliseconds wait = options_.hello_interval;
  for (const auto& link : links_) {
    if (!link->connected) wait = std::min(wait, kMonitorWait);
  }
  if (executor_->has_unacknowledged()) wait = options_.tick_interval;
  try {
    zmq::poll(items, wait);
  } catch (const zmq::error_t& trouble) {
    if (trouble.num() != EINTR) throw;
  }
  wakeup_.drain();
}

void CommandChannel::take_job_updates(Moment now) {
  while (auto update = job_updates_.try_pop()) executor_->on_job_update(std::move(*update), now);
}

void CommandChannel::service(std::size_t peer, Moment now) {
  Link& link = *links_[peer];
  while (const auto event = link.monitor.next()) {
    const bool up = *event == wire::SocketMonitor::Event::kUp;
    if (up != link.connected) log::info("commands from {}: {}", link.endpoint, up ? "connected" : "connection lost");
    link.connected = up;
    if (up) {
      link.greeted.reset();
      executor_->on_reconnected(peer);
    }
  }
  for (;;) {
    const auto message = wire::receive(link.socket);
    if (message && !*message) break;
    if (message) {
      receive(peer, (*message)->to_string_view(), now);
    } else {
      log::warning("commands from {}: {}", link.endpoint, message.error().message);
    }
  }
  if (link.connected && (!link.greeted || now.steady - *link.greeted >= options_.hello_interval)) greet(peer, now);
}

void CommandChannel::greet(std::size_t peer, Moment now) {
  const Leader::Followed& followed = executor_->leader().followed();
  wire::Hello hello;
  hello.host = host_;
  hello.boot_id = options_.boot_id;
  hello.leader = followed.controller;
  hello.term = followed.term;
  hello.lease_ms = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(lease_).count());
  hello.version = options_.version;
  if (wire::send(links_[peer]->socket, wire::encode(hello))) links_[peer]->greeted = now.steady;
}

void CommandChannel::receive(std::size_t peer, std::string_view bytes, Moment now) {
  Link& link = *links_[peer];
  const auto complain = [&](const std::string& what) {
    if (link.complaint == what && link.complained && now.steady - *link.complained < kComplaintInterval) return;
    link.complaint = what;
    link.complained = now.steady;
    log::warning("commands from {}: {}", link.endpoint, what);
  };
  auto message = wire::decode_from_controller(bytes);
  if (!message) {
    complain("message ignored: " + message.error().message);
    return;
  }
  if (const auto* welcome = std::get_if<wire::Welcome>(&*message)) {
    if (auto status = executor_->on_welcome(peer, welcome->controller, welcome->term, now); !status) {
      complain("not followed: " + status.error().message);
      return;
    }
    const Nanoseconds skew = now.wall - welcome->time;
    if (skew > kSkewTolerated || skew < -kSkewTolerated) {
      complain("its clock and this host's differ by more than a second; deadlines will be misjudged");
    }
  } else if (const auto* command = std::get_if<Command>(&*message)) {
    executor_->on_command(peer, *command, now);
  } else {
    const auto& ack = std::get<wire::UpdateAck>(*message);
    executor_->on_acknowledged(ack.command, ack.state, now);
  }
}

}  // namespace proteus::act
