#pragma once

#include "controller/drs/action_machine.h"
#include "controller/drs/inspection.h"

namespace proteus::drs {

/// A change of quota, shares, vCPUs or balloon on the VM's present host.
///
/// sent ─▶ … ─▶ verifying, by the value that the host then shows:
///   the wanted one                            -> verified, whatever the agent said (late, or its word was
///   lost) none, the VM is gone                      -> failed agent says done, but another value        ->
///   asked again until the deadline, then failed: another hand changed it,
///                                                and we do not fight it
///   agent says failed, the value as before    -> failed, unchanged
///   agent says failed, some third value       -> reverting: half-way is nobody's wish; the former value is
///   set
/// reverting, likewise: the former value -> reverted, any other -> failed.
/// Anything but success needs two rounds alike: an agent that restarted in between says failed or refused,
/// while its former self's call may still be taking effect.
class ReshapeMachine final : public ActionMachine {
 public:
  explicit ReshapeMachine(ActionRecord& record) : ActionMachine(record), inspection_({record.action.host}) {}

  void adopt() override;
  bool awaits(const Update& update, Timestamp now) const override;
  void on_update(const Update& update, Step& step) override;
  void on_tick(Step& step) override;
  void stop(Step& step) override;

 private:
  void send_first(Step& step) override;
  Command set(Operation operation, std::optional<std::int64_t> present, Step& step) const;
  void judge(const Update& update, Step& step);
  void judge_revert(const DomainObservation& seen, const Update& update, Step& step);

  Inspection inspection_;
  std::optional<DomainObservation> previous_;  ///< what the round before showed
};

}  // namespace proteus::drs
