#include "agent/publish/link.h"

#include <algorithm>
#include <utility>

#include "common/log.h"

namespace proteus::publish {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPatienceMax = 60s;
/// What a controller asked for before it saw the beginning of the present stream need not be answered by another.
constexpr auto kStreamIntervalMin = 250ms;
/// A controller that asks for a new stream so often in a row, and is sent one each time, does not take it.
constexpr int kWantedInVainMax = 4;
/// So many frames are held between two samples where everything is acknowledged at once.
constexpr std::size_t kHeldInPassing = 1;

}  // namespace

Link::Link(zmq::context_t& context, zmq::socket_t socket, std::unique_ptr<Spool> spool, const PublisherOptions& options,
           std::string endpoint)
    : options_(options),
      endpoint_(std::move(endpoint)),
      socket_(std::move(socket)),
      monitor_(context, socket_, "telemetry to " + endpoint_, endpoint_),
      backlog_(options.backlog, std::move(spool)),
      patience_(options.resend_after) {
  if (backlog_.size() > 0) log::info("telemetry to {}: {} frames in the spool", endpoint_, backlog_.size());
}

void Link::add_poll_items(std::vector<zmq::pollitem_t>& items, bool leaving) {
  const bool waits_for_room = connected_ && !outbox_.empty();
  if (leaving || waits_for_room || backlog_.size() > kHeldInPassing) {
    items.push_back({socket_.handle(), 0, static_cast<short>(ZMQ_POLLIN | (waits_for_room ? ZMQ_POLLOUT : 0)), 0});
  }
  items.push_back({monitor_.socket().handle(), 0, ZMQ_POLLIN, 0});
}

void Link::service(SteadyTime now) {
  while (const auto event = monitor_.next()) {
    switch (*event) {
      case wire::SocketMonitor::Event::kUp:
        log::info("telemetry to {}: connected, {} frames to send", endpoint_, backlog_.size());
        connected_ = true;
        patience_ = options_.resend_after;
        begin_stream(now);
        break;
      case wire::SocketMonitor::Event::kDown:
        if (connected_) log::warning("telemetry to {}: connection lost, frames are kept", endpoint_);
        connected_ = false;
        break;
      case wire::SocketMonitor::Event::kRefused: connected_ = false; break;
    }
  }
  receive_acks(now);
  backlog_.spool_aged(now);
  if (!connected_) return;
  resend_if_silent(now);
  send_more(now);
}

void Link::begin_stream(SteadyTime now) {
  outbox_.clear();
  encoder_.begin_stream();
  backlog_.rewind();
  window_bytes_used_ = 0;
  last_heard_ = now;
  stream_began_ = now;
  ++streams_begun_;
}

void Link::receive_acks(SteadyTime now) {
  for (;;) {
    auto message = wire::receive(socket_);
    if (message && !*message) return;
    auto ack = message ? wire::decode_ack((*message)->to_string_view()) : Result<wire::Ack>(message.error());
    if (!ack) {
      log::warning("telemetry to {}: acknowledgement ignored: {}", endpoint_, ack.error().message);
      continue;
    }
    // Even without news it is a sign of life: a controller that is busy with what was sent must not be sent more of it.
    last_heard_ = now;
    if (backlog_.acknowledge(ack->boot_id, ack->sequence)) {
      wanted_in_vain_ = 0;
      patience_ = options_.resend_after;
      window_bytes_used_ = 0;
      look_for_passed_over(now);
    }
    if (ack->want != wire::Ack::Want::kNothing && ++wanted_in_vain_ == kWantedInVainMax) {
      log::error(
          "telemetry to {}: the controller asks again and again for a new stream and takes nothing of it; its log "
          "says why. Is the key listed there as that of '{}', the name in this agent's configuration? Does this host's "
          "clock keep jumping, or does another agent send under that name? It takes one jump a minute",
          endpoint_, options_.host.value);
    }
    if (ack->want != wire::Ack::Want::kNothing && now - stream_began_ >= kStreamIntervalMin) begin_stream(now);
  }
}

/// Frames of an earlier boot that stay while later ones are acknowledged: the controller was not told of them, or its
/// word was lost. None of the later ones can show it the gap.
void Link::look_for_passed_over(SteadyTime now) {
  const std::optional<Spool::Key> front = backlog_.front();
  const bool stays = front && front == std::exchange(front_, front) && backlog_.sent() > 0;
  if (!stays) {
    passed_over_since_.reset();
  } else if (!passed_over_since_) {
    passed_over_since_ = now;
  } else if (now - *passed_over_since_ >= options_.resend_after) {
    passed_over_since_.reset();
    log::warning("telemetry to {}: what was sent before is not acknowledged, sending {} frames again", endpoint_,
                 backlog_.sent());
    begin_stream(now);
  }
}

void Link::resend_if_silent(SteadyTime now) {
  if (backlog_.sent() == 0 || now - last_heard_ < patience_) return;
  log::warning("telemetry to {}: no word for {} ms, sending {} frames again", endpoint_,
               std::chrono::duration_cast<std::chrono::milliseconds>(now - last_heard_).count(), backlog_.sent());
  patience_ = std::min(2 * patience_, kPatienceMax);
  begin_stream(now);
}

void Link::send_more(SteadyTime now) {
  if (!empty_outbox()) return;
  while (backlog_.sent() < options_.window_frames && window_bytes_used_ < options_.window_bytes) {
    const auto sample = backlog_.next();
    if (sample == nullptr) return;
    if (backlog_.sent() == 0) last_heard_ = now;
    std::vector<std::string> messages;
    encoder_.encode(*sample, messages);
    backlog_.advance();
    ++frames_sent_;
    for (std::string& message : messages) {
      window_bytes_used_ += message.size();
      outbox_.push_back(std::move(message));
    }
    if (!empty_outbox()) return;
  }
}

/// False if the socket has no room for the rest.
bool Link::empty_outbox() {
  while (!outbox_.empty()) {
    if (!wire::send(socket_, outbox_.front())) return false;
    outbox_.pop_front();
  }
  return true;
}

LinkStatus Link::status() const {
  return {.endpoint = endpoint_,
          .connected = connected_,
          .refusal = wanted_in_vain_ < kWantedInVainMax ? monitor_.refusal() : "it takes nothing of this host",
          .frames_sent = frames_sent_,
          .streams_begun = streams_begun_,
          .frames_held = backlog_.size(),
          .spool_bytes = backlog_.spool_bytes(),
          .frames_dropped = backlog_.dropped_count()};
}

}  // namespace proteus::publish
