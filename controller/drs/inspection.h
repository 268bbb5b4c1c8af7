#pragma once

#include <map>
#include <vector>

#include "common/command.h"
#include "controller/drs/step.h"

namespace proteus::drs {

/// Asks one or two hosts what a domain is there, round by round. A round's answers were all given within
/// accept_timeout of its beginning; if one is missing by then, all are asked again, so that no old answer is
/// set beside a new one. While a host cannot be reached no question leaves: the truth is held open.
class Inspection {
 public:
  explicit Inspection(std::vector<HostId> hosts) : hosts_(std::move(hosts)) {}

  /// Begins a round now; answers to earlier ones no longer count.
  void start(const ham::Action& action, Step& step);
  bool started() const { return started_at_.has_value() || next_at_.has_value(); }
  /// Whether the update answers a question of this round that has no answer yet.
  bool awaits(const Update& update) const;
  /// True if the update completes the round: every host has an answer.
  bool hear(const Update& update, const Step& step);
  /// Begins the next round when it is due.
  void on_tick(const ham::Action& action, Step& step);

  /// Of the round just completed.
  const DomainObservation& at(const HostId& host) const { return answers_.at(host); }

 private:
  std::vector<HostId> hosts_;
  std::map<std::uint64_t, HostId> asked_;  ///< questions of this round without an answer, by command
  std::map<HostId, DomainObservation> answers_;
  std::optional<Timestamp> started_at_;  ///< of the open round
  std::optional<Timestamp> next_at_;     ///< when the next begins; empty while one is open
};

}  // namespace proteus::drs
