#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/publish/backlog.h"
#include "agent/publish/publisher.h"
#include "common/wire/socket.h"
#include "common/wire/telemetry_codec.h"

namespace proteus::publish {

/// One controller, as the publisher sees it: socket, stream and what is not acknowledged.
/// A stream begins when the connection comes up, when the controller asks for it and when acknowledgements stay away.
/// Thread: that of the publisher.
class Link {
 public:
  Link(zmq::context_t& context, zmq::socket_t socket, std::unique_ptr<Spool> spool, const PublisherOptions& options,
       std::string endpoint);

  void push(std::shared_ptr<const Sample> sample, SteadyTime now) { backlog_.push(std::move(sample), now); }
  /// Handles what came, spools what is old, sends what may be sent. Never blocks.
  void service(SteadyTime now);
  void leave() { backlog_.spool_all(); }

  bool is_idle() const { return backlog_.size() == 0; }
  bool is_connected() const { return connected_; }
  LinkStatus status() const;

  /// What to wake up for. An acknowledgement can wait for the next sample, unless frames wait for it or `leaving`.
  void add_poll_items(std::vector<zmq::pollitem_t>& items, bool leaving);

 private:
  void begin_stream(SteadyTime now);
  void receive_acks(SteadyTime now);
  void resend_if_silent(SteadyTime now);
  void look_for_passed_over(SteadyTime now);
  void send_more(SteadyTime now);
  bool empty_outbox();

  const PublisherOptions& options_;
  const std::string endpoint_;
  zmq::socket_t socket_;
  wire::SocketMonitor monitor_;
  Backlog backlog_;
  wire::FrameEncoder encoder_;
  std::deque<std::string> outbox_;  // encoded, but the socket had no room
  bool connected_ = false;
  SteadyTime last_heard_{};  // last word of the controller, or when waiting for it began
  SteadyTime stream_began_{};
  std::optional<Spool::Key> front_;  // the oldest frame held, as it last was
  std::optional<SteadyTime> passed_over_since_;
  std::chrono::milliseconds patience_;
  std::size_t window_bytes_used_ = 0;
  std::uint64_t frames_sent_ = 0;
  std::uint64_t streams_begun_ = 0;
  int wanted_in_vain_ = 0;  // new streams, in a row, without a frame being acknowledged
};

}  // namespace proteus::publish
