#pragma once

#include "controller/drs/action_machine.h"
#include "controller/drs/inspection.h"

namespace proteus::drs {

/// A live migration: room at the target, the move by the source's agent, then the truth from both ends.
///
/// verifying: when the source's agent has said its last word on the command, both hosts are asked:
///   runs at the target, not active at the source  -> verified, whatever the agent said
///   active at the source only                     -> after two rounds: failed, nothing lost
///   active on both                                -> in transit or, if it stays so, an alarm; asked until it
///   is one active on neither                             -> after two rounds: failed, the domain vanished
///   paused at the target only                     -> after three rounds: failed, for a person to look at
/// Two rounds, because an agent that restarted says failed or refused, while the hypervisor may still be
/// about to begin the move. Nothing here ever starts a second copy: the only command that moves a VM has one
/// id per action. The room at the target is released on every way out.
class MigrationMachine final : public ActionMachine {
 public:
  explicit MigrationMachine(ActionRecord& record);

  void adopt() override;
  bool awaits(const Update& update, Timestamp now) const override;
  void on_update(const Update& update, Step& step) override;
  void on_tick(Step& step) override;
  void stop(Step& step) override;
  std::optional<HostId> unreleased() const override;

 private:
  void send_first(Step& step) override;
  enum class Whereabouts { kSource, kTarget, kTargetPaused, kBoth, kNowhere };
  struct Verdict {
    ActionState state;
    std::string message;
    Timestamp since;
  };

  const HostId& source() const { return action().host; }
  const HostId& target() const { return std::get<Migrate>(action().operation).target; }
  void hear_reservation(const Update& update, Step& step);
  void judge(Step& step);
  /// Decides how the action ends; it does when the target confirms the release, or has had its time to.
  void conclude(ActionState state, std::string message, Step& step);
  void send_release(Step& step);
  void abort_while_running(Step& step);

  Inspection inspection_;
  std::optional<Whereabouts> seen_;  ///< in the latest round
  int rounds_alike_ = 0;             ///< that showed seen_, in a row
  bool alarmed_ = false;

  bool abort_wanted_ = false;
  std::optional<Timestamp> abort_sent_;
  std::uint64_t abort_ = 0;  ///< command id of the latest Abort; 0: none, or its agent has answered

  bool adopted_while_reserving_ = false;
  bool room_taken_ = false;      ///< a Reserve may have reached the target and no Release is confirmed
  std::uint64_t release_ = 0;    ///< command id of the latest Release
  bool release_failed_ = false;  ///< so its agent says
  std::optional<Timestamp> release_sent_;
  std::optional<Verdict> verdict_;
};

}  // namespace proteus::drs
