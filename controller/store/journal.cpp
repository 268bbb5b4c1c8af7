#include "controller/store/journal.h"

namespace proteus::store {

const char* to_string(OperatorInput::Kind kind) {
  switch (kind) {
    case OperatorInput::Kind::kApprove: return "approve";
    case OperatorInput::Kind::kReject: return "reject";
    case OperatorInput::Kind::kMaintenanceOn: return "maintenance_on";
    case OperatorInput::Kind::kMaintenanceOff: return "maintenance_off";
    case OperatorInput::Kind::kPause: return "pause";
    case OperatorInput::Kind::kResume: return "resume";
  }
  return "unknown";
}

}  // namespace proteus::store
