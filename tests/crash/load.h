#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "agent/publish/publisher.h"

namespace proteus::crash {

constexpr int kVmsPerHost = 200;

/// A host of many VMs whose counters are known in advance: a catalog and ticks of this test, sent by the agent's own
/// publisher and spool. At tick n, VM v's counter is n · 1000 + v.
class Load {
 public:
  /// folder: takes the host's key files and its spool.
  Load(zmq::context_t& context, const std::string& folder, const std::string& host, const std::string& endpoint,
       const std::string& controller_key);
  ~Load();

  const std::string& host() const { return host_; }
  /// The line of the file of authorized agents.
  const std::string& public_line() const { return public_line_; }
  void start();
  /// Makes the next tick, unless too much is unacknowledged already.
  void tick(Timestamp now);
  std::int64_t ticks() const { return ticks_; }
  /// Frames that the controller has not acknowledged, as the publisher last said.
  std::size_t held() const { return publisher_->status().at(0).frames_held; }
  /// Sends what is left, to a controller that is connected. True: everything is acknowledged.
  bool finish();
  std::uint64_t dropped() const { return publisher_->dropped_frames(); }

 private:
  const std::string host_;
  std::string public_line_;
  std::shared_ptr<const Catalog> catalog_;
  Queue<Sample> samples_;
  std::unique_ptr<publish::Publisher> publisher_;
  std::int64_t ticks_ = 0;
};

}  // namespace proteus::crash
